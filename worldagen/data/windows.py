"""Windows of K chunks cut from episodes, as batches of tensors.

Pairing is exact: the actions of chunk k lead from frame k to frame k + 1, and frame k + 1 is the target of chunk k.
A window may start at any chunk of any episode; where the episode ends inside it, the rest is padding with count 0 (the
last frame repeated, zero actions). Causality hides padding from the real chunks before it, and no loss counts it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Protocol

import numpy as np
import torch

from worldagen.data.trajectories import DataError, check_sizes, sizes
from worldagen.types import Trajectory


@dataclass(frozen=True)
class Window:
    """One window of numpy arrays: a `WindowBatch` without its batch dimension."""

    primary: np.ndarray
    wrist: np.ndarray
    state: np.ndarray
    action: np.ndarray
    intended: np.ndarray
    counts: np.ndarray
    instruction: str


@dataclass(frozen=True)
class WindowBatch:
    """B windows of K chunks of `a` actions. Images stay uint8 until they are on the device."""

    primary: torch.Tensor
    """uint8 (B, K + 1, H, W, 3): the K input frames and the last target."""
    wrist: torch.Tensor
    """uint8 (B, K + 1, H, W, 3)."""
    state: torch.Tensor
    """float32 (B, K, 7)."""
    action: torch.Tensor
    """float32 (B, K, a, 7): executed actions, the world model's input."""
    intended: torch.Tensor
    """float32 (B, K, a, 7): what the demonstrator asked for before noise, the policy's label."""
    counts: torch.Tensor
    """int64 (B, K): real actions in each chunk; 0 for padding."""
    instruction: list[str]
    """B sentences."""
    seen: torch.Tensor | None = None
    """float32 (B, K, 2, tokens, width): what a frozen vision transformer sees in the input frames, where it is kept."""

    def to(self, device: torch.device | str) -> "WindowBatch":
        """The batch with every tensor on `device`."""
        tensors: dict[str, Any] = {name: value for name, value in vars(self).items() if isinstance(value, torch.Tensor)}
        return replace(self, **{name: tensor.to(device, non_blocking=True) for name, tensor in tensors.items()})

    def __len__(self) -> int:
        return len(self.instruction)


class Windows(Protocol):
    """Windows by number, whatever they are cut from."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> Window: ...

    def batch(self, indices: Sequence[int] | np.ndarray) -> WindowBatch: ...


class WindowDataset(torch.utils.data.Dataset[Window]):
    """Every window of `chunks` chunks of `trajectories`, a list or a lazy sequence (`episodes.EpisodeFiles`).

    `lengths` are the episodes' chunk counts where they are known without loading them.
    Raises DataError when an episode's images or chunks differ in size from the first one's.
    """

    def __init__(self, trajectories: Sequence[Trajectory], chunks: int, lengths: Sequence[int] | None = None) -> None:
        if not len(trajectories):
            raise DataError("no trajectories to cut windows from; collect some first")
        self.trajectories = trajectories
        self.chunks = chunks
        self.lengths = np.array([len(t.counts) for t in trajectories] if lengths is None else lengths)
        self._ends = np.cumsum(self.lengths)
        self._sizes = sizes(trajectories[0])

    def __len__(self) -> int:
        return int(self._ends[-1])

    def __getitem__(self, index: int) -> Window:
        trajectory, start = self._place(index)
        check_sizes(trajectory, self._sizes)
        return cut(trajectory, start, self.chunks)

    def _place(self, index: int) -> tuple[Trajectory, int]:
        """The episode of window `index`, and the chunk that it starts with."""
        episode = int(np.searchsorted(self._ends, index, side="right"))
        return self.trajectories[episode], index - int(self._ends[episode] - self.lengths[episode])

    def frame_rows(self, indices: Sequence[int] | np.ndarray) -> np.ndarray:
        """int64 (B, K): where the input frames of windows `indices` lie among all frames of all episodes in order."""
        wanted = np.asarray(indices)
        episodes = np.searchsorted(self._ends, wanted, side="right")
        starts = wanted - (self._ends - self.lengths)[episodes]
        frames = np.minimum(starts[:, None] + np.arange(self.chunks), self.lengths[episodes][:, None])
        first_frames = np.cumsum(self.lengths + 1) - (self.lengths + 1)
        return first_frames[episodes][:, None] + frames

    def counts(self, indices: Sequence[int] | np.ndarray) -> np.ndarray:
        """int64 (B, K): the real actions in each chunk of windows `indices`, as `batch` has them."""
        return np.stack([_counts(*self._place(int(index)), self.chunks) for index in indices])

    def batch(self, indices: Sequence[int] | np.ndarray) -> WindowBatch:
        """The windows `indices` as one batch."""
        return collate([self[int(index)] for index in indices])


def cut(trajectory: Trajectory, start: int, chunks: int) -> Window:
    """The window whose first chunk is chunk `start` of the episode."""
    length = len(trajectory.counts)
    if not 0 <= start < length:
        raise IndexError(f"window start {start} is outside an episode of {length} chunks")
    frames = np.minimum(np.arange(start, start + chunks + 1), length)
    stop = min(start + chunks, length)
    return Window(
        primary=trajectory.primary[frames],
        wrist=trajectory.wrist[frames],
        state=trajectory.state[frames[:-1]],
        action=_padded(trajectory.actions[start:stop], chunks),
        intended=_padded(trajectory.intended[start:stop], chunks),
        counts=_counts(trajectory, start, chunks),
        instruction=trajectory.instruction,
    )


def collate(windows: Sequence[Window]) -> WindowBatch:
    """Stack windows of the same sizes into a batch."""
    arrays: dict[str, Any] = {
        f.name: torch.from_numpy(np.stack([getattr(window, f.name) for window in windows]))
        for f in fields(Window)
        if f.name != "instruction"
    }
    return WindowBatch(**arrays, instruction=[window.instruction for window in windows])


def _counts(trajectory: Trajectory, start: int, chunks: int) -> np.ndarray:
    return _padded(trajectory.counts[start : start + chunks], chunks).astype(np.int64)


def _padded(values: np.ndarray, length: int) -> np.ndarray:
    return np.concatenate([values, np.zeros((length - len(values), *values.shape[1:]), values.dtype)])
