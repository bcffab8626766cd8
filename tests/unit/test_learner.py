"""Test-time training in plain torch: what moves, what must not, and that one run serves every step count."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.synthetic import make_trajectory
from worldagen.config import ModelConfig
from worldagen.data import trajectories
from worldagen.models import adapter, checkpoint
from worldagen.models.weights import fingerprint
from worldagen.models.worldagen import WorldAgen
from worldagen.ttt.job import AdaptationJob, SnapshotMaker
from worldagen.ttt.learner import NAME, AdaptationError, Learner
from worldagen.ttt.methods import Adaptation
from worldagen.types import Trajectory

HOW = Adaptation(learning_rate=3e-3, rank=2, alpha=4.0, batch_size=4, weight_decay=0.01, grad_clip=1.0, seed=0)
SENTENCES = ("do a", "do b")
SMALL = ModelConfig(
    image_size=16, patch_size=8, vision_width=16, vision_depth=1, vision_heads=2, resampler_heads=2,
    resampler_head_dim=8, resampler_queries=2, hidden=16, layers=2, heads=2, head_dim=8, mlp=32, decoder_depth=1,
    decoder_heads=2, observation_queries=1,
)  # fmt: skip


@pytest.fixture
def model() -> WorldAgen:
    torch.manual_seed(0)
    return WorldAgen(SMALL).eval()


def moving(index: int, chunks: int = 4) -> Trajectory:
    """A bright square that moves on: something that the world model can learn."""
    trajectory = make_trajectory(index, chunks, last=5)
    frames = np.zeros((chunks + 1, 16, 16, 3), np.uint8)
    for time, frame in enumerate(frames):
        frame[4:8, (3 * time + index) % 12 : (3 * time + index) % 12 + 4] = 255
    return dataclasses.replace(trajectory, primary=frames, wrist=frames[:, ::-1].copy())


def make_learner(model: WorldAgen, **changes: object) -> Learner:
    how = dataclasses.replace(HOW, **changes)  # type: ignore[arg-type]
    return Learner(model, [moving(0), moving(1)], [moving(2)], how, SENTENCES, changed_threshold=0.02)


def test_steps_improve_the_world_model_and_move_nothing_but_the_adapter(model: WorldAgen) -> None:
    before = fingerprint(model)
    learner = make_learner(model)
    control = learner.measure()
    assert control.arm_drift == control.gripper_flips == control.update_norm == 0.0
    learner.advance(30)
    adapted = learner.measure()
    assert adapted.all < 0.99 * control.all, "an untrained decoder stays frozen, so little is to be had"
    assert adapted.update_norm > 0 and adapted.arm_drift > 0
    assert adapted.copy_all == control.copy_all
    assert np.mean(learner.training_loss[-5:]) < np.mean(learner.training_loss[:5])
    assert fingerprint(model) == before


def test_measurement_is_the_mean_over_all_heldout_windows_however_they_are_batched(
    model: WorldAgen, monkeypatch: pytest.MonkeyPatch
) -> None:
    learner = make_learner(model)
    together = learner.measure()
    monkeypatch.setattr("worldagen.ttt.measure._WINDOWS_AT_ONCE", 3)
    in_parts = learner.measure()
    assert in_parts.metrics() == pytest.approx(together.metrics(), rel=1e-4, abs=1e-6)


def test_copy_baseline_counts_each_full_chunk_of_each_window(model: WorldAgen) -> None:
    learner = make_learner(model)
    frames = torch.from_numpy(moving(2).primary).float() / 255
    std = torch.tensor([0.26862954, 0.26130258, 0.27577711])
    per_chunk = (((frames[1:] - frames[:-1]) / std) ** 2).mean((1, 2, 3))
    times_seen = torch.tensor([1.0, 2.0, 2.0, 2.0])  # windows of two chunks start at each of the four chunks
    expected = float((per_chunk * times_seen).sum() / times_seen.sum())
    assert learner.measure().copy_all == pytest.approx(expected, rel=1e-4)


def test_a_run_is_a_prefix_of_a_longer_one_and_repeats_bit_for_bit(model: WorldAgen) -> None:
    long = make_learner(model)
    long.advance(3)
    after_three = adapter.state(model, NAME)
    long.advance(5)
    torch.manual_seed(0)
    other = WorldAgen(SMALL).eval()
    short = make_learner(other)
    short.advance(1)
    short.advance(3)
    for name, tensor in adapter.state(other, NAME).items():
        assert torch.equal(tensor, after_three[name]), name
    assert short.training_loss == long.training_loss[:3]


def test_another_seed_gives_another_adapter(model: WorldAgen) -> None:
    learner = make_learner(model)
    learner.advance(1)
    torch.manual_seed(0)
    other = make_learner(WorldAgen(SMALL).eval(), seed=1)
    other.advance(1)
    assert learner.training_loss != other.training_loss


def test_an_adaptation_that_moves_nothing_is_an_error(model: WorldAgen) -> None:
    learner = make_learner(model, learning_rate=0.0)
    with pytest.raises(AdaptationError, match="nothing moved"):
        learner.advance(1)


def test_an_exploding_adaptation_is_an_error(model: WorldAgen) -> None:
    learner = make_learner(model, learning_rate=1e30)
    with pytest.raises(AdaptationError, match=r"learning.rate"):
        learner.advance(5)
        learner.measure()


def test_an_update_larger_than_the_weights_is_an_error_though_all_are_numbers(model: WorldAgen) -> None:
    learner = make_learner(model, learning_rate=10.0)
    with pytest.raises(AdaptationError, match=r"the weights that it changes \d.*it exploded"):
        learner.advance(5)


def test_predictions_show_the_same_transitions_for_every_adapter(model: WorldAgen) -> None:
    learner = make_learner(model)
    before = learner.predictions()
    learner.advance(5)
    after = learner.predictions()
    assert before["predicted"].dtype == np.uint8 and before["predicted"].shape == before["real"].shape
    assert (before["last"] == after["last"]).all() and (before["real"] == after["real"]).all()
    assert (before["predicted"] != after["predicted"]).any()
    assert (before["real"][0, 0] == moving(2).primary[2]).all(), "the first window's last chunk leads to frame 2"


@pytest.fixture
def job(model: WorldAgen, tmp_path: Path) -> AdaptationJob:
    checkpoint.save(model, tmp_path / "checkpoint", {})
    for index in range(3):
        trajectories.save(moving(index), tmp_path / f"{index}.parquet")
    return AdaptationJob(
        checkpoint=tmp_path / "checkpoint",
        base=fingerprint(model),
        training=(tmp_path / "0.parquet", tmp_path / "1.parquet"),
        heldout=(tmp_path / "2.parquet",),
        how=HOW,
        instructions=SENTENCES,
        changed_threshold=0.02,
        steps=(2, 4),
        adapters=tmp_path / "adapters",
    )


def test_snapshots_are_made_once_and_a_killed_learner_goes_on_from_the_last(
    job: AdaptationJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    unbroken = SnapshotMaker(dataclasses.replace(job, adapters=job.adapters / "unbroken"))
    expected = [unbroken.snapshot(steps) for steps in (0, 2, 4)]
    SnapshotMaker(job).snapshot(2)
    taken: list[int] = []
    advance = Learner.advance
    monkeypatch.setattr(Learner, "advance", lambda self, to: (taken.append(to - self.steps), advance(self, to))[1])
    resumed = SnapshotMaker(job)
    assert resumed.snapshot(2).measurement == expected[1].measurement
    assert resumed.snapshot(4).measurement == expected[2].measurement
    assert resumed.snapshot(4).training_loss == expected[2].training_loss
    assert taken == [2], "steps 3 and 4 only"
    with np.load(job.folder(4) / "predictions.npz") as shown:
        assert set(shown) == {"last", "real", "predicted"}
    fresh = checkpoint.load(job.checkpoint)
    adapter.load(fresh, "again", job.folder(4))


def test_versions_change_with_whatever_changes_an_adapter(job: AdaptationJob) -> None:
    versions = {job.version(0), job.version(2), job.version(4)}
    for changed in (
        dataclasses.replace(job, how=dataclasses.replace(HOW, seed=1)),
        dataclasses.replace(job, base="another"),
        dataclasses.replace(job, training=job.training[:1]),
    ):
        versions.add(changed.version(4))
    assert len(versions) == 6
    assert dataclasses.replace(job, adapters=Path("elsewhere")).version(4) == job.version(4)
