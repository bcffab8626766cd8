"""Motion primitives of CALVIN's experts: from the way still to go to the relative action to take now."""

from collections.abc import Sequence

import numpy as np

from worldagen.envs.motion import limited

_STEP = 0.02
"""Metres that an arm action of 1 moves the target pose."""
_TURN = 0.05
"""Radians that a rotation action of 1 turns the target pose, as x-y-z Euler angles."""
_LEAD = 0.05
"""Metres that the target may be ahead of the tool: where the arm is stopped, the force grows no further."""


def pointing(yaw: float = np.pi / 2, tilt: float = 0.0) -> np.ndarray:
    """float64 (3,): Euler angles of a hand that points down, its fingers moving at a right angle to `yaw`.

    With a yaw of 90 degrees they move along the world's x axis, and `tilt` turns the fingertips away from the robot.
    """
    return np.array([np.pi, -tilt, yaw])


def arm_action(
    way: Sequence[float] | np.ndarray, tool: np.ndarray, target: np.ndarray, angles: np.ndarray, gripper: float
) -> np.ndarray:
    """float32 (7,) in [-1, 1]: go `way` (3,) metres from `tool` (3,) and turn to Euler `angles` (3,).

    Actions add to the running `target` (6,), which is ahead of the tool while it moves: the action is what is missing
    between the two, so it asks for nothing twice.
    """
    way = np.asarray(way)
    way = way * min(1.0, _LEAD / max(float(np.linalg.norm(way)), 1e-9))
    turn = (angles - target[3:] + np.pi) % (2 * np.pi) - np.pi
    return np.array([*limited((tool + way - target[:3]) / _STEP), *limited(turn / _TURN), gripper], np.float32)
