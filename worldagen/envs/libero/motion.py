"""LIBERO's part of the experts' motion primitives: tool rotations, and the arm action of its controller."""

from collections.abc import Sequence
from functools import partial

import numpy as np
from scipy.spatial.transform import Rotation

from worldagen.envs import motion
from worldagen.envs.motion import limited

DOWN = np.array([[0.0, 1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, -1.0]])
"""Tool rotation with the hand pointing at the table and the fingers moving along the world's y axis."""

_STEP = 0.05
"""Metres that an arm action of 1 asks for (robosuite's OSC_POSE)."""
_TURN = 0.5
"""Radians that a rotation action of 1 asks for."""
_GAIN = 2.0
"""Ask for twice the distance left. The controller is critically damped for a gain of 1; at 2 its damping ratio is 0.7:
it arrives twice as fast and hardly overshoots."""

funnel = partial(motion.funnel, level=0.1)
"""Its way leads sideways from 0.1 m below the clearance upwards, however high that is."""


def turned(axis: str, degrees: float) -> np.ndarray:
    """float64 (3, 3): DOWN, turned about the world's axis `x`, `y` or `z`."""
    return Rotation.from_euler(axis, degrees, degrees=True).as_matrix() @ DOWN


def arm_action(way: Sequence[float] | np.ndarray, rotation: np.ndarray, goal: np.ndarray, gripper: float) -> np.ndarray:
    """float32 (7,) in [-1, 1]: go `way` (3,) metres straight ahead while turning from `rotation` to `goal` (3, 3)."""
    turn = Rotation.from_matrix(goal @ rotation.T).as_rotvec()
    move = np.asarray(way)
    return np.array([*limited(_GAIN / _STEP * move), *limited(_GAIN / _TURN * turn), gripper], np.float32)
