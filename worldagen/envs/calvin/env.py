"""CALVIN behind the Env protocol: conventions, success and chains, around whichever engine simulates the scene."""

from collections.abc import Iterable
from typing import Any

import numpy as np
from scipy.spatial.transform import Rotation

from worldagen.config.checks import suggest
from worldagen.envs.calvin.engine import Camera, make_engine
from worldagen.envs.calvin.shifts import change_scene, lit, turn_camera
from worldagen.envs.calvin.states import initial_state
from worldagen.envs.calvin.tasks import TASKS, instructions
from worldagen.envs.stepping import Attempt, execute
from worldagen.types import EnvSpec, EpisodeSpec, Observation, StepOut


class CalvinEnv:
    """One CALVIN scene at 30 Hz.

    A task has succeeded when CALVIN's rule for it holds between the situation in which the task began and the one after
    any of its control steps. Raises ValueError for an unknown scene or engine, and CalvinEnvError (see `make_engine`).
    """

    def __init__(self, spec: EnvSpec) -> None:
        self.spec = spec
        self.engine = make_engine(spec)
        turn_camera(self.engine, spec.shifts)
        self.task, self.instruction = "", ""
        self._attempt: Attempt | None = None
        self._start: dict[str, Any] = {}
        self._gripper = 1.0

    def reset(self, spec: EpisodeSpec) -> Observation:
        """Start the episode of `spec`. Raises ValueError for a task or initial state that does not exist, or for a spec
        of another simulator."""
        self._attempt = None
        if spec.env != self.spec:
            raise ValueError(f"this simulator was built for {self.spec}, the episode asks for {spec.env}")
        for task in (spec.task, *spec.then):
            _check_task(task)
        robot_obs, scene_obs = initial_state(spec.env.suite, spec.task, spec.init_state)
        self.engine.reset(robot_obs, scene_obs)
        change_scene(self.engine, spec.env.shifts)
        self._gripper = float(robot_obs[14])
        self._begin(spec, spec.task)
        return self._observe()

    def step(self, actions: Iterable[np.ndarray]) -> StepOut:
        """Execute actions one by one as they are drawn; see `Env`. Raises ValueError after the end of the episode."""
        return execute(self._attempt, actions, self._control, self._primary, self._observe)

    def next_task(self, task: str) -> None:
        """Go on with `task` from here; see `Env`. Raises ValueError before the first reset."""
        _check_task(task)
        if self._attempt is None:
            raise ValueError("no episode was started; call reset before next_task")
        self._begin(self._attempt.spec, task)

    def state_digest(self) -> bytes:
        return self.engine.state_digest()

    def close(self) -> None:
        self._attempt = None
        self.engine.close()

    def _begin(self, spec: EpisodeSpec, task: str) -> None:
        self.task, self.instruction = task, instructions()[task]
        self._start = self.engine.info()
        self._attempt = Attempt(spec)

    def _control(self, action: np.ndarray) -> bool:
        """One control step. Returns whether the task is done."""
        if action[6] != 0:  # zero leaves the fingers as they are
            self._gripper = float(np.sign(action[6]))
        self.engine.step(np.array([*action[:6], self._gripper], dtype=np.float64))
        return self.engine.completed(self._start, self.engine.info(), self.task)

    def _observe(self, primary: np.ndarray | None = None) -> Observation:
        wrist = self._render("gripper", self.spec.wrist_image_size or self.spec.image_size)
        return Observation(self._primary() if primary is None else primary, wrist, self._robot_state())

    def _primary(self) -> np.ndarray:
        return self._render("static", self.spec.image_size)

    def _render(self, camera: Camera, size: int) -> np.ndarray:
        return lit(self.engine.render(camera, size), self.spec.shifts)

    def _robot_state(self) -> np.ndarray:
        robot_obs = self.engine.robot_obs()
        return np.concatenate([robot_obs[:3], axis_angle(robot_obs[3:6]), [self._gripper]]).astype(np.float32)


def axis_angle(euler: np.ndarray) -> np.ndarray:
    """PyBullet's x-y-z Euler angles (fixed axes) as an axis-angle vector with an angle from 0 to 2 pi.

    Of the two quaternions of a rotation the one with x >= 0 is taken: a tool that points down turns about a horizontal
    axis by about pi, so this vector does not jump where the angle passes pi, as the shortest one would.
    """
    quaternion = Rotation.from_euler("xyz", euler).as_quat()
    x, y, z, w = quaternion if quaternion[0] >= 0 else -quaternion
    length = float(np.linalg.norm((x, y, z)))
    angle = 2 * np.arctan2(length, w)
    return np.array([x, y, z]) * (angle / length if length else 0.0)


def _check_task(task: str) -> None:
    if task not in TASKS:
        raise ValueError(f"CALVIN has no task {task!r}; {suggest(task, TASKS)}")
