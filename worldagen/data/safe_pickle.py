"""Reading .npy files that hold pickled dictionaries, without running what else a pickle may hold."""

from pathlib import Path
from typing import Any

import numpy as np

from worldagen.data.trajectories import DataError
from worldagen.plain_pickle import PlainUnpickler


def load_plain(path: Path) -> Any:
    """The content of a .npy file: an array, or the one object of an object array. Raises DataError naming the file."""
    try:
        with open(path, "rb") as file:
            version = np.lib.format.read_magic(file)
            read_header = {1: np.lib.format.read_array_header_1_0, 2: np.lib.format.read_array_header_2_0}[version[0]]
            _, _, dtype = read_header(file)
            if not dtype.hasobject:
                return np.load(path, allow_pickle=False)
            return PlainUnpickler(file).load().item()
    except FileNotFoundError as error:
        raise DataError(f"there is no {path}; is this the folder of a whole split?") from error
    except Exception as error:  # a damaged pickle raises whatever its instructions happen to run into
        raise DataError(
            f"{path} is damaged, or holds more than arrays and plain values: {error!r}; fetch it again"
        ) from error
