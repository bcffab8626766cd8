"""Folders of episode files: what they hold, which of them are held out, and reading them within a memory bound."""

import hashlib
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Protocol, TypeVar, overload

from worldagen.data.trajectories import DataError, TrajectoryInfo, decoded, info, load
from worldagen.types import Trajectory

CACHE_BYTES = 2 << 30


class Episode(Protocol):
    """What training must know of an episode before reading it, whatever it is stored in."""

    @property
    def key(self) -> str: ...

    @property
    def name(self) -> str:
        """Where it comes from, for messages; ends like a path in what tells it from its neighbours."""
        ...

    @property
    def task(self) -> str: ...

    @property
    def windows(self) -> int: ...

    @property
    def actions_per_chunk(self) -> int: ...

    @property
    def digest(self) -> str: ...


AnyEpisode = TypeVar("AnyEpisode", bound=Episode)


class EpisodeFiles(Sequence[Trajectory]):
    """A lazy sequence of trajectories: the first ones that are used stay decoded, up to `cache_bytes` of images.

    All others are read anew each time, and only those of their images are decoded that are looked at: in random order
    no other choice of what to keep would be used more often.
    """

    def __init__(self, episodes: Sequence[TrajectoryInfo], cache_bytes: int = CACHE_BYTES) -> None:
        self.episodes = list(episodes)
        self.lengths = [episode.chunks for episode in episodes]
        self.cache_bytes = cache_bytes
        self._cached: dict[int, Trajectory] = {}
        self._bytes = 0

    def __len__(self) -> int:
        return len(self.episodes)

    @overload
    def __getitem__(self, index: int) -> Trajectory: ...
    @overload
    def __getitem__(self, index: slice) -> "EpisodeFiles": ...
    def __getitem__(self, index: int | slice) -> "Trajectory | EpisodeFiles":
        if isinstance(index, slice):
            return EpisodeFiles(self.episodes[index], self.cache_bytes)
        if index in self._cached:
            return self._cached[index]
        trajectory = load(self.episodes[index].path, decode=False)
        size = trajectory.primary.nbytes + trajectory.wrist.nbytes
        if self._bytes + size <= self.cache_bytes:
            trajectory = self._cached[index] = decoded(trajectory)
            self._bytes += size
        return trajectory


def find_demonstrations(folder: str | Path, tasks: Collection[str] = ()) -> list[TrajectoryInfo]:
    """The successful episodes below `folder`, of `tasks` if any are named, in the order of their keys.

    Raises DataError when there are none, or when they differ in image size or actions per chunk.
    """
    folder = Path(folder).expanduser().absolute()
    if not folder.is_dir():
        raise DataError(
            f"there is no folder {folder}; record demonstrations with pipelines/collect_demos.py, or name in demos_dir "
            "or pretrain.data a folder that has some"
        )
    episodes = [info(path) for path in sorted(folder.rglob("*.parquet"))]
    usable = [e for e in episodes if e.success and (not tasks or e.task in tasks)]
    if not usable:
        wanted = f"successful episodes of {', '.join(tasks)}" if tasks else "successful episodes"
        raise DataError(
            f"no {wanted} below {folder} ({len(episodes)} episode files there); "
            "record demonstrations with pipelines/collect_demos.py, or set demos_dir or pretrain.data; CALVIN's and "
            "LIBERO's own files are read from the very folder that holds them (task_ABC_D/training, libero_goal)"
        )
    check_alike(usable)
    check_distinct(usable)
    return sorted(usable, key=lambda episode: episode.key)


def check_alike(episodes: Sequence[TrajectoryInfo]) -> None:
    """Raise DataError, naming both files, when two episodes cannot share a batch."""
    first = episodes[0]
    for episode in episodes:
        for name in ("image_size", "actions_per_chunk"):
            if getattr(first, name) != getattr(episode, name):
                raise DataError(
                    f"{episode.path} has {name} {getattr(episode, name)}, but {first.path} has {getattr(first, name)}; "
                    "train on one of the two, or record or convert them with the same settings"
                )


def check_distinct(episodes: Sequence[Episode]) -> None:
    """Raise DataError, naming both, when an episode occurs twice."""
    names = dict[str, str]()
    for episode in episodes:
        if twin := names.get(episode.key):
            raise DataError(f"{episode.name} is the same episode as {twin}; every episode may occur once")
        names[episode.key] = episode.name


def hold_out(
    episodes: Sequence[AnyEpisode], fraction: float, seed: int, most: int | None = None
) -> tuple[list[AnyEpisode], list[AnyEpisode]]:
    """Split into (training, held-out) episodes: of each task a `fraction`, at least one where the task has two or more.

    With `most` only so many of each task are left to train on; the held-out ones are the same whatever it is, and fewer
    are among more. An episode's rank depends on `seed` and its key only, so the order of `episodes` does not matter.
    Raises DataError when nothing could be held out.
    """
    by_task: dict[str, list[AnyEpisode]] = {}
    for episode in episodes:
        by_task.setdefault(episode.task, []).append(episode)
    held, kept = set[str](), set[str]()
    for group in by_task.values():
        count = min(max(1, round(fraction * len(group))), len(group) - 1)
        ranked = sorted((e.key for e in group), key=lambda key: _rank(key, seed))
        held.update(ranked[:count])
        kept.update(ranked[count:][:most])
    if not held:
        raise DataError(
            f"cannot hold out validation episodes: every task has only one of the {len(episodes)} episodes; record more"
        )
    return [e for e in episodes if e.key in kept], [e for e in episodes if e.key in held]


def _rank(key: str, seed: int) -> str:
    return hashlib.sha256(f"{seed}:{key}".encode()).hexdigest()
