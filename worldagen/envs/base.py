"""The Env protocol: the only thing the rest of worldagen knows of a simulator."""

import importlib
from collections.abc import Iterable
from typing import Protocol

import numpy as np

from worldagen.envs.shifts import CALVIN, EVERY, LIBERO, active, check_shifts, supported
from worldagen.types import EnvSpec, EpisodeSpec, Observation, StepOut


class Env(Protocol):
    """One simulator. Built once per worker from an `EnvSpec`, then reset for one episode after another.

    `reset(spec)` starts the episode of `spec` (task, initial state, seed) and returns its first observation; the same
    spec gives the same pixels and states, bit for bit, whatever ran before in this process.
    `step(actions)` draws actions one by one from an iterable of (7,) arrays, executes each, checks success after each
    and renders once at the end; a lazy iterable therefore sees the simulator move between two actions, which is how
    scripted experts close their loop. It stops early when the goal is reached (if the spec says so) or at the step
    limit. Raises ValueError on an action that is not finite, not (7,), or outside [-1, 1].
    """

    task: str
    """The current task."""
    instruction: str
    """The current task's own sentence."""

    def reset(self, spec: EpisodeSpec) -> Observation: ...

    def step(self, actions: Iterable[np.ndarray]) -> StepOut: ...

    def next_task(self, task: str) -> None:
        """Go on with another task in the world as it stands; its steps and its success count from here.

        Raises ValueError for an unknown task, and NotImplementedError where the benchmark has no chains.
        """
        ...

    def state_digest(self) -> bytes:
        """Bytes of the full simulator state (for `EpisodeResult.digest`)."""
        ...

    def close(self) -> None: ...


def make_env(spec: EnvSpec) -> Env:
    """Build the simulator of `spec`, with its shifts. Raises ValueError for an unknown suite or shift, or a class that
    is not there."""
    check_shifts(spec.shifts, possible_shifts(spec.suite), spec.suite)
    env = _make_simulator(spec)
    if active(spec.shifts).keys() & supported(EVERY):
        from worldagen.envs.shifted import ShiftedEnv  # which is an Env itself

        return ShiftedEnv(env, spec.shifts)
    return env


def _make_simulator(spec: EnvSpec) -> Env:
    if ":" in spec.suite:
        return imported_class(spec.suite)(spec)
    if spec.suite.startswith("calvin_"):
        from worldagen.envs.calvin.env import CalvinEnv

        return CalvinEnv(spec)
    from worldagen.envs.libero.env import LiberoEnv  # a simulator's packages are needed only by those who use it

    return LiberoEnv(spec)


def possible_shifts(suite: str) -> tuple[str, ...]:
    """The shifts that work in a suite. An Env of your own lists those that it makes itself, from `EnvSpec.shifts`, in a
    class attribute `SHIFTS`. Raises ValueError for a class that cannot be imported."""
    if ":" in suite:
        return *supported(EVERY), *getattr(imported_class(suite), "SHIFTS", ())
    return supported(CALVIN if suite.startswith("calvin_") else LIBERO)


def imported_class(name: str) -> type:
    module, _, attribute = name.partition(":")
    try:
        return getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise ValueError(
            f"{name} is no package.module:Class that can be imported ({error}); is its folder in PYTHONPATH?"
        ) from error


def check_action(action: np.ndarray) -> np.ndarray:
    """Return `action` as float32 (7,), or raise ValueError saying what is wrong with it."""
    action = np.asarray(action, dtype=np.float32)
    if action.shape != (7,):
        raise ValueError(f"an action must have shape (7,), got {action.shape}")
    if not np.isfinite(action).all():
        raise ValueError(f"an action must be finite, got {action}")
    if np.abs(action).max() > 1.0:
        raise ValueError(f"action values must lie in [-1, 1], got {action}; clip them in the policy")
    return action
