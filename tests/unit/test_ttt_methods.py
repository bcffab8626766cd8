"""The ways to adapt: what each holds in place, what is measured after every step, when it stops, what is accepted."""

import dataclasses
import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from tests.unit.test_learner import HOW, SENTENCES, SMALL, moving
from worldagen.arms import Measurement
from worldagen.config import schema
from worldagen.config.schema import TTTConfig
from worldagen.data import trajectories
from worldagen.models import adapter, checkpoint
from worldagen.models.weights import fingerprint
from worldagen.models.worldagen import WorldAgen
from worldagen.ttt.job import AdaptationJob, SnapshotMaker
from worldagen.ttt.learner import NAME, AdaptationError, Learner
from worldagen.ttt.methods import METHODS, adaptation


def make_learner(
    measure_windows: int = 64, mask: str = "strict", windows_at_once: int = 0, **changes: object
) -> Learner:
    torch.manual_seed(0)
    model = WorldAgen(dataclasses.replace(SMALL, mask=mask)).eval()
    for query in (model.observation_queries, model.policy_query):
        torch.nn.init.normal_(query)
    how = dataclasses.replace(HOW, **changes)  # type: ignore[arg-type]
    training, heldout = [moving(0), moving(1)], [moving(2), moving(3)]
    return Learner(model, training, heldout, how, SENTENCES, 0.02, measure_windows, windows_at_once)


def test_the_settings_know_every_method_and_leave_out_what_it_has_no_use_for() -> None:
    assert tuple(METHODS) == schema.METHODS
    anchors = {
        method: adaptation(TTTConfig(anchor=2.0, layers=[1, 0]), method=method, learning_rate=1e-3, rank=4, seed=3)
        for method in METHODS
    }
    assert {method for method, how in anchors.items() if how.anchor == 2.0} == {
        "anchored", "anchored_world_model_rows_context"
    }  # fmt: skip
    assert all(how.layers == (0, 1) and how.seed == 3 and how.method == method for method, how in anchors.items())


@pytest.mark.parametrize("mask", ["strict", "compat"])
def test_the_anchor_holds_the_policy_and_lets_the_world_model_go(mask: str) -> None:
    learners = {
        name: make_learner(method=name, anchor=anchor, mask=mask)
        for name, anchor in (("plain", 0.0), ("anchored", 30.0))
    }
    control = learners["plain"].measure()
    for learner in learners.values():
        learner.advance(to=12)
    plain, anchored = (learner.measure() for learner in learners.values())
    assert anchored.arm_drift < 0.6 * plain.arm_drift
    assert anchored.all < control.all and anchored.update_norm > 0
    assert adapter.in_use(learners["anchored"].model) == NAME


def test_world_model_rows_improve_the_world_model_and_leave_every_bit_of_the_policy() -> None:
    learner = make_learner(method="world_model_rows")
    control = learner.measure()
    learner.advance(to=12)
    adapted = learner.measure()
    assert adapted.all < control.all and adapted.update_norm > 0
    assert adapted.arm_drift == adapted.gripper_flips == 0.0
    assert all(point.measurement.arm_drift == 0.0 for point in learner.curve)
    other = make_learner(method="world_model_rows_context")
    other.advance(to=5)
    assert other.measure().arm_drift > 0


@pytest.mark.parametrize("method", ["plain", "anchored"])
def test_windows_computed_one_after_the_other_make_the_same_step(method: str) -> None:
    """Windows at the ends of episodes have fewer chunks, so equal weights for the parts would be another gradient."""
    whole, parts = (
        make_learner(method=method, anchor=1e4, batch_size=7, windows_at_once=at_once) for at_once in (0, 3)
    )
    for learner in (whole, parts):
        learner.advance(to=3)
    assert parts.training_loss == pytest.approx(whole.training_loss, rel=1e-5)
    gradients = [
        torch.cat([parameter.grad.flatten() for parameter in adapter.parameters(learner.model, NAME)])
        for learner in (whole, parts)
    ]
    torch.testing.assert_close(gradients[1], gradients[0], rtol=1e-3, atol=1e-4 * gradients[0].abs().max().item())


def test_layers_outside_the_chosen_ones_stay() -> None:
    learner = make_learner(layers=(1,))
    learner.advance(to=2)
    assert {key.split(".")[1] for key in adapter.state(learner.model, NAME)} == {"1"}
    assert learner.measure().update_norm > 0


def test_the_curve_has_a_point_for_each_step_over_windows_spread_over_all() -> None:
    learner = make_learner(measure_windows=3)
    learner.advance(to=4)
    assert [point.step for point in learner.curve] == [1, 2, 3, 4]
    assert learner.yardstick.few.tolist() == [0, 3, 7]
    assert learner.training_loss == tuple(point.training_loss for point in learner.curve)
    norms = [point.measurement.update_norm for point in learner.curve]
    assert norms == sorted(norms) and norms[0] > 0
    seconds = [point.seconds for point in learner.curve]
    assert seconds == sorted(seconds) and seconds[0] > 0
    everything = make_learner(measure_windows=100)
    everything.advance(to=4)
    assert everything.curve[-1].measurement == everything.measure()
    assert learner.curve[-1].measurement != everything.curve[-1].measurement


def test_a_learner_that_gets_worse_stops_and_goes_back_to_its_best_step(monkeypatch: pytest.MonkeyPatch) -> None:
    learner = make_learner(early_stopping=2)
    errors = iter([0.5, 0.4, 0.3, 0.35, 0.3, 0.2])
    measure = learner._measure
    monkeypatch.setattr(learner, "_measure", lambda *given: dataclasses.replace(measure(*given), changed=next(errors)))
    states = {}
    for to in range(1, 7):
        learner.advance(to)
        states.setdefault(learner.steps, adapter.state(learner.model, NAME))
    assert learner.stopped == 3 and learner.steps == 5, "two steps without a better one than the third"
    assert all(torch.equal(tensor, states[3][key]) for key, tensor in adapter.state(learner.model, NAME).items())
    assert any(not torch.equal(tensor, states[4][key]) for key, tensor in states[3].items())


@pytest.mark.parametrize(("patience", "counted"), [(0, 0.0), (9, 2.0)])
def test_measuring_counts_where_early_stopping_needs_it(
    patience: int, counted: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a clock on which a measurement takes a second and nothing else takes any time."""
    learner = make_learner(early_stopping=patience)
    learner.seconds, now, measure = 0.0, [0.0], learner._measure

    def measured(*given: Any) -> Measurement:
        now[0] += 1.0
        return measure(*given)

    monkeypatch.setattr("worldagen.ttt.learner.time", SimpleNamespace(perf_counter=lambda: now[0]))
    monkeypatch.setattr(learner, "_measure", measured)
    learner.advance(to=2)
    assert learner.seconds == counted


@pytest.fixture
def job(tmp_path: Path) -> AdaptationJob:
    model = make_learner().model
    adapter.remove(model, NAME)
    checkpoint.save(model, tmp_path / "checkpoint", {})
    for index in range(3):
        trajectories.save(moving(index), tmp_path / f"{index}.parquet")
    return AdaptationJob(
        checkpoint=tmp_path / "checkpoint",
        base=fingerprint(model),
        training=(tmp_path / "0.parquet", tmp_path / "1.parquet"),
        heldout=(tmp_path / "2.parquet",),
        how=dataclasses.replace(HOW, early_stopping=1, method="anchored", anchor=1.0, learning_rate=0.1),
        instructions=SENTENCES,
        changed_threshold=0.02,
        steps=(1, 2, 30, 40),
        adapters=tmp_path / "adapters",
    )


def test_a_killed_learner_stops_early_where_an_unbroken_one_does(job: AdaptationJob) -> None:
    unbroken = SnapshotMaker(dataclasses.replace(job, adapters=job.adapters / "unbroken"))
    expected = {steps: unbroken.snapshot(steps) for steps in job.steps}
    for steps in job.steps:
        found = SnapshotMaker(job).snapshot(steps)  # a new process each time
        assert found.measurement == expected[steps].measurement and found.stopped == expected[steps].stopped
        assert [point.measurement for point in found.curve] == [point.measurement for point in expected[steps].curve]
    assert 0 < expected[30].stopped == expected[40].stopped < 30 and expected[40].steps == 40
    assert expected[40].measurement == expected[30].measurement and len(expected[40].curve) < 30


def test_versions_hold_the_way_to_adapt(job: AdaptationJob) -> None:
    changes = [{"method": "plain"}, {"anchor": 2.0}, {"layers": (1,)}, {"early_stopping": 3}, {"seed": 1}]
    jobs = [dataclasses.replace(job, how=dataclasses.replace(job.how, **change)) for change in changes]  # type: ignore[arg-type]
    jobs.append(dataclasses.replace(job, measure_windows=8))
    assert len({one.version(2) for one in (job, *jobs)}) == 7


def test_a_job_of_another_base_is_refused(job: AdaptationJob) -> None:
    with pytest.raises(AdaptationError, match=r"has the fingerprint .* the job was made for base other"):
        SnapshotMaker(dataclasses.replace(job, base="other")).snapshot(1)


@pytest.mark.parametrize(
    ("training", "heldout", "sentences", "words"),
    [
        ([], [moving(1)], SENTENCES, "no exploratory episode to learn from"),
        ([moving(0)], [], SENTENCES, "no held-out episode"),
        ([moving(0)], [moving(1)], (), "no instruction"),
    ],
)
def test_nothing_to_learn_from_or_to_measure_with_is_refused(training, heldout, sentences, words: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(AdaptationError, match=words):
        Learner(WorldAgen(SMALL), training, heldout, HOW, sentences, 0.02)


def test_a_loss_that_is_no_number_ends_the_adaptation_and_says_which_step(monkeypatch: pytest.MonkeyPatch) -> None:
    learner = make_learner()
    learner.advance(to=2)
    monkeypatch.setattr("worldagen.ttt.learner.image_loss", lambda predicted, *_: predicted.sum() * math.nan)
    with pytest.raises(AdaptationError, match=r"loss of step 3 is nan \(method plain.*smaller ttt\.learning_rate"):
        learner.advance(to=3)
    assert learner.steps == 2
