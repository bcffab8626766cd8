"""The experts' motion primitives, as arithmetic."""

import numpy as np

from worldagen.envs.libero.motion import DOWN, arm_action, funnel, turned
from worldagen.envs.motion import UP

CLEARANCE = 0.06


def follow(start: list[float], axis: np.ndarray = UP) -> np.ndarray:
    """Positions of a point that goes 30 % of the way, at most 2 cm, at each step towards a goal at the origin."""
    path = [np.array(start)]
    for _ in range(200):
        step = 0.3 * funnel(-path[-1], CLEARANCE, axis)
        path.append(path[-1] + step * min(1.0, 0.02 / max(1e-9, float(np.linalg.norm(step)))))
    return np.array(path)


def test_a_funnel_leads_to_the_goal_from_above() -> None:
    for start in ([0.3, -0.2, 0.0], [0.0, 0.25, 0.5], [-0.1, 0.0, -0.05]):
        path = follow(start)
        assert np.linalg.norm(path[-1]) < 1e-3
        aside = np.linalg.norm(path[:, :2], axis=1)
        inside = (aside < 0.75 * aside[0]) & (aside > 0.05)
        assert inside.any() and (path[inside, 2] > 0.5 * CLEARANCE).all(), "it came in from the side"


def test_a_funnel_may_lie_on_its_side() -> None:
    axis = np.array([0.0, 1.0, 0.0])
    path = follow([0.2, 0.0, 0.1], axis)
    assert np.linalg.norm(path[-1]) < 1e-3
    aside = np.linalg.norm(path[:, [0, 2]], axis=1)
    assert (path[(aside < 0.15) & (aside > 0.05), 1] > 0.5 * CLEARANCE).all()


def test_actions_keep_the_direction_and_stay_within_limits() -> None:
    action = arm_action([0.3, -0.1, 0.0], DOWN, DOWN, -1.0)
    assert action.dtype == np.float32 and np.allclose(action, [1, -1 / 3, 0, 0, 0, 0, -1], atol=1e-6)
    assert np.allclose(arm_action([0.01, 0, 0], DOWN, DOWN, 1.0)[:3], [0.4, 0, 0]), "twice the distance, of 5 cm"


def test_rotation_actions_turn_about_the_world_axis_towards_the_goal() -> None:
    assert np.allclose(arm_action([0, 0, 0], DOWN, turned("x", -80), 1.0)[3:6], [-1, 0, 0], atol=1e-6)
    assert np.allclose(arm_action([0, 0, 0], turned("y", 6), DOWN, 1.0)[3:6], [0, -4 * np.radians(6), 0], atol=1e-6)
    assert np.allclose(turned("x", -90)[:, 2], [0, -1, 0]), "the hand points away from the robot's left"
