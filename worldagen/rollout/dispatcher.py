"""The actor that owns the simulator workers: hands out episodes, replaces what dies, logs what finishes.

Each slot is a coroutine that keeps one worker at work. A worker that dies, exceeds the deadline or grows too large is
killed and replaced; its episode goes back into the queue. Results reach their runs only after they are in the log.
"""

import asyncio
import copy
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import ray
from ray.exceptions import RayError

from worldagen.config import PoolConfig
from worldagen.rollout.errors import RunError
from worldagen.rollout.log import EpisodeLog
from worldagen.rollout.queue import EpisodeQueue, Group, Ticket
from worldagen.rollout.stats import PoolStats
from worldagen.rollout.worker import Attempt, SimWorker
from worldagen.types import EpisodeResult, EpisodeSpec, Status

logger = logging.getLogger(__name__)

PATIENCE = 10.0
"""Seconds a caller waits in `exchange` before it is answered without results."""
IDLE_SECONDS = 120.0
"""A worker without work for this long is ended, so that others (training, say) can have its CPU."""
START_WARNING_SECONDS = 30.0
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"), "1")


@dataclass
class _Run:
    """A caller of `Pool.run`, and what it has not fetched yet."""

    results: list[EpisodeResult] = field(default_factory=list)
    error: Exception | None = None
    changed: asyncio.Event = field(default_factory=asyncio.Event)


class Dispatcher:
    """Async Ray actor. `Pool` is its handle; nothing else should call it."""

    def __init__(self, config: PoolConfig, storage: Path, env_vars: dict[str, str]) -> None:
        self.config = config
        self.storage = storage
        self.servers: Sequence[Any] = ()
        self.env_vars = ONE_THREAD | env_vars
        self.queue = EpisodeQueue()
        self.work = asyncio.Event()
        self.runs: dict[str, _Run] = {}
        self.stats = PoolStats()
        self.slots: list[asyncio.Task[None]] = []
        self.workers: dict[int, Any] = {}
        self.broken: RunError | None = None

    async def open(self, servers: Sequence[Any]) -> None:
        """Read the log and be ready for work. Raises LogError or OSError when the storage cannot be used."""
        if not self.slots:
            self.servers = servers
            self.log = EpisodeLog(self.storage / "episodes.jsonl")
            self.slots = [asyncio.create_task(self._slot(index)) for index in range(self._slot_count())]
            for slot in self.slots:
                slot.add_done_callback(self._slot_ended)

    async def exchange(self, run_id: str, specs: Sequence[EpisodeSpec], servers: Sequence[Any]) -> list[EpisodeResult]:
        """Take more specs of a run, give the results it has not seen. Waits a while for the first; may be empty."""
        await self.open(servers)  # Ray may have restarted this actor
        if self.broken:
            raise self.broken
        run = self.runs.setdefault(run_id, _Run())
        for spec in specs:
            self._accept(spec, run_id, run)
        try:
            async with asyncio.timeout(PATIENCE):
                await run.changed.wait()
        except TimeoutError:
            return []
        if run.error:
            raise run.error
        results, run.results = run.results, []
        run.changed.clear()
        return results

    async def leave(self, run_id: str) -> None:
        """Forget a run: what it still waits for is not started any more."""
        self.runs.pop(run_id, None)
        self.queue.leave(run_id)

    async def report(self) -> PoolStats:
        self.stats.workers = len(self.workers)
        return copy.deepcopy(self.stats)

    async def close(self) -> None:
        """End the workers and let go of the log. Whoever still waits in `exchange` learns it from the actor's death."""
        for slot in self.slots:
            slot.cancel()
        for worker in self.workers.values():
            ray.kill(worker)
        self.log.close()

    def _slot_count(self) -> int:
        if self.config.workers:
            return self.config.workers
        return max(1, int(ray.cluster_resources().get("CPU", 1.0) / self.config.worker_cpus))

    def _accept(self, spec: EpisodeSpec, run_id: str, run: _Run) -> None:
        result = self.log.get(spec)
        if result is not None and self._complete(result):
            self.stats.from_log += 1
            run.results.append(result)
            run.changed.set()
        else:
            self.queue.add(spec, run_id)
            self.work.set()

    def _complete(self, result: EpisodeResult) -> bool:
        """False when the log knows an episode whose recording somebody has deleted."""
        return not result.trajectory or (self.storage / "trajectories" / result.trajectory).exists()

    async def _slot(self, index: int) -> None:
        """Keep one worker at work for ever; start it when there is something to do."""
        failures = 0
        while True:
            await self._wait_for_work()
            try:
                worker = await self._start_worker(index)
            except RayError as error:
                failures += 1
                logger.warning("a simulator worker did not start: %s", error)
                if failures >= self.config.attempts:
                    self._end_runs(set(self.runs), RunError(f"simulator workers do not start: {error}"))
                    failures = 0
                continue
            failures = 0
            try:
                await self._serve(worker)
            finally:
                del self.workers[index]
                ray.kill(worker)

    async def _start_worker(self, index: int) -> Any:
        actor: Any = ray.remote(SimWorker)
        worker = actor.options(
            num_cpus=self.config.worker_cpus,
            num_gpus=self.config.worker_gpus,
            runtime_env={"env_vars": self.env_vars},
        ).remote(self.storage / "trajectories", self.servers[index % len(self.servers)] if self.servers else None)
        ready = asyncio.ensure_future(worker.ready.remote())
        try:
            while not (await asyncio.wait([ready], timeout=START_WARNING_SECONDS))[0]:
                logger.warning(
                    "a simulator worker waits for %g CPU and %g GPU: others use them, or the cluster has fewer",
                    self.config.worker_cpus,
                    self.config.worker_gpus,
                )
            await ready
        except BaseException:
            ray.kill(worker)
            raise
        self.workers[index] = worker
        return worker

    async def _serve(self, worker: Any) -> None:
        """Give `worker` one episode after another. Returns when it has to be replaced or has been idle for long."""
        group: Group | None = None
        while True:
            try:
                async with asyncio.timeout(IDLE_SECONDS):
                    await self._wait_for_work()
            except TimeoutError:
                return
            ticket = self.queue.take(group)
            if ticket is None:  # another slot was faster
                continue
            group = ticket.group
            if not await self._try(worker, ticket):
                self.stats.restarts += 1
                return

    async def _wait_for_work(self) -> None:
        while not len(self.queue):
            self.work.clear()
            await self.work.wait()

    async def _try(self, worker: Any, ticket: Ticket) -> bool:
        """One try at an episode; returns whether the worker can go on."""
        start = time.monotonic()
        deadline = self.config.episode_deadline
        try:
            async with asyncio.timeout(deadline):
                attempt: Attempt = await worker.run.remote(ticket.spec)
        except TimeoutError:
            reason = f"exceeded the deadline of {deadline:g} s (pool.episode_deadline)"
            self._failed(ticket, "timed_out", reason, reason)
            return False
        except RayError as error:
            self._failed(
                ticket, "crashed", str(error), "its process died: killed, out of memory or a segmentation fault"
            )
            return False
        finally:
            self.stats.busy_seconds += time.monotonic() - start
        self.stats.peak_rss_mb = max(self.stats.peak_rss_mb, attempt.peak_rss_mb)
        if attempt.fatal:
            self._end_runs(self.queue.done(ticket), attempt.fatal)
        elif attempt.result is None:
            self._failed(ticket, "crashed", attempt.error, attempt.error.strip().splitlines()[-1])
        else:
            self._finish(ticket, attempt.result)
        if attempt.peak_rss_mb > self.config.memory_limit_gb * 1024:
            logger.warning(
                "a simulator worker is replaced: it has used %.0f MB, the limit is %g GB (pool.memory_limit_gb)",
                attempt.peak_rss_mb,
                self.config.memory_limit_gb,
            )
            return False
        return True

    def _failed(self, ticket: Ticket, status: Status, error: str, reason: str) -> None:
        spec, attempts = ticket.spec, self.config.attempts
        logger.warning(
            "episode %s (%s, %s, initial state %d, seed %d), try %d of %d: %s",
            ticket.key, spec.env.suite, spec.task, spec.init_state, spec.seed, ticket.failures + 1, attempts, reason,
        )  # fmt: skip
        if ticket.failures + 1 >= attempts:
            self._finish(ticket, EpisodeResult(spec=spec, status=status, steps=0, error=error))
        else:
            self.stats.retries += 1
            self.queue.retry(ticket)
            self.work.set()

    def _finish(self, ticket: Ticket, result: EpisodeResult) -> None:
        result = replace(result, attempts=ticket.failures + 1)
        waiting = self.queue.done(ticket)
        try:
            self.log.append(result)
        except OSError as error:
            self._end_runs(waiting, error)
            return
        self.stats.count(result)
        for run_id in waiting:
            self.runs[run_id].results.append(result)
            self.runs[run_id].changed.set()

    def _end_runs(self, run_ids: set[str], error: Exception) -> None:
        for run_id in set(run_ids):
            self.queue.leave(run_id)
            self.runs[run_id].error = error
            self.runs[run_id].changed.set()

    def _slot_ended(self, slot: asyncio.Task[None]) -> None:
        """A slot ends only when it is cancelled; anything else is a mistake in this file that nobody must wait on."""
        if not slot.cancelled():
            self.broken = RunError(f"the pool is broken: {slot.exception()!r}")
            self._end_runs(set(self.runs), self.broken)
