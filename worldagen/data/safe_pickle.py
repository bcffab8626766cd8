"""Reading .npy files that hold pickled dictionaries, without running what else a pickle may hold."""

import pickle
from pathlib import Path
from typing import Any

import numpy as np

from worldagen.data.trajectories import DataError

_ARRAYS = {"_reconstruct": np.empty(0).__reduce__()[0], "scalar": np.float64(0).__reduce__()[0]}
"""numpy's own constructors, by the names they have in every version (numpy.core became numpy._core)."""


class _PlainUnpickler(pickle.Unpickler):
    """Builds numpy arrays and Python's plain containers, and refuses everything else."""

    def find_class(self, module: str, name: str) -> Any:
        if module in ("numpy.core.multiarray", "numpy._core.multiarray") and name in _ARRAYS:
            return _ARRAYS[name]
        if (module, name) in {("numpy", "ndarray"), ("numpy", "dtype"), ("_codecs", "encode")}:
            return super().find_class(module, name)
        raise pickle.UnpicklingError(f"refusing to load {module}.{name}")


def load_plain(path: Path) -> Any:
    """The content of a .npy file: an array, or the one object of an object array. Raises DataError naming the file."""
    try:
        with open(path, "rb") as file:
            version = np.lib.format.read_magic(file)
            read_header = {1: np.lib.format.read_array_header_1_0, 2: np.lib.format.read_array_header_2_0}[version[0]]
            _, _, dtype = read_header(file)
            if not dtype.hasobject:
                return np.load(path, allow_pickle=False)
            return _PlainUnpickler(file).load().item()
    except FileNotFoundError as error:
        raise DataError(f"there is no {path}; is this the folder of a whole split?") from error
    except (OSError, EOFError, KeyError, ValueError, AttributeError, pickle.UnpicklingError) as error:
        raise DataError(f"{path} is damaged, or holds more than arrays and plain values: {error}") from error
