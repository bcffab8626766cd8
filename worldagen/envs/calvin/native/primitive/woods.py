"""Wood for the tables: stripes of grain in the tint of each scene, drawn from a fixed seed."""

from pathlib import Path

import numpy as np
from PIL import Image

_SIZE = 64
_TINTS = {"mahogany": (104, 52, 42), "birch": (233, 194, 142), "walnut": (128, 84, 50), "oak": (158, 126, 90)}
_CONTRAST = {"mahogany": 0.16, "birch": 0.07, "walnut": 0.13, "oak": 0.2}
_SEED = 0


def write_woods(folder: Path) -> None:
    for name, tint in _TINTS.items():
        picture = np.clip(np.array(tint) * (1 + _CONTRAST[name] * _grain())[..., None], 0, 255)
        Image.fromarray(picture.astype(np.uint8)).save(folder / f"{name}.png")


def _grain() -> np.ndarray:
    """(size, size) in [-1, 1]: wavy lines along the columns, the same at opposite edges so that they can repeat."""
    random = np.random.default_rng(_SEED)
    along, across = np.meshgrid(*[2 * np.pi * np.arange(_SIZE) / _SIZE] * 2)
    lines = np.sin(9 * across + 1.5 * np.sin(along) + np.sin(2 * across + 3 * along))
    return np.clip(0.6 * lines + 0.25 * random.standard_normal((_SIZE, _SIZE)), -1, 1)
