"""What tells the four scenes apart, whichever assets they are built from."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

BlockSize = Literal["small", "middle", "big"]
Surface = tuple[tuple[float, float, float], tuple[float, float, float]]
_SEED = 0
"""calvin_env's own."""


@dataclass(frozen=True)
class Scene:
    letter: str
    """`A` to `D`."""
    blocks: dict[str, BlockSize]
    """Name and size of each block, in the order in which they are loaded."""
    surfaces: tuple[Surface, ...]
    """Corners (m) between which blocks may be put: on the table, behind the slider on the left and on the right."""

    def first_poses(self) -> dict[str, tuple[np.ndarray, float]]:
        """Where calvin_env's generator puts each block (m, and rad about the vertical) while loading it.

        A reset moves them at once, but the order in which Bullet finds contacts later depends on it.
        """
        random = np.random.default_rng(_SEED)
        poses = {}
        for name in self.blocks:
            low, high = self.surfaces[random.choice(len(self.surfaces))]
            poses[name] = random.uniform(low, high), random.uniform([0, 0, -np.pi], [0, 0, np.pi])[2]
        return poses


def _behind_slider(left: tuple[float, float], right: tuple[float, float]) -> tuple[Surface, Surface]:
    return ((left[0], 0.05, 0.46), (left[1], 0.12, 0.46)), ((right[0], 0.05, 0.46), (right[1], 0.12, 0.46))


def _on_table(left: float, right: float) -> Surface:
    return (left, -0.15, 0.46), (right, -0.03, 0.46)


SCENES = {
    "calvin_a": Scene(
        letter="A",
        blocks={"block_pink": "small", "block_blue": "big", "block_red": "middle"},
        surfaces=(_on_table(-0.2, 0.35), *_behind_slider((-0.32, -0.16), (-0.05, 0.13))),
    ),
    "calvin_b": Scene(
        letter="B",
        blocks={"block_red": "small", "block_blue": "big", "block_pink": "middle"},
        surfaces=(_on_table(-0.35, 0.15), *_behind_slider((-0.12, 0.06), (0.15, 0.33))),
    ),
    "calvin_c": Scene(
        letter="C",
        blocks={"block_blue": "small", "block_red": "big", "block_pink": "middle"},
        surfaces=(_on_table(0.0, 0.35), *_behind_slider((-0.12, 0.06), (0.15, 0.3))),
    ),
    "calvin_d": Scene(
        letter="D",
        blocks={"block_red": "middle", "block_blue": "small", "block_pink": "big"},
        surfaces=(_on_table(0.0, 0.35), *_behind_slider((-0.32, -0.16), (-0.05, 0.13))),
    ),
}
