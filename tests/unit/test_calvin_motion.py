import numpy as np
import pytest

from worldagen.envs.calvin.motion import arm_action, pointing
from worldagen.envs.motion import CLOSE, OPEN

TOOL = np.array([0.1, -0.2, 0.5])
DOWN = pointing()


def test_an_action_asks_only_for_what_the_target_pose_lacks() -> None:
    ahead = np.array([*(TOOL + np.array([0.01, 0, 0])), *DOWN])
    np.testing.assert_allclose(arm_action([0.02, 0, 0], TOOL, ahead, DOWN, OPEN), [0.5, 0, 0, 0, 0, 0, 1], atol=1e-6)


def test_a_target_that_ran_ahead_of_a_stopped_tool_is_called_back() -> None:
    ahead = np.array([*(TOOL + np.array([0.1, 0, 0])), *DOWN])
    assert arm_action([0.1, 0, 0], TOOL, ahead, DOWN, CLOSE)[0] == -1.0


def test_actions_stay_in_range_and_keep_their_direction() -> None:
    action = arm_action([0.04, 0.02, 0], TOOL, np.array([*TOOL, *DOWN]), DOWN, OPEN)
    np.testing.assert_allclose(action[:3], [1.0, 0.5, 0.0], atol=1e-6)


@pytest.mark.parametrize("turns", [-1, 0, 2])
def test_the_hand_turns_the_short_way_round(turns: int) -> None:
    target = np.array([*TOOL, *(DOWN + 2 * np.pi * turns + 0.01)])
    np.testing.assert_allclose(arm_action(np.zeros(3), TOOL, target, DOWN, OPEN)[3:6], [-0.2] * 3, atol=1e-6)
