"""The carriers between sweep and report: files, names, and which arm is the best."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.synthetic_results import make_results
from worldagen.arms import Arm, CurvePoint, Group, Measurement, Outcome, ResultsError
from worldagen.results import Confirmation, SweepResults

MEASURED = Measurement(all=0.1, changed=0.2, copy_all=0.1, copy_changed=0.3, changed_fraction=0.5, arm_drift=0.01)


def arm(successes: int, *, of: int = 4, changed: float = 0.2, steps: int = 4, **settings: object) -> Arm:
    outcomes = tuple(
        Outcome(task="push", init_state=n, seed=n, status="success" if n < successes else "failure", steps=9)
        for n in range(of)
    )
    given = {"method": "plain", "learning_rate": 1e-3, "rank": 8, "explored": 12, **settings}
    return Arm(steps=steps, outcomes=outcomes, measurement=replace(MEASURED, changed=changed), **given)  # type: ignore[arg-type]


@pytest.fixture
def results(tmp_path: Path) -> SweepResults:
    return replace(make_results(tmp_path, media=False), control=arm(2, steps=0), arms=())


def test_files_give_back_what_was_written(results: SweepResults, tmp_path: Path) -> None:
    point = CurvePoint(step=1, training_loss=0.5, measurement=MEASURED, seconds=0.1)
    full = arm(2, curve=(point,), environment_steps=480, stopped=1, accepted=False, acceptance="drift 0.3 > 0.1")
    confirmed = Confirmation(control=full.outcomes, arms=(full,), seconds={"reset": 1.0})
    written = replace(results, arms=(full,), confirmation=confirmed)
    written.save(tmp_path / "results.json")
    assert SweepResults.load(tmp_path / "results.json") == written
    full.save(tmp_path / "arm.json")
    assert Arm.load(tmp_path / "arm.json") == full


def test_a_file_of_an_earlier_format_is_refused(results: SweepResults, tmp_path: Path) -> None:
    file = tmp_path / "results.json"
    results.save(file)
    file.write_text(json.dumps({**json.loads(file.read_text()), "format_version": 1}))
    with pytest.raises(ResultsError, match="format_version is 1, expected 2"):
        SweepResults.load(file)


def test_names_tell_arms_apart() -> None:
    found = arm(1, method="anchored", seed=3, environment_steps=480, learn_seconds=2.0)
    assert found.name == "anchored, lr 0.001, rank 8, 12 episodes, seed 3, 4 steps"
    assert found.trial == ("anchored", 1e-3, 8, 12, 3) and found.group == Group("anchored", 1e-3, 8, 12)
    assert (found.budget.explored, found.budget.environment_steps, found.budget.seconds) == (12, 480, 2.0)
    assert arm(1, steps=0).name == "control"


def test_the_best_group_is_the_best_over_its_seeds(results: SweepResults) -> None:
    lucky = [arm(4, seed=0), arm(1, seed=1)]
    steady = [arm(3, seed=seed, steps=16) for seed in (0, 1)]
    assert replace(results, arms=(*lucky, *steady)).best_group == tuple(steady)
    assert replace(results, arms=(*lucky, *steady)).best is steady[0]
    better_model = [replace(each, steps=8, measurement=replace(MEASURED, changed=0.1)) for each in steady]
    assert replace(results, arms=(*steady, *better_model)).best_group == tuple(better_model)


def test_failed_ended_and_rejected_groups_are_never_the_best(results: SweepResults) -> None:
    failed = (arm(4, seed=0), replace(arm(4, seed=1), error="NaN"))
    ended = (replace(arm(0, steps=8), outcomes=(), ended="stopped by ASHA"),)
    rejected = (arm(4, steps=16, accepted=False),)
    assert replace(results, arms=(*failed, *ended, *rejected)).best is None
    half = (arm(2, steps=32, seed=0, accepted=False), arm(2, steps=32, seed=1, accepted=True))
    assert replace(results, arms=(*failed, *half)).best_group == half
    unmoved = replace(arm(4), measurement=replace(MEASURED, arm_drift=0.0))
    assert replace(results, arms=(unmoved, arm(1, steps=8))).best_group == (arm(1, steps=8),)
    assert replace(results, arms=(unmoved,)).chosen_group == ()


def test_alike_is_what_solved_as_many_episodes(results: SweepResults) -> None:
    """As floats 0.1, 0.2, 0.3 have a lower average than thrice 0.2."""
    scattered = tuple(arm(count, of=10, seed=seed, changed=0.1) for seed, count in enumerate((1, 2, 3)))
    steady = tuple(arm(2, of=10, seed=seed, steps=8) for seed in range(3))
    found = replace(results, control=arm(2, of=10, steps=0), arms=(*scattered, *steady))
    assert found.best_group == scattered


def test_the_rules_choice_is_the_accepted_group_of_lowest_error(results: SweepResults) -> None:
    def measured(changed: float, steps: int, **facts: Any) -> Arm:
        return arm(2, changed=changed, steps=steps, **facts)

    low, lower = measured(0.2, 4), measured(0.1, 8)
    lowest = measured(0.05, 16, acceptance="the policy drifted")
    half = (measured(0.01, 32, seed=0), measured(0.01, 32, seed=1, acceptance="the policy drifted"))
    assert replace(results, arms=(low, lower, lowest, *half)).chosen_group == (lower,)
    assert replace(results, arms=(lowest, *half)).chosen_group == ()


def test_confirmation_and_longest_members_count_as_spent_time(results: SweepResults) -> None:
    arms = (arm(1, learn_seconds=1.0), arm(1, steps=8, learn_seconds=2.0), arm(1, seed=1, learn_seconds=1.0))
    confirmed = Confirmation(
        control=results.control.outcomes, arms=(arm(1, seconds={"simulate": 5.0}),), seconds={"simulate": 7.0}
    )
    before = replace(results, arms=arms).seconds
    after = replace(results, arms=arms, confirmation=confirmed).seconds
    assert before["learn"] == after["learn"] == 3.0
    assert after["simulate"] - before["simulate"] == pytest.approx(12.0)
    both = replace(results, arms=arms, confirmation=confirmed, chosen=confirmed)
    assert both.seconds == after, "the same arm chosen twice is run once"


def test_an_arm_of_other_episodes_and_a_sweep_without_control_are_refused(results: SweepResults) -> None:
    control, sound = results.control, arm(3)
    kept = replace(results, arms=(sound,))
    with pytest.raises(ResultsError, match=r"lr 0.001.* different episodes \(3 and 4, of which 3 are the same"):
        replace(kept, arms=(replace(sound, outcomes=sound.outcomes[1:]),))
    with pytest.raises(ResultsError, match="the control has taken 4 steps"):
        replace(kept, control=sound)
    other = Confirmation(control=control.outcomes[1:], arms=(sound,))
    for field in ("confirmation", "chosen"):
        with pytest.raises(ResultsError, match="the confirmation"):
            replace(kept, **{field: other})
