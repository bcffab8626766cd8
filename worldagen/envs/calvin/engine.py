"""What simulates one of CALVIN's scenes: the `calvin_env` package, or our own play table.

Everything above (the Env, task rules, experts, shifts) knows a simulator only through `Engine`.
"""

from collections.abc import Sequence
from typing import Any, Literal, Protocol, get_args

import numpy as np

from worldagen.config import ConfigError, EnvConfig
from worldagen.config.checks import suggest
from worldagen.types import EnvSpec

SCENES = ("calvin_a", "calvin_b", "calvin_c", "calvin_d")
Camera = Literal["static", "gripper"]
CAMERAS: tuple[Camera, ...] = get_args(Camera)
BLOCKS = ("block_red", "block_blue", "block_pink")


class Engine(Protocol):
    """One scene, built once from an `EnvSpec` and reset for one episode after another.

    robot_obs  float64 (15,): tcp position m (3), tcp rotation as x-y-z Euler angles rad (3), gripper opening m (1),
               arm joints rad (7), last gripper command (1; -1 closed, +1 open)
    scene_obs  float64 (24,): slider m, drawer m, button m, switch rad, lightbulb 0/1, led 0/1, then for the red, blue
               and pink block, in this order in every scene, position m (3) and rotation as x-y-z Euler angles rad (3)
    action     float64 (7,): CALVIN's relative Cartesian action: x, y, z (1 = 0.02 m), rotation about x, y, z (1 = 0.05
               rad), both added to the running target pose; gripper exactly -1 (close) or +1 (open)

    A reset to the same two vectors starts the same simulation, bit for bit, whatever ran before in this engine.
    """

    client: Any
    """pybullet's functions, bound to this engine's physics server."""
    robot_id: int
    body_ids: dict[str, int]
    """pybullet's unique id of every body but the robot: `table`, `plane`, `block_red`, `block_blue`, `block_pink`."""

    static_view: Sequence[float]
    """OpenGL view matrix of the static camera, 16 numbers column by column. Setting it moves the camera, for good."""

    def reset(self, robot_obs: np.ndarray, scene_obs: np.ndarray) -> None:
        """Load the scene anew (nothing stays of what was changed through `client`) and start from this state."""
        ...

    def step(self, action: np.ndarray) -> None:
        """One control step at 30 Hz: 8 physics steps of 1/240 s."""
        ...

    def robot_obs(self) -> np.ndarray: ...

    def scene_obs(self) -> np.ndarray: ...

    def target_pose(self) -> np.ndarray:
        """float64 (6,): the running target pose that the next action adds to: position m, x-y-z Euler angles rad."""
        ...

    def info(self) -> dict[str, Any]:
        """CALVIN's `get_info()`: `robot_info` (tcp_pos, tcp_orn, uid, contacts, ...) and `scene_info` with
        `fixed_objects`, `movable_objects`, `doors`, `buttons`, `switches` and `lights` by name."""
        ...

    def completed(self, start: dict[str, Any], current: dict[str, Any], task: str) -> bool:
        """Verdict of the task's rule on the change between two infos of this engine."""
        ...

    def render(self, camera: Camera, size: int) -> np.ndarray:
        """uint8 (size, size, 3), RGB, upright. Raises ValueError for an unknown camera."""
        ...

    def state_digest(self) -> bytes:
        """Bytes of the full simulator state."""
        ...

    def close(self) -> None: ...


def make_engine(spec: EnvSpec) -> Engine:
    """Build the engine that `spec.engine` names for the scene that `spec.suite` names. Raises ValueError for unknown
    ones."""
    check_scene(spec.suite)
    check_renderer(spec)
    if spec.engine == "calvin_env":
        from worldagen.envs.calvin.official import OfficialEngine  # each needs packages that the other does not

        return OfficialEngine(spec)
    if spec.engine == "native":
        from worldagen.envs.calvin.native.engine import NativeEngine

        return NativeEngine(spec)
    raise ValueError(f"unknown engine {spec.engine!r} for {spec.suite}; use calvin_env or native")


def check_scene(suite: str) -> None:
    """Raise ConfigError for a suite that is none of CALVIN's scenes."""
    if suite not in SCENES:
        raise ConfigError(f"unknown CALVIN scene {suite!r}; {suggest(suite, SCENES)}")


def check_choices(config: EnvConfig) -> None:
    """Raise ConfigError for an unknown scene, or settings that exclude each other."""
    check_scene(config.suite)
    if (config.engine, config.assets) == ("calvin_env", "primitive"):
        raise ConfigError("env.engine=calvin_env has its own assets; use env.engine=native for primitive ones")
    _check_drawing(config.engine, config.renderer)


def check_renderer(spec: EnvSpec) -> None:
    """Raise ConfigError for an engine that cannot draw with the renderer asked for."""
    if spec.renderer not in ("tiny", "egl"):
        raise ConfigError(f"unknown renderer {spec.renderer!r} for {spec.suite}; use tiny or egl")
    _check_drawing(spec.engine, spec.renderer)


def _check_drawing(engine: str, renderer: str) -> None:
    if (engine, renderer) == ("native", "egl"):
        raise ConfigError("env.engine=native draws with env.renderer=tiny; OpenGL needs env.engine=calvin_env")


def check_camera(camera: str) -> None:
    """Raise ValueError for a camera that CALVIN does not have."""
    if camera not in CAMERAS:
        raise ValueError(f"CALVIN has no camera {camera!r}; {suggest(camera, CAMERAS)}")
