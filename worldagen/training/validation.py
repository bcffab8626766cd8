"""How good a model is on held-out episodes: its actions, and its next frames beside copies of the last ones."""

from collections.abc import Iterator

import numpy as np
import torch

from worldagen.config import ModelConfig
from worldagen.data.windows import WindowBatch, Windows
from worldagen.models.losses import frame_patches, observation_errors
from worldagen.models.worldagen import Output, WorldAgen
from worldagen.training.predict import predict

BATCH = 64


@torch.no_grad()
def validate(model: WorldAgen, dataset: Windows, *, threshold: float, limit: int | None = None) -> dict[str, float]:
    """Metrics on at most `limit` windows spread evenly over `dataset`. Deterministic; leaves the model in eval mode.

    validation/arm_error: mean absolute error of the six arm values (they lie in [-1, 1]);
    validation/gripper_accuracy: share of actions whose gripper command is right;
    validation/{image,copy}_{all,changed}: mean squared error, in normalised pixels, of the predicted next frame and of
    copying the last one, over all patches and over those whose mean squared change exceeds `threshold`;
    validation/changed_fraction: share of such patches.
    """
    model.eval()
    totals: dict[str, torch.Tensor] = {}
    for batch in _batches(dataset, limit, next(model.parameters()).device):
        for name, pair in _measure(predict(model, batch), batch, threshold, model.config).items():
            totals[name] = totals.get(name, torch.zeros(2)) + pair.cpu()
    return {f"validation/{name}": (total / count.clamp(min=1)).item() for name, (total, count) in totals.items()}


def _measure(output: Output, batch: WindowBatch, threshold: float, config: ModelConfig) -> dict[str, torch.Tensor]:
    """Each metric of one batch as (sum, count), so that batches add up."""
    actions = batch.intended.shape[2]
    real = torch.arange(actions, device=batch.counts.device) < batch.counts[..., None]
    full = batch.counts == actions
    arm = (output.arm - batch.intended[..., :6]).abs().mean(-1)
    right = (output.gripper[..., 0] > 0.5) == (batch.intended[..., 6] >= 1)
    frames = frame_patches(batch.primary, batch.wrist, config)
    assert output.image is not None
    errors = observation_errors(output.image, frames[:, 1:], frames[:, :-1], full, threshold)
    patches = full.sum() * frames[0, 0, :, :, 0].numel()
    changed = patches * errors.changed_fraction
    return {
        "arm_error": _total(arm[real].mean(), real.sum()),
        "gripper_accuracy": _total(right[real].float().mean(), real.sum()),
        "image_all": _total(errors.all, patches),
        "image_changed": _total(errors.changed, changed),
        "copy_all": _total(errors.copy_all, patches),
        "copy_changed": _total(errors.copy_changed, changed),
        "changed_fraction": _total(errors.changed_fraction, patches),
    }


def _total(mean: torch.Tensor, count: torch.Tensor) -> torch.Tensor:
    return torch.stack([mean * count, count.float()])


def _batches(dataset: Windows, limit: int | None, device: torch.device) -> Iterator[WindowBatch]:
    chosen = spread(len(dataset), limit or len(dataset))
    for first in range(0, len(chosen), BATCH):
        yield dataset.batch(chosen[first : first + BATCH]).to(device)


def spread(size: int, count: int) -> np.ndarray:
    """At most `count` indices, evenly spread over range(size)."""
    return np.unique(np.linspace(0, size - 1, min(size, count)).round().astype(np.int64))
