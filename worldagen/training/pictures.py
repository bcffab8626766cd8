"""A picture of what the world model expects to see: last frame, predicted frame, real next frame, for both cameras."""

from pathlib import Path

import numpy as np
import torch
from matplotlib.figure import Figure

from worldagen.data.windows import Windows
from worldagen.models.pixels import resize, to_uint8, unpatchify
from worldagen.models.worldagen import WorldAgen
from worldagen.training.predict import predict
from worldagen.training.validation import spread

COLUMNS = ("last frame", "predicted", "real")


@torch.no_grad()
def save_predictions(model: WorldAgen, dataset: Windows, path: Path, rows: int = 6) -> None:
    """Write a PNG of the next-frame predictions for `rows` windows spread over `dataset`."""
    model.eval()
    batch = dataset.batch(spread(len(dataset), rows)).to(next(model.parameters()).device)
    image = predict(model, batch).image
    assert image is not None
    pixels = to_uint8(unpatchify(image, model.config.patch_size)).unflatten(0, batch.counts.shape)
    # The last chunk that was executed in full: its window holds the most history.
    full = (batch.counts == batch.action.shape[2]).long()
    slot = (full * torch.arange(1, full.shape[1] + 1, device=full.device)).argmax(1)
    row, size = torch.arange(len(batch), device=slot.device), model.config.image_size
    cameras = [
        (resize(frames[row, slot], size), pixels[row, slot, camera], resize(frames[row, slot + 1], size))
        for camera, frames in enumerate((batch.primary, batch.wrist))
    ]
    images = torch.stack([torch.stack(three, 1) for three in cameras], 1).flatten(1, 2).cpu().numpy()
    draw_grid(images, [f"{camera}: {column}" for camera in ("primary", "wrist") for column in COLUMNS], path)


def draw_grid(images: np.ndarray, titles: list[str], path: Path) -> None:
    """Write uint8 `images` (rows, columns, H, W, 3) as a grid with a title over each column."""
    rows, columns, _, width = images.shape[:4]
    gap = max(1, width // 16)
    framed = np.pad(images, ((0, 0), (0, 0), (0, gap), (0, gap), (0, 0)), constant_values=255)
    whole = np.concatenate(np.concatenate(framed, axis=1), axis=1)
    figure = Figure(figsize=(1.6 * columns, 1.6 * rows + 0.3), layout="constrained")
    axes = figure.add_subplot()
    axes.imshow(whole, interpolation="nearest")
    axes.axis("off")
    for column, title in enumerate(titles):
        axes.text(column * (width + gap) + width / 2, -gap, title, ha="center", va="bottom", fontsize=9)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=100)
