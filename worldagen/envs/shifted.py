"""Shifts between a policy and any simulator: what becomes of its actions on their way, and of what it sees."""

import math
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from worldagen.envs import shifts as numbers
from worldagen.envs.base import check_action
from worldagen.randomness import generator
from worldagen.types import EpisodeSpec, Observation, Shift, StepOut

_STILL = np.array([0, 0, 0, 0, 0, 0, 1], np.float32)
"""What precedes the first action: no motion, gripper open."""


class ShiftedEnv:
    """An Env with action_scale, action_delay and sensor_noise around it.

    `StepOut.actions` stays what the policy commanded. Noise depends on the episode (not on its policy) and on the
    number of control steps before it, so that filming an episode does not change it. Whatever else the simulator
    offers, to scripted experts for example, it offers still.
    """

    task: str
    instruction: str

    def __init__(self, env: Any, shifts: Sequence[Shift]) -> None:
        self._env, self._given = env, tuple(shifts)
        self._shifts = numbers.active(shifts)
        self._noise = self._shifts.get("sensor_noise")

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):  # else unpickling, which asks before there is an `_env`, would never end
            raise AttributeError(name)
        return getattr(self._env, name)

    def reset(self, spec: EpisodeSpec) -> Observation:
        """Raises ValueError for a spec with other shifts."""
        if spec.env.shifts != self._given:
            raise ValueError(f"this simulator was built with {self._given}, the episode asks for {spec.env.shifts}")
        self._arm = _Arm(self._shifts)
        self._episode, self._steps = spec, 0
        return self._sensed(self._env.reset(spec))

    def step(self, actions: Iterable[np.ndarray]) -> StepOut:
        commanded: list[np.ndarray] = []
        out = self._env.step(self._executed(actions, commanded))
        frames = tuple(
            self._seen(frame, "primary", self._steps + number) for number, frame in enumerate(out.frames, start=1)
        )
        self._steps += len(out.actions)
        observation = self._sensed(out.observation)
        return replace(out, observation=observation, actions=np.stack(commanded)[: len(out.actions)], frames=frames)

    def next_task(self, task: str) -> None:
        self._env.next_task(task)

    def state_digest(self) -> bytes:
        return self._env.state_digest()

    def close(self) -> None:
        self._env.close()

    def _executed(self, actions: Iterable[np.ndarray], commanded: list[np.ndarray]) -> Iterator[np.ndarray]:
        for action in actions:
            commanded.append(check_action(action))
            yield self._arm.executed(commanded[-1])

    def _sensed(self, observation: Observation) -> Observation:
        if self._noise is None:
            return observation
        primary = self._seen(observation.primary, "primary", self._steps)
        wrist = self._seen(observation.wrist, "wrist", self._steps)
        return Observation(primary, wrist, self._measured(observation.state))

    def _seen(self, image: np.ndarray, camera: str, step: int) -> np.ndarray:
        if self._noise is None:
            return image
        noise = self._draw(camera, step).standard_normal(image.shape, np.float32)
        return np.clip(np.rint(image + self._noise.strength * numbers.PIXEL_NOISE * noise), 0, 255).astype(np.uint8)

    def _measured(self, state: np.ndarray) -> np.ndarray:
        assert self._noise is not None
        deviation = self._noise.strength * np.repeat([numbers.POSITION_NOISE, numbers.ROTATION_NOISE, 0.0], [3, 3, 1])
        return (state + deviation * self._draw("state", self._steps).standard_normal(7)).astype(np.float32)

    def _draw(self, sensor: str, step: int) -> np.random.Generator:
        assert self._noise is not None
        spec = self._episode
        return generator("noise", self._noise.seed, spec.seed, spec.task, spec.init_state, sensor, step)


class _Arm:
    """What becomes of the actions of one episode."""

    def __init__(self, shifts: dict[str, Shift]) -> None:
        self.scale = numbers.ratio(shifts["action_scale"]) if "action_scale" in shifts else 1.0
        self.delay = numbers.action_delay(shifts["action_delay"]) if "action_delay" in shifts else 0.0
        length = math.ceil(self.delay) + 1
        self.past = deque([_STILL] * length, maxlen=length)
        """Latest action last."""

    def executed(self, action: np.ndarray) -> np.ndarray:
        """float32 (7,). A delay between two whole steps mixes the two arm actions; the gripper's command is whole."""
        self.past.append(action)
        if not self.delay and self.scale == 1.0:
            return action
        share = self.delay % 1
        later, earlier = self.past[-1 - math.floor(self.delay)], self.past[-1 - math.ceil(self.delay)]
        arm = np.clip(self.scale * ((1 - share) * later[:6] + share * earlier[:6]), -1.0, 1.0)
        return np.array([*arm, self.past[-1 - round(self.delay)][6]], np.float32)
