"""Unpickling numpy arrays and Python's plain containers, and nothing that could run code."""

import pickle
from typing import Any

import numpy as np

_CONSTRUCTORS = {"_reconstruct": np.empty(0).__reduce__()[0], "scalar": np.float64(0).__reduce__()[0]}
"""numpy's own, by the names they have in files of every version (numpy.core became numpy._core)."""


class PlainUnpickler(pickle.Unpickler):
    """Raises pickle.UnpicklingError, naming it, for anything but arrays, numbers, texts and containers of these."""

    def find_class(self, module: str, name: str) -> Any:
        if module in ("numpy.core.multiarray", "numpy._core.multiarray") and name in _CONSTRUCTORS:
            return _CONSTRUCTORS[name]
        if (module, name) in {("numpy", "ndarray"), ("numpy", "dtype"), ("_codecs", "encode")}:
            return super().find_class(module, name)
        raise pickle.UnpicklingError(f"refusing to load {module}.{name}")
