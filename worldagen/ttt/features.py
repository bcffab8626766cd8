"""Explored episodes, encoded once: adapters change the backbone only, so the features of a frame never change."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from worldagen.data.windows import WindowBatch, WindowDataset
from worldagen.models.pixels import normalise
from worldagen.models.worldagen import Output, WorldAgen
from worldagen.types import Trajectory

_FRAMES_AT_ONCE = 64


@dataclass(frozen=True)
class ExploredBatch:
    """B windows of K chunks with their features."""

    windows: WindowBatch
    features: torch.Tensor
    """float32 (B, K, F, hidden)."""
    text: torch.Tensor
    """float32 (B, 512): the instruction that the exploring policy was given."""


class ExploredWindows:
    """All windows of some trajectories, ready to be decoded. Raises DataError when there are none."""

    def __init__(self, model: WorldAgen, trajectories: Sequence[Trajectory]) -> None:
        trajectories = [model.conventions.trajectory(trajectory) for trajectory in trajectories]
        self.dataset = WindowDataset(trajectories, model.config.chunks)
        self.device = next(model.parameters()).device
        sentences = list(dict.fromkeys(trajectory.instruction for trajectory in trajectories))
        with torch.no_grad():
            self.features = torch.cat([_encode(model, trajectory) for trajectory in trajectories])
            self.texts = dict(zip(sentences, model.encode_text(sentences), strict=True))

    def __len__(self) -> int:
        return len(self.dataset)

    def batch(self, indices: Sequence[int] | np.ndarray) -> ExploredBatch:
        windows = self.dataset.batch(indices).to(self.device)
        return ExploredBatch(
            windows=windows,
            features=self.features[torch.from_numpy(self.dataset.frame_rows(indices))],
            text=torch.stack([self.texts[sentence] for sentence in windows.instruction]),
        )


def imagine(model: WorldAgen, batch: ExploredBatch) -> torch.Tensor:
    """The world model's predictions (B * K, 2, patches, values) for a batch."""
    return model.imagine(*_inputs(batch, batch.text))


def act(model: WorldAgen, batch: ExploredBatch, text: torch.Tensor) -> Output:
    """The policy's outputs for a batch, under sentence embeddings `text` (B, 512)."""
    return model.decode(*_inputs(batch, text), predict_image=False)


def imagine_and_act(model: WorldAgen, batch: ExploredBatch, text: torch.Tensor) -> Output:
    """`imagine`'s image and `act`'s actions. One pass gives both where the world model is blind to the instruction."""
    if model.config.mask == "strict":
        return model.decode(*_inputs(batch, text))
    return replace(act(model, batch, text), image=imagine(model, batch))


def _inputs(batch: ExploredBatch, text: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    windows = batch.windows
    text = text[:, None].expand(-1, windows.state.shape[1], -1)
    return batch.features, windows.state, text, windows.action.flatten(1, 2)


def _encode(model: WorldAgen, trajectory: Trajectory) -> torch.Tensor:
    device, size = next(model.parameters()).device, model.config.image_size
    primary, wrist = torch.from_numpy(trajectory.primary), torch.from_numpy(trajectory.wrist)
    parts = [
        model.encode_frames(normalise(a.to(device), size), normalise(b.to(device), size))
        for a, b in zip(primary.split(_FRAMES_AT_ONCE), wrist.split(_FRAMES_AT_ONCE), strict=True)
    ]
    return torch.cat(parts)
