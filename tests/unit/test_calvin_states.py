"""CALVIN's abstract tasks and the initial states they start from, against numbers of its own code."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

from worldagen.envs.calvin.layouts import LAYOUTS
from worldagen.envs.calvin.states import INIT_STATES, ROBOT_OBS, evaluation_scene, initial_state
from worldagen.envs.calvin.tasks import CONDITIONS, TASKS, conditions_of, instructions, outcomes

GOLDEN = json.loads(Path("tests/golden/calvin_initial_conditions.json").read_text())
FROM_THE_MIDDLE = {
    "lift_red_block_drawer", "lift_blue_block_drawer", "lift_pink_block_drawer",
    "place_in_slider", "place_in_drawer", "stack_block", "unstack_block",
}  # fmt: skip
"""Tasks that CALVIN's evaluation never begins a chain with."""


def test_evaluation_starts_exactly_where_calvins_does() -> None:
    assert ROBOT_OBS.tolist() == GOLDEN["robot_obs"]
    for number, golden in GOLDEN["conditions"].items():
        assert CONDITIONS[int(number)] == golden["situation"]
        np.testing.assert_array_equal(evaluation_scene(CONDITIONS[int(number)]), golden["scene_obs"])
    everything = b"".join(evaluation_scene(situation).astype("<f8").tobytes() for situation in CONDITIONS)
    assert len(CONDITIONS) == 192
    assert hashlib.sha256(everything).hexdigest() == GOLDEN["sha256_of_all"]


def test_tasks_have_sentences_and_official_states_where_a_chain_may_begin() -> None:
    assert len(TASKS) == 34 and set(instructions()) == set(TASKS)
    assert {task for task in TASKS if not conditions_of(task)} == FROM_THE_MIDDLE
    assert instructions()["open_drawer"] == "pull the handle to open the drawer"


def test_outcomes_are_what_a_task_changes() -> None:
    closed = next(situation for situation in CONDITIONS if situation["drawer"] == "closed")
    assert outcomes("open_drawer", closed) == [{**closed, "drawer": "open"}]
    assert outcomes("close_drawer", closed) == []
    behind_door = next(c for c in CONDITIONS if c["red_block"] == "slider_left" and c["slider"] == "left")
    assert outcomes("lift_red_block_slider", behind_door) == []
    (held,) = outcomes("lift_red_block_slider", {**behind_door, "slider": "right"})
    assert held["red_block"] == "grasped" and outcomes("open_drawer", held) == []
    (placed,) = outcomes("place_in_slider", held)
    assert placed["red_block"] == "slider_right" and placed["grasped"] == 0


@pytest.mark.parametrize("scene", LAYOUTS)
def test_initial_states_are_official_first_then_sampled(scene: str) -> None:
    first, last = conditions_of("open_drawer")[0], len(conditions_of("open_drawer"))
    layout = LAYOUTS[scene]
    np.testing.assert_array_equal(
        initial_state(scene, "open_drawer", 0)[1], evaluation_scene(CONDITIONS[first], layout)
    )
    _, sampled = initial_state(scene, "open_drawer", last)
    again, other = (initial_state(scene, "open_drawer", index)[1] for index in (last, last + 1))
    np.testing.assert_array_equal(sampled, again)
    assert not np.array_equal(sampled, other)
    assert 0 < sampled[1] <= 0.02, "nearly closed, but not as in evaluation"


@pytest.mark.parametrize("task", TASKS)
def test_sampled_states_fit_their_task(task: str) -> None:
    for index in range(len(conditions_of(task)), INIT_STATES, 97):
        robot_obs, scene_obs = initial_state("calvin_b", task, index)
        blocks = dict(zip(("red", "blue", "pink"), scene_obs[6:].reshape(3, 6), strict=True))
        heights = sorted(pose[2] for pose in blocks.values())
        assert np.isfinite(scene_obs).all() and heights[0] > 0.36
        assert (robot_obs[14] == -1) == task.startswith(("place", "stack")), "a block in the hand"
        if task.endswith(("_table", "block_left", "block_right")):
            assert blocks[task.split("_")[1]][2] == 0.46
        if "drawer" in task and task != "open_drawer":
            assert scene_obs[1] >= 0.18
        if task == "unstack_block":
            assert heights[2] == 0.5
        if task.startswith("turn_off"):
            assert scene_obs[4 if "bulb" in task else 5] == 1


def test_initial_states_that_do_not_exist_are_refused() -> None:
    with pytest.raises(ValueError, match="open_drawer has initial states 0 to 999, not 1000"):
        initial_state("calvin_d", "open_drawer", 1000)


@pytest.mark.parametrize("scene", LAYOUTS)
def test_half_of_the_sampled_states_have_their_blocks_near_calvins_places(scene: str) -> None:
    spots = np.array(LAYOUTS[scene].table_spots)
    states = [initial_state(scene, "push_red_block_left", index)[1][6:9] for index in range(200, 400)]
    near = [np.abs(state - spots).max(axis=1).min() <= 0.02 for state in states]
    assert 80 < sum(near) < 140
