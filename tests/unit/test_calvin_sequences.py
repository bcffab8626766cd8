"""CALVIN's 1,000 evaluation sequences: the shipped ones and those that the generator makes."""

import hashlib
import json

import pytest

from worldagen.envs.calvin.__main__ import main
from worldagen.envs.calvin.sequences import (
    _possible,
    _successors,
    category,
    drawn_sequences,
    generate_sequences,
    official_sequences,
)
from worldagen.envs.calvin.tasks import CONDITIONS, TASKS, outcomes


def test_the_shipped_sequences_are_the_official_ones() -> None:
    """The hash is that of eval_sequences.json as published with Seer (github OpenRobotLab/Seer), without spaces."""
    plain = [[CONDITIONS[sequence.condition], sequence.tasks] for sequence in official_sequences()]
    text = json.dumps(plain, separators=(",", ":"))
    assert (
        hashlib.sha256(text.encode()).hexdigest() == "604957a8a2d3102941b278df07df4950bc41f340ed959077b20467d5f692318a"
    )


def test_every_sequence_can_be_done_and_starts_from_a_state_of_its_first_task() -> None:
    for sequence in official_sequences():
        situation = CONDITIONS[sequence.condition]
        for task in sequence.tasks:
            (situation,) = outcomes(task, situation)
        assert len({category(task) for task in sequence.tasks}) == 5
        assert sequence.init_state >= 0


def test_generated_sequences_are_the_shipped_ones() -> None:
    """Of one sequence for each of the first 8 conditions: the first draw of each that counts."""
    generated = generate_sequences(8)
    assert {sequence.condition for sequence in generated} == set(range(8))
    assert set(generated) < set(official_sequences())


FEW = ("move_slider_left", "open_drawer", "turn_on_led", "lift_red_block_table", "place_in_drawer", "push_into_drawer")


def test_sequences_of_some_tasks_are_drawn_by_the_same_rule() -> None:
    drawn = drawn_sequences(FEW, 40)
    assert drawn == drawn_sequences(FEW, 80)[:40] != drawn_sequences(FEW, 40, seed=1)
    for sequence in drawn:
        situation = CONDITIONS[sequence.condition]
        for task in sequence.tasks:
            (situation,) = outcomes(task, situation)
        assert set(sequence.tasks) <= set(FEW) and len({category(task) for task in sequence.tasks}) == 5
        assert sequence.init_state >= 0
    assert len({sequence.condition for sequence in drawn}) == 12, "as many as make a sequence of these tasks"
    assert len(set(drawn)) == 40, "none twice while there are others"


def test_of_all_tasks_an_official_sequence_can_be_drawn() -> None:
    official = next(sequence for sequence in official_sequences() if sequence.condition == 7)
    possible = _possible(7, range(len(TASKS)), _successors().tolist(), 5)
    assert official.tasks in {tuple(TASKS[task] for task in tasks) for tasks in possible}


def test_tasks_that_make_no_sequence_are_refused() -> None:
    with pytest.raises(ValueError, match=r"here there are 2 \(drawer, turn\)"):
        drawn_sequences(("open_drawer", "close_drawer", "turn_on_led", "turn_off_led", "turn_on_lightbulb"), 10)


@pytest.mark.full
def test_all_sequences_are_generated_alike(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["sequences"])
    assert not ended.value.code
    assert "1000 of 1000" in capsys.readouterr().out


def test_chains_may_be_shorter_for_a_policy_of_fewer_categories():
    tasks = ["open_drawer", "close_drawer", "move_slider_left", "move_slider_right", "turn_on_led", "turn_off_led"]
    with pytest.raises(ValueError, match=r"no 5 of these 6 tasks .* shorten evaluation\.chain_length"):
        drawn_sequences(tasks, 3)
    drawn = drawn_sequences(tasks, 40, length=3)
    assert all(len({category(task) for task in sequence.tasks}) == 3 for sequence in drawn)
