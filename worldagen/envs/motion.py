"""Motion primitives that the scripted experts of every simulator share: pure functions without state or clock.

What to do next can be read from the scene alone, so a policy that sees only images can learn it, and exploration noise
is corrected on the next step.
"""

import math

import numpy as np

OPEN, CLOSE = 1.0, -1.0
UP = np.array([0.0, 0.0, 1.0])


def funnel(
    offset: np.ndarray,
    clearance: float,
    axis: np.ndarray = UP,
    slope: float = 2.0,
    radius: float = 0.015,
    level: float = math.inf,
) -> np.ndarray:
    """float64 (3,), metres: the way to a goal at `offset` that is to be entered from the side `axis` points to.

    Far from the line through the goal along the unit vector `axis`, the way leads to `clearance` above the goal (above
    in the sense of `axis`) and goes sideways only as far as that height is reached, starting at most `level` below it.
    Nearer than about
    `clearance / slope` it descends along a cone, within `radius` straight down.
    """
    height = float(offset @ axis)
    aside = offset - height * axis
    climb = height + float(np.clip(slope * (np.linalg.norm(aside) - radius), 0.0, clearance))
    return aside * np.clip(1.0 - climb / min(clearance, level), 0.0, 1.0) + climb * axis


def limited(vector: np.ndarray) -> np.ndarray:
    """`vector` shortened, in its own direction, until every value lies in [-1, 1]."""
    return vector / max(1.0, float(np.abs(vector).max()))
