"""`pool.run(specs)`: every episode exactly once, on the simulator workers of a Ray cluster.

    pool = Pool.start(config.pool, run_dir / "evaluation", servers)
    for result in pool.run(specs, description="evaluate"):
        ...
    pool.close()

A finished episode is in `<storage>/episodes.jsonl` before its result is handed out, so the same call after whatever
interruption runs only what is missing. A `Pool` is a handle: pickle it to share the pool with Tune trials.
"""

import os
import time
import uuid
from collections.abc import Iterable, Iterator, Sequence, Sized
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import ray
from ray.exceptions import ActorUnavailableError, RayTaskError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from worldagen.config import PoolConfig
from worldagen.rollout.dispatcher import Dispatcher
from worldagen.rollout.stats import PoolStats, inference_metrics
from worldagen.tracking.progress import progress
from worldagen.types import EpisodeResult, EpisodeSpec

WINDOW = 2000
"""Specs that a run has handed over without having their results: bounds the memory of queue and results."""
PASSED_ON = (
    "MUJOCO_GL",
    "PYOPENGL_PLATFORM",
    "MUJOCO_EGL_DEVICE_ID",
    "WORLDAGEN_CACHE",
    "WORLDAGEN_LIBERO_ASSETS",
    "CALVIN_ENV_ROOT",
)
"""Environment variables that workers take over from the process that starts the pool."""


@dataclass(frozen=True)
class Pool:
    """Handle of a pool; usable from any process of the Ray cluster."""

    actor: Any
    storage: Path
    servers: Sequence[Any]
    """Inference servers, for learned policies."""

    @classmethod
    def start(
        cls, config: PoolConfig, storage: Path | str, servers: Sequence[Any] = (), retry_failed: bool = False
    ) -> "Pool":
        """Start a pool that keeps its episode log and recordings in `storage` (which every node must see).

        With `retry_failed`, episodes that the log knows as crashed or timed out are tried again. Workers start with the
        first run. Raises LogError for a log that is damaged or in use, OSError for a folder that cannot be written.
        """
        storage = Path(storage).absolute()
        env_vars = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
        dispatcher: Any = ray.remote(Dispatcher)
        here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=True)  # not a spot node
        light = dispatcher.options(num_cpus=0, max_restarts=-1, max_concurrency=1000, scheduling_strategy=here)
        pool = cls(light.remote(config, storage, env_vars, retry_failed), storage, tuple(servers))
        _call(pool.actor.open, pool.servers)
        return pool

    @property
    def trajectories(self) -> Path:
        """Folder of the recordings: `<key>.parquet`, and `<key>.mp4` for videos."""
        return self.storage / "trajectories"

    def run(self, specs: Iterable[EpisodeSpec], description: str = "") -> Iterator[EpisodeResult]:
        """Yield one result for each spec, as they finish. With a description, shows progress under that name.

        `specs` may be a long iterator: it is drawn from as results come back. Raises ValueError if it is empty or
        repeats a spec, RunError (PolicyError, EnvError, StorageError) if the episodes cannot be run or recorded as
        asked, OSError if the log cannot be written.
        """
        total = len(specs) if isinstance(specs, Sized) else None
        if isinstance(specs, Sequence):
            specs = list(_checked(specs))  # a list is refused before its first episode
        results = self._stream(_checked(specs))
        if not description:
            return results
        return progress(results, total, description, "episode", also=("env step", lambda result: result.steps))

    def stats(self) -> PoolStats:
        return _call(self.actor.report)

    def metrics(self) -> dict[str, float]:
        """The numbers of the pool and its inference servers, flat, for tracking."""
        servers = ray.get([server.report.remote() for server in self.servers])
        return self.stats().metrics() | (inference_metrics(servers) if servers else {})

    def close(self) -> None:
        """End the workers and let go of the log. Runs in progress end with an error."""
        _call(self.actor.close)
        ray.kill(self.actor)

    def _stream(self, specs: Iterator[EpisodeSpec]) -> Iterator[EpisodeResult]:
        run_id = uuid.uuid4().hex
        pending: dict[str, EpisodeSpec] = {}
        begins = True
        try:
            while True:
                new = list(islice(specs, WINDOW - len(pending)))
                pending.update((spec.key, spec) for spec in new)
                if not pending:
                    return
                results, begins = self._exchange(run_id, new, pending, begins), False
                for result in results:
                    if pending.pop(result.spec.key, None):
                        yield result
        finally:
            self.actor.leave.remote(run_id)

    def _exchange(
        self, run_id: str, new: list[EpisodeSpec], pending: dict[str, EpisodeSpec], begins: bool
    ) -> list[EpisodeResult]:
        while True:
            try:
                results = _call(self.actor.exchange, run_id, new, self.servers, begins)
                if results is not None:
                    return results
            except ActorUnavailableError:
                time.sleep(1.0)
            new, begins = list(pending.values()), True  # Ray has restarted it; what had finished is in its log


def _checked(specs: Iterable[EpisodeSpec]) -> Iterator[EpisodeSpec]:
    seen: set[str] = set()
    for spec in specs:
        if spec.key in seen:
            raise ValueError(f"a spec repeats: {spec}; each episode of a run must differ, in its seed for example")
        seen.add(spec.key)
        yield spec
    if not seen:
        raise ValueError("no specs to run: the list is empty")


def _call(method: Any, *arguments: Any) -> Any:
    """Call the dispatcher; what it raised is raised here as it was."""
    try:
        return ray.get(method.remote(*arguments))
    except RayTaskError as error:
        raise error.cause from None
