"""Motion primitives of the scripted experts: pure functions from where the tool is to the arm action to take now.

They keep no state and no clock. What to do next can be read from the scene alone, so a policy that sees only images
can learn it, and exploration noise is corrected on the next step.
"""

from collections.abc import Sequence

import numpy as np
from scipy.spatial.transform import Rotation

OPEN, CLOSE = 1.0, -1.0
UP = np.array([0.0, 0.0, 1.0])
DOWN = np.array([[0.0, 1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, -1.0]])
"""Tool rotation with the hand pointing at the table and the fingers moving along the world's y axis."""

_STEP = 0.05
"""Metres that an arm action of 1 asks for (robosuite's OSC_POSE)."""
_TURN = 0.5
"""Radians that a rotation action of 1 asks for."""
_GAIN = 2.0
"""Ask for twice the distance left. The controller is critically damped for a gain of 1; at 2 its damping ratio is 0.7:
it arrives twice as fast and hardly overshoots."""

_LEVEL = 0.1
"""Metres below the clearance at which the way begins to lead sideways."""


def turned(axis: str, degrees: float) -> np.ndarray:
    """float64 (3, 3): DOWN, turned about the world's axis `x`, `y` or `z`."""
    return Rotation.from_euler(axis, degrees, degrees=True).as_matrix() @ DOWN


def funnel(
    offset: np.ndarray, clearance: float, axis: np.ndarray = UP, slope: float = 2.0, radius: float = 0.015
) -> np.ndarray:
    """float64 (3,), metres: the way to a goal at `offset` that is to be entered from the side `axis` points to.

    Far from the line through the goal along the unit vector `axis`, the way leads to `clearance` above the goal (above
    in the sense of `axis`) and goes sideways only as far as that height is reached. Nearer than about
    `clearance / slope` it descends along a cone, within `radius` straight down.
    """
    height = float(offset @ axis)
    aside = offset - height * axis
    climb = height + float(np.clip(slope * (np.linalg.norm(aside) - radius), 0.0, clearance))
    return aside * np.clip(1.0 - climb / min(clearance, _LEVEL), 0.0, 1.0) + climb * axis


def arm_action(way: Sequence[float] | np.ndarray, rotation: np.ndarray, goal: np.ndarray, gripper: float) -> np.ndarray:
    """float32 (7,) in [-1, 1]: go `way` (3,) metres straight ahead while turning from `rotation` to `goal` (3, 3)."""
    turn = Rotation.from_matrix(goal @ rotation.T).as_rotvec()
    move = np.asarray(way)
    return np.array([*_limited(_GAIN / _STEP * move), *_limited(_GAIN / _TURN * turn), gripper], np.float32)


def _limited(vector: np.ndarray) -> np.ndarray:
    """`vector` shortened, in its own direction, until every value lies in [-1, 1]."""
    return vector / max(1.0, float(np.abs(vector).max()))
