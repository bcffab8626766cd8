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
from typing import Any

import h5py
import numpy as np

from worldagen.data.demonstrations import Demonstration, Frames, checked
from worldagen.data.trajectories import DataError

_OPEN_FILES = 16


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
        for path in sorted(self.folder.glob("*.hdf5")):
            self._index(path)
        if not self.demonstrations:
            raise DataError(f"{self.folder} holds no demonstrations (<task>_demo.hdf5)")

    def frames(self, index: int, wanted: Sequence[int]) -> Frames:
        path, name = self._where[index]
        rows, back = np.unique(wanted, return_inverse=True)  # HDF5 reads rows in ascending order, each once
        observations = f"data/{name}/obs"
        images = [self._read(path, f"{observations}/{key}", rows)[back] for key in ("agentview_rgb", "eye_in_hand_rgb")]
        pose = self._read(path, f"{observations}/ee_states", rows)[back]
        gripper = -np.sign(self._read(path, f"data/{name}/actions", rows)[back, 6:])
        primary, wrist = (np.ascontiguousarray(each[:, ::-1]) for each in images)
        return Frames(primary, wrist, np.concatenate([pose, gripper], axis=1).astype(np.float32))

    def actions(self, index: int, first: int, last: int) -> np.ndarray:
        path, name = self._where[index]
        read = self._read(path, f"data/{name}/actions", slice(first + 1, last + 1))
        return checked(read * np.array([1, 1, 1, 1, 1, 1, -1]), f"{path}, {name}", first)

    def _index(self, path: Path) -> None:
        try:
            data = self._file(path)["data"]
            sentence = json.loads(data.attrs["problem_info"])["language_instruction"].strip('"')
            for name in sorted(data, key=lambda name: int(name.split("_")[1])):
                steps = len(data[name]["actions"]) - 1
                if steps > 0:
                    task = path.stem.removesuffix("_demo")
                    self.demonstrations.append(Demonstration(f"{path}, {name}", self.suite, task, sentence, steps))
                    self._where.append((path, name))
        except (KeyError, ValueError, IndexError) as error:
            raise DataError(f"{path} has not the form of LIBERO's demonstrations ({error})") from error

    def _read(self, path: Path, key: str, rows: Any) -> np.ndarray:
        try:
            return self._file(path)[key][rows]
        except (OSError, KeyError) as error:
            raise DataError(f"{path}: {key} cannot be read ({error}); fetch the file again") from error

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
