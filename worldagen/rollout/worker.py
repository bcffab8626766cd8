"""A simulator process: one environment, one episode at a time. The Ray actor around `run_episode`.

Imports no torch: a learned policy asks an inference server, whose handle arrives pickled.
"""

import logging
import time
import traceback
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import ray
from ray.exceptions import RayError, RayTaskError

from worldagen.data import trajectories
from worldagen.envs.base import Env, make_env
from worldagen.envs.suites import control_rate
from worldagen.models.decision import Decision, DecisionRequest
from worldagen.rollout.episode import Episode, run_episode
from worldagen.rollout.errors import EnvError, PolicyError, RunError, StorageError
from worldagen.rollout.policies import Model, make_policy
from worldagen.tracking.memory import peak_rss_mb
from worldagen.tracking.video import write_mp4
from worldagen.types import EnvSpec, EpisodeResult, EpisodeSpec

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Attempt:
    """What came of one try at an episode."""

    result: EpisodeResult | None
    """None when the try failed."""
    error: str = ""
    """Traceback of what the simulator raised; another try may succeed."""
    fatal: RunError | None = None
    """What no other try can mend."""
    peak_rss_mb: float = 0.0
    """Largest resident memory of the process so far."""


class SimWorker:
    """Runs the episodes it is given, keeping its simulator as long as the specs ask for the same one."""

    def __init__(self, trajectory_folder: Path, server: Any = None) -> None:
        self.folder = trajectory_folder
        self.server = server
        self.model: Model | None = None
        self.env: Env | None = None
        self.env_spec: EnvSpec | None = None

    def ready(self) -> None:
        """Answers as soon as the process is up."""

    def run(self, spec: EpisodeSpec) -> Attempt:
        """One try at `spec`. After whatever the simulator raises, the next episode gets a new simulator."""
        try:
            policy = make_policy(spec, self._model)
            started = time.perf_counter()
            env = self._env(spec.env)
            building = time.perf_counter() - started
            result = self._store(run_episode(env, policy, spec))
            seconds = {**result.seconds, "reset": result.seconds["reset"] + building}
            return Attempt(replace(result, seconds=seconds), peak_rss_mb=peak_rss_mb())
        except RunError as error:
            return Attempt(None, fatal=error, peak_rss_mb=peak_rss_mb())
        except Exception:
            error_text = traceback.format_exc()
            self._drop_env()
            return Attempt(None, error=error_text, peak_rss_mb=peak_rss_mb())

    def _model(self) -> Model:
        if self.model is None:
            if self.server is None:
                raise PolicyError("a learned policy needs an inference server; the pool was started without one")
            self.model = RemoteModel(self.server)
        return self.model

    def _env(self, spec: EnvSpec) -> Env:
        if self.env is None or self.env_spec != spec:
            self._drop_env()
            try:
                self.env, self.env_spec = make_env(spec), spec
            except Exception as error:
                raise EnvError(f"the simulator of suite {spec.suite!r} cannot be built: {error}") from error
        return self.env

    def _drop_env(self) -> None:
        env, self.env = self.env, None
        if env is not None:
            try:
                env.close()
            except Exception:  # a simulator that raised may not close either; the first error is the one to report
                logger.warning("a simulator could not be closed", exc_info=True)

    def _store(self, episode: Episode) -> EpisodeResult:
        result = episode.result
        if episode.trajectory is None:
            return result
        name = f"{result.spec.key}.parquet"
        try:
            if episode.frames:
                write_mp4(episode.frames, self.folder / f"{result.spec.key}.mp4", control_rate(result.spec.env.suite))
            trajectories.save(episode.trajectory, self.folder / name)
        except OSError as error:
            raise StorageError(f"an episode cannot be recorded in {self.folder}: {error}") from error
        return replace(result, trajectory=name)


class RemoteModel:
    """The model behind an inference server. A server that died is waited for: Ray restarts it and repeats the call."""

    def __init__(self, server: Any) -> None:
        self.server = server
        self.fingerprint, self.chunks = self._ask("describe")

    def decide(self, request: DecisionRequest) -> Decision:
        return self._ask("decide", request)

    def _ask(self, method: str, *arguments: object) -> Any:
        try:
            return ray.get(getattr(self.server, method).remote(*arguments))
        except RayTaskError as error:
            raise PolicyError(f"the inference server cannot answer: {error.cause}") from error.cause
        except RayError as error:
            raise PolicyError(f"the inference server is gone and does not come back: {error}") from error
