"""What a frozen vision transformer sees in every frame of some episodes: computed once, kept on disk, read as needed.

At the published size the encoder is three quarters of a training step's arithmetic, and a frame is part of K windows in
every epoch. A frame of both cameras takes 1.2 MB there in float32 and half of it in float16.
"""

import hashlib
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from worldagen.atomic import write_text
from worldagen.config import content_key
from worldagen.data.episodes import EpisodeFiles
from worldagen.data.windows import WindowBatch, WindowDataset
from worldagen.models.pixels import normalise
from worldagen.models.precision import computing
from worldagen.models.worldagen import WorldAgen
from worldagen.tracking.progress import progress
from worldagen.training.state import TrainingError

_FRAMES_AT_ONCE = 32


class SeenWindows(WindowDataset):
    """Windows whose batches bring along what the vision transformer sees, from the file that `see_all` wrote."""

    def __init__(self, episodes: EpisodeFiles, chunks: int, seen: Path) -> None:
        super().__init__(episodes, chunks, episodes.lengths)
        self.seen = np.load(seen, mmap_mode="r")

    def batch(self, indices: Sequence[int] | np.ndarray) -> WindowBatch:
        seen = torch.from_numpy(self.seen[self.frame_rows(indices)]).float()
        return replace(super().batch(indices), seen=seen)


def cache_path(folder: Path, model: WorldAgen, episodes: EpisodeFiles, dtype: torch.dtype) -> Path:
    """File of what this vision transformer sees in these episodes."""
    digest = hashlib.sha256()
    for name, tensor in sorted(model.vision.state_dict().items()):
        digest.update(name.encode() + tensor.detach().cpu().contiguous().numpy().tobytes())
    key = content_key(digest.hexdigest(), [e.digest for e in episodes.episodes], model.config.image_size, str(dtype))
    return folder / f"{key}.npy"


@torch.no_grad()
def see_all(model: WorldAgen, episodes: EpisodeFiles, path: Path, dtype: torch.dtype) -> None:
    """Write `path`: (frames of all episodes, 2, tokens, width), float32 if computed so, else float16.

    Goes on where an interrupted call stopped; the file appears under its name when it is whole.
    Raises TrainingError when the disk has no room for it.
    """
    if path.exists():
        return
    partial, done = path.with_suffix(".partial.npy"), path.with_suffix(".done")
    finished = int(done.read_text()) if done.exists() and partial.exists() else 0
    table = _table(model, episodes, partial, dtype, new=finished == 0)
    first = np.cumsum([0, *(length + 1 for length in episodes.lengths)])
    coming = range(finished, len(episodes))
    for index in progress(coming, len(episodes), "encoding frames", "episode", initial=finished):
        table[first[index] : first[index + 1]] = _see(model, episodes, index, dtype)
        table.flush()
        write_text(done, str(index + 1))
    partial.rename(path)
    done.unlink()


def _table(model: WorldAgen, episodes: EpisodeFiles, path: Path, dtype: torch.dtype, new: bool) -> np.memmap:
    if not new:
        return np.lib.format.open_memmap(path, mode="r+")
    path.parent.mkdir(parents=True, exist_ok=True)
    config = model.config
    tokens = 1 + (config.image_size // config.patch_size) ** 2
    shape = (sum(length + 1 for length in episodes.lengths), 2, tokens, config.vision_width)
    kind = np.float32 if dtype == torch.float32 else np.float16
    try:
        table = np.lib.format.open_memmap(path, mode="w+", dtype=kind, shape=shape)
        _reserve(path)
    except OSError as error:
        path.unlink(missing_ok=True)
        gigabytes = np.prod(shape) * np.dtype(kind).itemsize / 1e9
        raise TrainingError(
            f"cannot make room for {path}, {gigabytes:.3g} GB of what the vision transformer sees: {error.strerror}; "
            "free as much, or set pretrain.cache_vision=false"
        ) from error
    return table


def _reserve(path: Path) -> None:
    """Take the disk blocks of the whole file now: in a sparse file a full disk kills the process that writes to it."""
    with path.open("r+b") as file:
        os.posix_fallocate(file.fileno(), 0, path.stat().st_size)


def _see(model: WorldAgen, episodes: EpisodeFiles, index: int, dtype: torch.dtype) -> np.ndarray:
    device, size = model.offset.device, model.config.image_size
    trajectory, parts = episodes[index], []
    for first in range(0, len(trajectory.primary), _FRAMES_AT_ONCE):
        frames = [
            normalise(torch.from_numpy(images[first : first + _FRAMES_AT_ONCE]).to(device), size)
            for images in (trajectory.primary, trajectory.wrist)
        ]
        with computing(dtype, str(device)):
            parts.append(model.see(*frames).cpu().numpy())
    return np.concatenate(parts)
