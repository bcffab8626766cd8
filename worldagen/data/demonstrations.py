"""Demonstrations that others recorded frame by frame: CALVIN's and LIBERO's, in worldagen's conventions.

A reader (`calvin.py`, `libero.py`) says what there is and reads single frames; here frames become windows that start at
any control step, or whole trajectories for our own store.

Pairing: the actions a[f] ... a[f + a - 1] lead from frame f to frame f + a. `published` is what the authors' training
did, for whoever wants to continue with their weights: with CALVIN a[f + 1] ... a[f + a], one action late; with LIBERO
the same as the exact one.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from worldagen.data.trajectories import DataError, TrajectoryInfo
from worldagen.data.windows import Window, WindowBatch, collate
from worldagen.types import ACTION_SIZE, EnvSpec, EpisodeSpec, PolicySpec, Trajectory

Form = tuple[tuple[int | None, ...], type]
"""Shape, where None fits any size, and numpy type, abstract or not."""
IMAGE: Form = ((None, None, 3), np.uint8)
PAIRINGS = ("exact", "published")


def numbers(size: int) -> Form:
    """The form of `size` numbers of whatever type."""
    return (size,), np.number


@dataclass(frozen=True)
class Demonstration:
    """One demonstration: `steps` control steps between `steps + 1` frames."""

    name: str
    """Where it comes from, for error messages and as a name of its own."""
    suite: str
    task: str
    instruction: str
    steps: int

    def __str__(self) -> str:
        return f"{self.name} ({self.suite}, {self.task}, {self.instruction!r}, {self.steps} steps)"


@dataclass(frozen=True)
class Frames:
    """Some frames of a demonstration, in the order asked for."""

    primary: np.ndarray
    """uint8 (n, H, W, 3)."""
    wrist: np.ndarray
    """uint8 (n, h, w, 3)."""
    state: np.ndarray
    """float32 (n, 7)."""


class Demonstrations(Protocol):
    """A folder of demonstrations. Nothing is read before it is needed, and nothing is kept."""

    @property
    def demonstrations(self) -> Sequence[Demonstration]: ...

    @property
    def published_delay(self) -> int:
        """How many actions later than the exact ones the authors' training took those of a frame."""
        ...

    def frames(self, index: int, wanted: Sequence[int]) -> Frames:
        """Frames of demonstration `index`, counted from 0. Raises DataError naming file and frame."""
        ...

    def actions(self, index: int, first: int, last: int) -> np.ndarray:
        """float32 (last - first, 7): the actions after frames `first` to `last - 1`. Raises DataError."""
        ...


def late(source: Demonstrations, pairing: str) -> int:
    """How many actions later than the exact ones a window's are. Raises ValueError for an unknown pairing."""
    if pairing not in PAIRINGS:
        raise ValueError(f"unknown pairing {pairing!r}; use {' or '.join(PAIRINGS)}")
    return source.published_delay if pairing == "published" else 0


class StepWindows:
    """Windows of `chunks` chunks of `actions_per_chunk` actions, one from every control step of every demonstration, or
    of those at the places `chosen`.

    Where a demonstration ends inside a window, the rest is padding; no frame is left out. Gives the same batches as
    `WindowDataset`. Raises DataError when there are no demonstrations, or their images have several sizes.
    """

    def __init__(
        self,
        source: Demonstrations,
        chunks: int,
        actions_per_chunk: int,
        pairing: str = "exact",
        chosen: Sequence[int] | None = None,
    ) -> None:
        if not source.demonstrations:
            raise DataError("no demonstrations to cut windows from")
        self.source = source
        self.chunks, self.size = chunks, actions_per_chunk
        self.late = late(source, pairing)
        self._chosen = range(len(source.demonstrations)) if chosen is None else chosen
        steps = np.array([source.demonstrations[index].steps for index in self._chosen])
        self._ends = np.cumsum(np.maximum(steps - self.late, 0))
        self._first: tuple[str, list[tuple[int, ...]]] | None = None

    def __len__(self) -> int:
        return int(self._ends[-1])

    def __getitem__(self, index: int) -> Window:
        place = int(np.searchsorted(self._ends, index, side="right"))
        return self._cut(self._chosen[place], index - int(self._ends[place - 1] if place else 0))

    def batch(self, indices: Sequence[int] | np.ndarray) -> WindowBatch:
        """The windows `indices` as one batch."""
        return collate([self[int(index)] for index in indices])

    def _cut(self, index: int, start: int) -> Window:
        about = self.source.demonstrations[index]
        wanted = np.minimum(start + self.size * np.arange(self.chunks + 1), about.steps)
        frames = self.source.frames(index, wanted.tolist())
        self._check_sizes(about, frames)
        end = min(start + self.late + self.chunks * self.size, about.steps)
        actions, counts = _chunked(self.source.actions(index, start + self.late, end), self.chunks, self.size)
        return Window(
            frames.primary,
            frames.wrist,
            frames.state[:-1],
            actions,
            actions,
            counts.astype(np.int64),
            about.instruction,
        )

    def _check_sizes(self, about: Demonstration, frames: Frames) -> None:
        found = [frames.primary.shape[1:3], frames.wrist.shape[1:3]]
        if any(height != width for height, width in found):
            raise DataError(f"{about.name} has images of {found[0]} and {found[1]} pixels (primary, wrist); use square")
        name, sizes = self._first = self._first or (about.name, found)
        if found != sizes:
            raise DataError(
                f"{about.name} has images of {found[0]} and {found[1]} pixels (primary, wrist), but {name} of "
                f"{sizes[0]} and {sizes[1]}; a folder has images of one size"
            )


def trajectory(source: Demonstrations, index: int, actions_per_chunk: int) -> Trajectory:
    """A whole demonstration as our store keeps episodes: frames at chunk boundaries, the last chunk cut short."""
    about = source.demonstrations[index]
    chunks = -(-about.steps // actions_per_chunk)
    wanted = [*range(0, about.steps, actions_per_chunk), about.steps]
    frames = source.frames(index, wanted)
    actions, counts = _chunked(source.actions(index, 0, about.steps), chunks, actions_per_chunk)
    env = EnvSpec(
        suite=about.suite,
        image_size=frames.primary.shape[1],
        wrist_image_size=frames.wrist.shape[1],
        visuals="full",
        assets="official",
    )
    return Trajectory(
        spec=EpisodeSpec(
            env=env,
            task=about.task,
            init_state=index,
            seed=0,
            policy=PolicySpec(kind="recorded", checkpoint=about.name),
            actions_per_chunk=actions_per_chunk,
            step_limit=about.steps,
            record="trajectory",
        ),
        instruction=about.instruction,
        primary=frames.primary,
        wrist=frames.wrist,
        state=frames.state,
        actions=actions,
        intended=actions,
        counts=counts,
        success=True,
    )


def origin(file: TrajectoryInfo) -> Demonstration:
    """The demonstration that `trajectory` made a stored episode of."""
    spec = file.spec
    return Demonstration(spec.policy.checkpoint, spec.env.suite, spec.task, file.instruction, spec.step_limit)


def check_form(stored: Any, form: Form, where: str) -> None:
    """Raise DataError, naming `where`, unless an array or HDF5 dataset has this form."""
    shape, dtype = form
    fits = len(stored.shape) == len(shape) and all(b in (None, a) for a, b in zip(stored.shape, shape, strict=True))
    if not fits or not np.issubdtype(stored.dtype, dtype):
        expected = f"{dtype.__name__} {str(shape).replace('None', 'any')}"
        raise DataError(f"{where} is {stored.dtype} {stored.shape}, expected {expected}; fetch it again")


def check_finite(values: np.ndarray, name: str, frames: Sequence[int] | np.ndarray) -> None:
    """Raise DataError where a row of `values` (n, m) is not finite as float32, naming the frame it is stored with."""
    with np.errstate(over="ignore"):
        bad = ~np.isfinite(values.astype(np.float32)).all(axis=1)
    if bad.any():
        raise DataError(f"{name} of frame {frames[int(bad.argmax())]} is not finite; fetch it again")


def _chunked(actions: np.ndarray, chunks: int, size: int) -> tuple[np.ndarray, np.ndarray]:
    """(n, 7) actions as float32 (chunks, size, 7), zeros behind them, and how many of each chunk are real."""
    padded = np.zeros((chunks * size, ACTION_SIZE), np.float32)
    padded[: len(actions)] = actions
    counts = np.clip(len(actions) - size * np.arange(chunks), 0, size).astype(np.int32)
    return padded.reshape(chunks, size, ACTION_SIZE), counts
