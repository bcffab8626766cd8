"""Whether a state can be one of the play table."""

import numpy as np

from worldagen.envs.calvin.native.errors import NativeError
from worldagen.envs.calvin.native.world import World

_SLACK = 0.01
"""How far (m) a joint may lie outside its limits: recorded states overshoot a little, and Bullet pushes them back."""


def check_robot_obs(robot_obs: np.ndarray) -> None:
    """Raise NativeError unless robot_obs is 15 finite numbers."""
    _check_vector("robot_obs", robot_obs, 15)


def check_scene_obs(world: World, scene_obs: np.ndarray) -> None:
    """Raise NativeError unless scene_obs is 24 finite numbers with the joints inside their limits and lights 0 or 1."""
    _check_vector("scene_obs", scene_obs, 24)
    joints = {
        "slider": world.slider,
        "drawer": world.drawer,
        "button": world.button.joint,
        "switch": world.switch.joint,
    }
    for (name, joint), position in zip(joints.items(), scene_obs[:4], strict=True):
        if not joint.lower - _SLACK <= position <= joint.upper + _SLACK:
            raise NativeError(f"scene_obs puts the {name} at {position} m; it moves from 0 to {joint.upper:.3f} m")
    for name, light in zip(("lightbulb", "led"), scene_obs[4:6], strict=True):
        if light not in (0, 1):
            raise NativeError(f"scene_obs sets the {name} to {light}; a light is 0 (off) or 1 (on)")


def _check_vector(name: str, given: np.ndarray, length: int) -> None:
    if np.shape(given) != (length,) or not np.isfinite(given).all():
        raise NativeError(f"{name} must be {length} finite numbers, got {given!r} of shape {np.shape(given)}")
