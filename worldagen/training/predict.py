"""A model's predictions for a batch of windows."""

import torch

from worldagen.data.windows import WindowBatch
from worldagen.models.pixels import normalise
from worldagen.models.worldagen import Output, WorldAgen


def predict(model: WorldAgen, batch: WindowBatch) -> Output:
    """Run `model` on the K input frames of each window of `batch`, which is on its device."""
    chunks = batch.state.shape[1]
    return model.decode(
        _features(model, batch, chunks),
        state=batch.state,
        text_embedding=model.encode_text(batch.instruction)[:, None].expand(-1, chunks, -1),
        action=batch.action.flatten(1, 2),
    )


def _features(model: WorldAgen, batch: WindowBatch, chunks: int) -> torch.Tensor:
    """(B, K, F, hidden), from what the vision transformer saw where the batch brings it along."""
    if batch.seen is None:
        primary, wrist = (
            normalise(frames[:, :chunks], model.config.image_size) for frames in (batch.primary, batch.wrist)
        )
        features = model.encode_frames(primary.flatten(0, 1), wrist.flatten(0, 1))
    else:
        features = model.compress(batch.seen.flatten(0, 1))
    return features.unflatten(0, (-1, chunks))
