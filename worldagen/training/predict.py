"""A model's predictions for a batch of windows."""

from worldagen.data.windows import WindowBatch
from worldagen.models.pixels import normalise
from worldagen.models.worldagen import Output, WorldAgen


def predict(model: WorldAgen, batch: WindowBatch) -> Output:
    """Run `model` on the K input frames of each window of `batch`, which is on its device."""
    chunks = batch.state.shape[1]
    return model(
        image_primary=normalise(batch.primary[:, :chunks], model.config.image_size),
        image_wrist=normalise(batch.wrist[:, :chunks], model.config.image_size),
        state=batch.state,
        text_embedding=model.encode_text(batch.instruction)[:, None].expand(-1, chunks, -1),
        action=batch.action.flatten(1, 2),
    )
