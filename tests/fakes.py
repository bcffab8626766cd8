"""Simulators without physics for faults and scale (`tests.fakes:FakeEnv`), and a model that answers at once.

The task says what an episode does: `push` just runs; `sleep 0.05` takes that many seconds a step; `raise`, `segfault`,
`exit`, `hang` and `hang in native code` fail at the third step; `leak 100` keeps so many MB. With a folder in the
spec's instruction a fault happens only at the first try (a file in it marks that it did).
"""

import ctypes
import os
import re
import signal
import sys
import time
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from worldagen.envs.base import check_action
from worldagen.errors import WorldagenError
from worldagen.models.decision import Decision, DecisionRequest
from worldagen.types import EnvSpec, EpisodeSpec, Observation, PolicySpec, StepOut

SUITE = "tests.fakes:FakeEnv"
_leaked: list[bytearray] = []


class FakeEnv:
    """A point that its actions push around. The goal: pushed further than `GOAL` along x."""

    GOAL = 1e9

    def __init__(self, spec: EnvSpec) -> None:
        self.size = spec.image_size
        self.instruction = "push the point"

    def reset(self, spec: EpisodeSpec) -> Observation:
        self.spec = spec
        self.next_task(spec.task)
        self.position = np.random.default_rng([spec.seed, spec.init_state]).standard_normal(7)
        return self._observe()

    def next_task(self, task: str) -> None:
        self.task, self.steps = task, 0
        self.fault, _, amount = task.partition(" ")
        self.amount = float(amount) if re.fullmatch(r"[\d.]+", amount) else 0.0

    def step(self, actions: Iterable[np.ndarray]) -> StepOut:
        executed, frames, success = [], [], False
        started = time.perf_counter()
        for action in actions:
            executed.append(check_action(action))
            self.position = self.position + 0.1 * executed[-1].astype(np.float64)
            self.steps += 1
            self._misbehave()
            success = success or bool(self.position[0] > self.GOAL)
            if self.spec.record == "video":
                frames.append(self._image())
            if self.steps == self.spec.step_limit or (success and self.spec.stop_on_success):
                break
        seconds = {"simulate": time.perf_counter() - started, "render": 0.0}
        return StepOut(self._observe(), np.stack(executed), success, seconds, tuple(frames))

    def state_digest(self) -> bytes:
        return self.position.tobytes()

    def close(self) -> None:
        pass

    def _observe(self) -> Observation:
        return Observation(self._image(), self._image(), np.append(self.position[:6], 1.0).astype(np.float32))

    def _image(self) -> np.ndarray:
        return np.full((self.size, self.size, 3), self.steps % 256, np.uint8)

    def _misbehave(self) -> None:
        if self.fault == "sleep":
            time.sleep(self.amount)
        elif self.steps == 3 and self._first_try():
            self._fail()

    def _first_try(self) -> bool:
        if not self.spec.instruction:
            return True
        mark = Path(self.spec.instruction) / self.spec.key
        tried = mark.exists()
        mark.touch()
        return not tried

    def _fail(self) -> None:
        match self.spec.task.split():
            case ["raise"]:
                raise ArithmeticError("the simulation diverged")
            case ["exit"]:
                sys.stdout.flush()
                os.kill(os.getpid(), signal.SIGKILL)
            case ["segfault"]:
                ctypes.string_at(0)
            case ["hang"]:
                while True:
                    time.sleep(1)
            case ["hang", "in", "native", "code"]:
                re.match(r"(a+)+$", "a" * 60 + "b")  # holds the interpreter lock for years
            case ["leak", _]:
                _leaked.append(bytearray(os.urandom(1) * int(self.amount * 2**20)))


class NearGoalEnv(FakeEnv):
    """Succeeds as soon as the point is right of zero."""

    GOAL = 0.0


class BrokenEnv:
    """A simulator that cannot be built."""

    def __init__(self, spec: EnvSpec) -> None:
        raise OSError("no OpenGL here")


class OnceEnv(FakeEnv):
    """A simulator that can be built once in each process."""

    built = False

    def __init__(self, spec: EnvSpec) -> None:
        super().__init__(spec)
        if OnceEnv.built:
            raise OSError("no context is left")
        OnceEnv.built = True


class DamagedEnv(FakeEnv):
    """A simulator that is built and cannot start an episode, for a reason that the user has to mend."""

    def reset(self, spec: EpisodeSpec) -> Observation:
        raise WorldagenError("the assets are damaged; fetch them again")


class ProbeEnv(FakeEnv):
    """Its instruction tells which modules and threads the simulator process has."""

    def __init__(self, spec: EnvSpec) -> None:
        super().__init__(spec)
        self.instruction = f"torch={'torch' in sys.modules} threads={os.environ.get('OMP_NUM_THREADS')}"


class FakeModel:
    """Answers with actions that depend on the whole window, so a wrong window shows in the digest."""

    fingerprint = "fake"
    chunks = 3

    def __init__(self, actions_per_chunk: int = 5) -> None:
        self.actions_per_chunk = actions_per_chunk
        self.requests: list[DecisionRequest] = []

    def decide(self, request: DecisionRequest) -> Decision:
        self.requests.append(request)
        feature = np.array([[request.primary.mean()]], np.float32)
        value = np.tanh(request.states.sum() + request.features.sum() + request.actions.sum())
        return Decision(np.full((self.actions_per_chunk, 7), value, np.float32), feature)


def spec(task: str = "push", seed: int = 0, suite: str = SUITE, kind: str = "random", **changes: object) -> EpisodeSpec:
    """A short episode of the fake simulator."""
    policy = changes.pop("policy", PolicySpec(kind=kind))  # type: ignore[arg-type]
    settings = {"init_state": 0, "step_limit": 8, "image_size": 8, **changes}
    env = EnvSpec(suite=suite, image_size=int(settings.pop("image_size")))  # type: ignore[call-overload]
    return EpisodeSpec(env=env, task=task, seed=seed, policy=policy, **settings)  # type: ignore[arg-type]


class FakeServer:
    """An inference server in all but the model. It knows no adapter `missing`; `die` ends its process, once; `slow`
    takes most of a second."""

    def __init__(self, folder: str = "") -> None:
        self.folder = Path(folder)
        self.model = FakeModel()

    def describe(self) -> tuple[str, int]:
        return self.model.fingerprint, self.model.chunks

    def decide(self, request: DecisionRequest) -> Decision:
        if request.adapter == "missing":
            raise KeyError("no adapter 'missing'")
        if request.adapter == "slow":
            time.sleep(0.8)
        if request.adapter == "die" and not (self.folder / "died").exists():
            (self.folder / "died").touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return self.model.decide(request)
