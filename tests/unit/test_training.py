"""The loop resumes bit for bit, splits batches exactly, measures what it says, and stops where it must."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from tests.short_training import IDENTITY, SETTINGS, Killed, dataset, run_training
from tests.small import small_config, small_model
from tests.synthetic import make_trajectory
from worldagen.data.windows import WindowDataset
from worldagen.models.worldagen import WorldAgen
from worldagen.training import validation
from worldagen.training.loop import learning_rate, train
from worldagen.training.pictures import save_predictions
from worldagen.training.state import TrainingError, load_state
from worldagen.training.validation import validate


def test_learning_rate_warms_up_and_ends_at_exactly_zero() -> None:
    rates = [learning_rate(step, SETTINGS) for step in range(7)]
    assert rates[:2] == [1.5e-3, 3e-3]
    assert rates[2] > rates[3] > rates[4] > rates[5] > rates[6] == 0.0


@pytest.mark.parametrize(
    ("kill_at", "changes"), [(3, {"ema": 0.9, "accumulate": 3}), (6, {"precision": "bfloat16"})], ids=str
)
def test_resumed_run_ends_with_the_same_bits(tmp_path: Path, kill_at: int, changes: dict[str, Any]) -> None:
    settings = dataclasses.replace(SETTINGS, **changes)
    whole = run_training(tmp_path / "whole.pt", settings)
    path = tmp_path / "state.pt"
    with pytest.raises(Killed):
        run_training(path, settings, kill_at=kill_at)
    state = load_state(path, IDENTITY)
    assert state is not None and state.step == kill_at
    torch.manual_seed(123)  # whatever happened to the generator meanwhile
    resumed = run_training(path, settings)
    for name, value in whole.state_dict().items():
        assert torch.equal(resumed.state_dict()[name], value), name


def test_micro_batches_train_the_same_weights(tmp_path: Path) -> None:
    """Also with gradients that are clipped: once per step, not once per micro-batch."""
    clipped = dataclasses.replace(SETTINGS, grad_clip=0.05, weight_decay=0.0)
    whole, split = (
        run_training(tmp_path / f"{parts}.pt", dataclasses.replace(clipped, accumulate=parts)) for parts in (1, 3)
    )
    for name, value in whole.state_dict().items():
        torch.testing.assert_close(split.state_dict()[name], value, rtol=0, atol=1e-4, msg=name)


def test_the_moving_average_is_what_is_measured_and_kept(tmp_path: Path) -> None:
    settings = dataclasses.replace(SETTINGS, ema=0.3, validate_every=1)
    path, measured, weights = tmp_path / "state.pt", [], []

    def measure(model: WorldAgen) -> dict[str, float]:
        measured.append(model.offset.detach().clone())
        return {}

    def remember(record: dict[str, float]) -> None:
        state = load_state(path, IDENTITY)
        assert state is not None
        weights.append(state.model["offset"])

    model = WorldAgen(small_config())
    train(
        model,
        dataset(),
        settings,
        seed=0,
        state_path=path,
        identity=IDENTITY,
        validate=measure,
        on_record=remember,
    )
    expected = weights[0]
    for step, weight in enumerate(weights):
        if step:  # the decay grows to its value: 2/11, 3/12, 0.3, ...
            expected = torch.lerp(expected, weight, 1 - min(0.3, (1 + step) / (10 + step)))
        torch.testing.assert_close(measured[step], expected)
    assert torch.equal(model.offset, measured[-1]) and not torch.equal(model.offset, weights[-1])


def test_the_seed_decides_the_order(tmp_path: Path) -> None:
    first, second = (run_training(tmp_path / f"{seed}.pt", seed=seed) for seed in (0, 1))
    assert not torch.equal(first.offset, second.offset)


def test_curve_of_a_resumed_run_is_complete(tmp_path: Path) -> None:
    with pytest.raises(Killed):
        run_training(tmp_path / "state.pt", kill_at=3)
    run_training(tmp_path / "state.pt")
    state = load_state(tmp_path / "state.pt", IDENTITY)
    assert state is not None
    assert [record["step"] for record in state.curve] == [3, 6, 7]
    expected = {"train/arm", "train/gripper", "train/image", "validation/arm_error", "validation/copy_changed"}
    assert all(expected <= record.keys() for record in state.curve)


def test_bfloat16_trains_close_to_float32(tmp_path: Path) -> None:
    exact = run_training(tmp_path / "exact.pt")
    rounded = run_training(tmp_path / "rounded.pt", dataclasses.replace(SETTINGS, precision="bfloat16"))
    assert not torch.equal(exact.offset, rounded.offset)
    assert rounded.offset.dtype == torch.float32
    torch.testing.assert_close(exact.offset, rounded.offset, atol=5e-3, rtol=0)


def test_diverging_run_stops_with_advice(tmp_path: Path) -> None:
    settings = dataclasses.replace(SETTINGS, learning_rate=1e30, validate_every=100)
    with pytest.raises(TrainingError, match=r"step \d.*lower pretrain\.learning_rate"):
        run_training(tmp_path / "state.pt", settings)
    assert load_state(tmp_path / "state.pt", IDENTITY) is None


def test_validation_does_not_depend_on_its_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    model = small_model()
    whole = validate(model, dataset(), threshold=2.35)
    monkeypatch.setattr(validation, "BATCH", 4)
    in_parts = validate(model, dataset(), threshold=2.35)
    assert whole == pytest.approx(in_parts, rel=1e-5)
    assert 0 < whole["validation/changed_fraction"] < 1


def test_validation_measures_actions_and_the_copy_baseline() -> None:
    """On one whole window the numbers can be computed by hand."""
    model, episode = small_model(), make_trajectory(chunks=2, last=5)
    found = validate(model, WindowDataset([episode], chunks=2), threshold=0.0, limit=1)
    pixels = episode.primary.astype(np.float64), episode.wrist.astype(np.float64)
    std = np.array([0.26862954, 0.26130258, 0.27577711]) * 255
    copied = np.mean([np.square((frames[1:] - frames[:-1]) / std).mean() for frames in pixels])
    assert found["validation/copy_all"] == pytest.approx(copied, rel=1e-4)
    assert found["validation/copy_changed"] == pytest.approx(copied, rel=1e-4)
    with torch.no_grad():
        output = validation.predict(model, WindowDataset([episode], chunks=2).batch([0]))
    error = np.abs(output.arm[0].numpy() - episode.intended[..., :6]).mean()
    right = ((output.gripper[0, ..., 0].numpy() > 0.5) == (episode.intended[..., 6] >= 1)).mean()
    assert found["validation/arm_error"] == pytest.approx(error, rel=1e-4)
    assert found["validation/gripper_accuracy"] == pytest.approx(right)


def test_picture_shows_three_images_of_both_cameras(tmp_path: Path) -> None:
    save_predictions(small_model(), dataset(), tmp_path / "p" / "predictions.png", rows=2)
    with Image.open(tmp_path / "p" / "predictions.png") as picture:
        assert picture.width > 2 * picture.height > 200
