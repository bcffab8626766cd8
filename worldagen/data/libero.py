"""LIBERO's official demonstrations: one HDF5 file per task, `data/demo_0`, `data/demo_1`, ...

Facts, from github.com/Lifelong-Robot-Learning/LIBERO (scripts/create_dataset.py): an observation was stored *after* the
action of the same index, so actions[t + 1] leads from observation t to observation t + 1, and the first action belongs
to no stored observation. (The authors of WorldAgen pair them so; elsewhere this is taken for an index error.) Images
are OpenGL's, upside down; the gripper closes with +1; `ee_states` is tool position and axis-angle, as ours. The state's
gripper is the command before: that of the same index.
"""

import json
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path

import h5py
import numpy as np

from worldagen.data.demonstrations import IMAGE, Demonstration, Frames, check_finite, check_form, numbers
from worldagen.data.trajectories import DataError
from worldagen.types import ACTION_SIZE

_OPEN_FILES = 16
_ACTIONS, _POSE, _PRIMARY, _WRIST = "actions", "obs/ee_states", "obs/agentview_rgb", "obs/eye_in_hand_rgb"
_FORMS = {_ACTIONS: numbers(ACTION_SIZE), _POSE: numbers(6), _PRIMARY: IMAGE, _WRIST: IMAGE}


class LiberoDemos:
    """The demonstrations of a folder of `<task>_demo.hdf5` files; `suite` defaults to the folder's name.

    Raises DataError when there are none, naming what is damaged.
    """

    published_delay = 0  # the authors' loader takes action t + 1 with frame t, and so does `actions`

    def __init__(self, folder: str | Path, suite: str = "") -> None:
        self.folder = Path(folder)
        self.suite = suite or self.folder.name
        self._files: OrderedDict[Path, h5py.File] = OrderedDict()
        self._where: list[tuple[Path, str]] = []
        self.demonstrations: list[Demonstration] = []
        for path in sorted(self.folder.glob("[!.]*.hdf5")):
            self._index(path)
        if not self.demonstrations:
            raise DataError(f"{self.folder} holds no demonstrations (<task>_demo.hdf5)")

    def frames(self, index: int, wanted: Sequence[int]) -> Frames:
        rows, back = np.unique(wanted, return_inverse=True)  # HDF5 reads rows in ascending order, each once
        images = [self._read(index, key, rows)[back] for key in (_PRIMARY, _WRIST)]
        pose = self._read(index, _POSE, rows)[back]
        gripper = -np.sign(self._read(index, _ACTIONS, rows)[back, 6:])
        primary, wrist = (np.ascontiguousarray(each[:, ::-1]) for each in images)
        return Frames(primary, wrist, np.concatenate([pose, gripper], axis=1).astype(np.float32))

    def actions(self, index: int, first: int, last: int) -> np.ndarray:
        read = self._read(index, _ACTIONS, slice(first + 1, last + 1))
        return (read * np.array([1, 1, 1, 1, 1, 1, -1])).astype(np.float32)

    def _index(self, path: Path) -> None:
        file = self._file(path)
        try:
            data = file["data"]
            sentence = json.loads(data.attrs["problem_info"])["language_instruction"].strip('"')
            for name in sorted(data, key=lambda name: int(name.split("_")[1])):
                steps = len(data[name]["actions"]) - 1
                if steps > 0:
                    task = path.stem.removesuffix("_demo")
                    self.demonstrations.append(Demonstration(f"{path}, {name}", self.suite, task, sentence, steps))
                    self._where.append((path, name))
        except (KeyError, ValueError, IndexError, TypeError, AttributeError, OSError, RuntimeError) as error:
            raise DataError(
                f"{path} has not the form of LIBERO's demonstrations ({error!r}); fetch it again"
            ) from error

    def _read(self, index: int, key: str, rows: slice | np.ndarray) -> np.ndarray:
        """Rows of a dataset of the demonstration; row t is the one stored with frame t."""
        stored, where = self._dataset(index, key)
        frames = np.arange(len(stored))[rows]
        try:
            read = stored[rows]
        except (OSError, RuntimeError) as error:
            frame = _first_unreadable(stored, frames)
            raise DataError(f"{where} of frame {frame} cannot be read ({error}); fetch it again") from error
        if _FORMS[key] is not IMAGE:
            check_finite(read, where, frames)
        return read

    def _dataset(self, index: int, key: str) -> tuple[h5py.Dataset, str]:
        """The dataset, with a row for each frame, and its name in messages."""
        path, name = self._where[index]
        where, frames = f"{path}: data/{name}/{key}", self.demonstrations[index].steps + 1
        try:
            stored = self._file(path)[f"data/{name}/{key}"]
        except (OSError, KeyError, RuntimeError) as error:
            raise DataError(f"{where} cannot be read ({error}); fetch it again") from error
        if not isinstance(stored, h5py.Dataset):
            raise DataError(f"{where} is a group, expected a dataset; fetch it again")
        shape, dtype = _FORMS[key]
        check_form(stored, ((frames, *shape), dtype), where)
        return stored, where

    def _file(self, path: Path) -> h5py.File:
        """The open file; a bounded number stays open."""
        if path not in self._files:
            try:
                self._files[path] = h5py.File(path, "r")
            except OSError as error:
                raise DataError(f"{path} is no HDF5 file, or damaged ({error}); fetch it again") from error
            if len(self._files) > _OPEN_FILES:
                self._files.popitem(last=False)[1].close()
        self._files.move_to_end(path)
        return self._files[path]


def _first_unreadable(stored: h5py.Dataset, frames: np.ndarray) -> int:
    """Which frame is at fault where reading all of them failed: HDF5 does not say."""
    for frame in frames:
        try:
            stored[frame]
        except (OSError, RuntimeError):
            return int(frame)
    return int(frames[0])
