"""A lane of a simulator process: one simulator in one thread, one episode at a time."""

import logging
import platform
import time
import traceback
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import numpy as np

from worldagen.data import trajectories
from worldagen.envs.base import Env, make_env
from worldagen.envs.suites import control_rate
from worldagen.envs.watchdog import Watchdog
from worldagen.errors import WorldagenError
from worldagen.models.decision import Decision, DecisionRequest
from worldagen.rollout.episode import Episode, run_episode
from worldagen.rollout.errors import BuildError, EnvError, RunError, StorageError
from worldagen.rollout.policies import Model, make_policy, make_predecessor
from worldagen.tracking.memory import peak_rss_mb
from worldagen.tracking.video import write_mp4
from worldagen.types import EnvSpec, EpisodeResult, EpisodeSpec, Observation, StepOut

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


@dataclass(frozen=True)
class Pace:
    """Of the episode in a lane; waiting for the policy is not counted, since it is not the simulator's fault."""

    stalled: float
    """Seconds since the simulator last moved."""
    spent: float
    """Seconds since the episode began."""
    waits: float
    """Seconds since it last asked the policy, which has not answered."""


class Lane:
    """Runs the episodes it is given, keeping its simulator as long as the specs ask for the same one.

    All of it in one thread, since an OpenGL context belongs to the thread that made it.
    """

    def __init__(self, folder: Path, model: Callable[[], Model], watchdog: Watchdog) -> None:
        self.folder = folder
        self.model = model
        self.watchdog = watchdog
        self.thread = ThreadPoolExecutor(1)
        self.env: Env | None = None
        self.env_spec: EnvSpec | None = None
        self.moved: float | None = None
        """When the simulator last moved; None while nobody waits for it to."""
        self.woke: float | None = None
        """Since when somebody has waited for it."""
        self.spent = 0.0
        """Seconds that the episode at hand took before that, those not counted in which it waited for the policy."""
        self.asked: float | None = None
        """When the policy was asked; None while it need not answer."""

    def pace(self) -> Pace:
        """How the episode at hand fares; nothing while the lane is idle."""
        now = time.monotonic()
        moved, woke, asked = (now if since is None else since for since in (self.moved, self.woke, self.asked))
        return Pace(stalled=now - moved, spent=self.spent + now - woke, waits=now - asked)

    def run(self, spec: EpisodeSpec) -> Attempt:
        """One try at `spec`. After whatever the simulator raises, the next episode gets a new simulator."""
        self.spent = 0.0
        try:
            policy, before = make_policy(spec, self._waiting), make_predecessor(spec, self._waiting)
            self.moves()
            started = time.perf_counter()
            env = self._env(spec.env)
            building = time.perf_counter() - started
            result = self._store(run_episode(cast(Env, _Watched(env, self)), policy, spec, before))
            seconds = {**result.seconds, "reset": result.seconds["reset"] + building}
            return Attempt(replace(result, seconds=seconds), peak_rss_mb=peak_rss_mb())
        except RunError as error:
            return Attempt(None, fatal=error, peak_rss_mb=peak_rss_mb())
        except WorldagenError as error:  # says what is to be mended first, e.g. damaged assets
            return Attempt(None, fatal=EnvError(str(error)), peak_rss_mb=peak_rss_mb())
        except Exception:
            error_text = traceback.format_exc()
            self._drop_env()
            return Attempt(None, error=error_text, peak_rss_mb=peak_rss_mb())
        finally:
            self.rests()
            self.spent, self.asked = 0.0, None

    def moves(self) -> None:
        """The simulator has moved."""
        self.moved = time.monotonic()
        self.woke = self.woke or self.moved
        self.watchdog.moved(self)

    def rests(self) -> None:
        """Nobody waits for the simulator now."""
        woke, self.moved, self.woke = self.woke, None, None  # first, so that `pace` never counts a stretch twice
        if woke is not None:
            self.spent += time.monotonic() - woke
        self.watchdog.rests(self)

    def _waiting(self) -> Model:
        return _Waiting(self.model(), self)

    def _env(self, spec: EnvSpec) -> Env:
        if self.env is None or self.env_spec != spec:
            self._drop_env()
            try:
                self.env, self.env_spec = make_env(spec), spec
            except Exception as error:
                told = (
                    ""
                    if isinstance(error, WorldagenError)
                    else f"the simulator of suite {spec.suite!r} cannot be built: "
                )
                raise BuildError(f"{told}{error} (on {platform.node()})") from error
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
        try:
            if episode.frames:
                write_mp4(episode.frames, self.folder / f"{result.spec.key}.mp4", control_rate(result.spec.env.suite))
            if episode.trajectory is None:
                return result
            name = f"{result.spec.key}.parquet"
            trajectories.save(episode.trajectory, self.folder / name)
        except OSError as error:
            raise StorageError(f"an episode cannot be recorded in {self.folder}: {error}") from error
        return replace(result, trajectory=name)


class SimulationError(RuntimeError):
    """A simulator went on with numbers that are none. No WorldagenError: another try, or episode, may do better."""


class _Watched:
    """An Env that tells its lane whenever it has moved, and that gives no state that is not finite."""

    def __init__(self, env: Env, lane: Lane) -> None:
        self._env, self._lane = env, lane

    def __getattr__(self, name: str) -> Any:
        return getattr(self._env, name)

    def reset(self, spec: EpisodeSpec) -> Observation:
        try:
            observation = self._env.reset(spec)
        except WorldagenError as error:  # LIBERO builds its simulator here; on another node that may succeed
            raise BuildError(f"{error} (on {platform.node()})") from error
        self._lane.moves()
        _check_finite(observation)
        return observation

    def step(self, actions: Iterable[np.ndarray]) -> StepOut:
        out = self._env.step(self._noted(actions))
        _check_finite(out.observation)
        return out

    def _noted(self, actions: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        for action in actions:
            self._lane.moves()
            yield action


def _check_finite(observation: Observation) -> None:
    """Raise SimulationError for a state that has blown up: this episode's failure, and no other's."""
    if not np.isfinite(observation.state).all():
        raise SimulationError(f"the simulated state is {observation.state}: the simulation has blown up")


class _Waiting:
    """A Model for which its lane is not to blame while it takes its time."""

    def __init__(self, model: Model, lane: Lane) -> None:
        self._model, self._lane = model, lane
        self.fingerprint, self.chunks = model.fingerprint, model.chunks

    def decide(self, request: DecisionRequest) -> Decision:
        self._lane.rests()
        self._lane.asked = time.monotonic()
        decision = self._model.decide(request)
        self._lane.asked = None
        self._lane.moves()
        return decision
