"""Draw both attention masks: `python docs/draw_masks.py` writes docs/images/masks.png."""

from itertools import groupby
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap

from worldagen.models.mask import attention_mask
from worldagen.models.tokens import Layout

LAYOUT = Layout(chunks=2, actions=3, queries=2, observation_queries=4)
SHOWN = {"observation": "world model", "policy": "policy"}


def draw(axes: Axes, kind: str) -> None:
    """One mask: row may attend to dark columns; red is what only `compat` shows."""
    strict, mask = attention_mask(LAYOUT, "strict"), attention_mask(LAYOUT, kind)
    axes.imshow(
        mask.int() + (mask & ~strict).int(), cmap=ListedColormap(["#f4f4f4", "#33638d", "#d1495b"]), vmin=0, vmax=2
    )
    start, centres, names = 0, [], []
    for (chunk, group), members in groupby(LAYOUT.rows()):
        size = len(list(members))
        centres.append(start + (size - 1) / 2)
        names.append(f"{SHOWN.get(group, group)} {chunk}")
        start += size
        for line in (axes.axhline, axes.axvline):
            line(start - 0.5, color="black" if start == LAYOUT.chunk_length else "white", linewidth=0.8)
    axes.set_xticks(centres, names, rotation=90)
    axes.set_yticks(centres, names)
    axes.tick_params(length=0, labelsize=8)
    axes.set_title(kind)


def main() -> None:
    figure, both = plt.subplots(1, 2, figsize=(11, 6.2), layout="constrained")
    for axes, kind in zip(both, ("strict", "compat"), strict=True):
        draw(axes, kind)
    figure.suptitle(
        "Row attends to column. Red: actions see the instruction, and the world model sees the actions", fontsize=10
    )
    figure.savefig(Path(__file__).parent / "images" / "masks.png", dpi=90)


if __name__ == "__main__":
    main()
