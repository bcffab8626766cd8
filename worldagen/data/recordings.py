"""CALVIN's and LIBERO's demonstrations to train on as they were published, read from their own files, not converted.

A folder holds either: LIBERO's `.hdf5` files or the `.npz` frames of one CALVIN split.
"""

import os
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from worldagen.data.calvin import CalvinSplit
from worldagen.data.demonstrations import Demonstration, Demonstrations, late
from worldagen.data.libero import LiberoDemos
from worldagen.data.trajectories import DataError

FORMATS = (".hdf5", ".npz", ".parquet")
"""LIBERO's, CALVIN's and ours."""


@dataclass(frozen=True)
class Recording:
    """One demonstration in a folder of them; a window starts at every control step."""

    folder: Path
    index: int
    """Its place among the folder's demonstrations."""
    about: Demonstration
    windows: int
    actions_per_chunk: int
    pairing: str
    """`exact` or `published`; see demonstrations.py."""
    digest: str = ""
    """None: hashing hundreds of gigabytes would take hours."""

    @property
    def name(self) -> str:
        """Where it comes from, for messages."""
        return self.about.name

    @property
    def task(self) -> str:
        return self.about.task

    @property
    def key(self) -> str:
        """Identifies the demonstration, wherever the folder lies; of LIBERO's its name is the suite's."""
        place = self.about.name.removeprefix(str(self.folder)).strip("/ ")
        return f"{self.about.suite} {self.index}: {place}, {self.about.task}, {self.about.instruction!r}"


def is_recorded(folder: Path) -> bool:
    """Whether a folder holds demonstrations in CALVIN's or LIBERO's own format.

    Raises DataError when it holds more than one format, ours included: which one is meant?
    """
    kinds = set(_suffixes(folder))
    if len(kinds) > 1:
        raise DataError(f"{folder} holds {' and '.join(sorted(kinds))} files; move them to folders of their own")
    return kinds in ({".hdf5"}, {".npz"})


def open_recorded(folder: Path) -> Demonstrations:
    """The demonstrations of a folder. Raises DataError naming what is missing or damaged."""
    return LiberoDemos(folder) if next(_suffixes(folder), None) == ".hdf5" else CalvinSplit(folder)


def find_recordings(folder: Path, tasks: Collection[str], actions_per_chunk: int, pairing: str) -> list[Recording]:
    """The demonstrations of `folder`, of `tasks` if any are named. Raises DataError when there are none."""
    source = open_recorded(folder)
    skipped = late(source, pairing)
    found = [
        Recording(folder, index, about, about.steps - skipped, actions_per_chunk, pairing)
        for index, about in enumerate(source.demonstrations)
        if about.steps > skipped and (not tasks or about.task in tasks)
    ]
    if not found and not tasks:
        raise DataError(
            f"{folder} has no demonstration of which pretrain.pairing={pairing} leaves an action; use others"
        )
    if not found:
        there = ", ".join(sorted({about.task for about in source.demonstrations}))
        raise DataError(f"{folder} has no demonstrations of {', '.join(tasks)}; it has some of {there}")
    return found


def _suffixes(folder: Path) -> Iterator[str]:
    """Of the files that can hold demonstrations, as they come: a split may have millions, so nothing lists them all."""
    with os.scandir(folder) as entries:
        for entry in entries:
            suffix = os.path.splitext(entry.name)[1]
            if suffix in FORMATS and not entry.name.startswith("."):
                yield suffix
