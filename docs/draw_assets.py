"""Draw scenes of every suite with primitive assets: `python docs/draw_assets.py` writes docs/images/assets.png."""

from pathlib import Path

import matplotlib
import numpy as np

matplotlib.use("Agg")
import matplotlib.pyplot as plt

from worldagen.envs.base import make_env
from worldagen.envs.libero.tasks import tasks
from worldagen.types import EnvSpec, EpisodeSpec, PolicySpec

# Suite and position of a task in it; together these show every room, object and fixture but one bottle.
SHOWN = (
    ("libero_object", 0),
    ("libero_object", 3),
    ("libero_spatial", 4),
    ("libero_goal", 0),
    ("libero_10", 1),
    ("libero_10", 2),
    ("libero_10", 3),
    ("libero_10", 4),
    ("libero_10", 9),
    ("libero_90", 40),
    ("libero_90", 60),
    ("libero_90", 82),
    ("libero_90", 86),
    ("libero_90", 35),
    ("libero_90", 5),
)
COLUMNS = 3
LOOKS = (("full", 192), ("light", 64))


def picture(suite: str, task: str, visuals: str, size: int) -> np.ndarray:
    """The first image of a task: uint8 (size, size, 3)."""
    env = make_env(EnvSpec(suite=suite, image_size=size, visuals=visuals))  # type: ignore[arg-type]
    spec = EpisodeSpec(env=env.spec, task=task, init_state=0, seed=0, policy=PolicySpec(kind="random"))
    image = env.reset(spec).primary
    env.close()
    return image


def main() -> None:
    figure, rows = plt.subplots(len(SHOWN) // COLUMNS, 2 * COLUMNS, figsize=(9.6, 8.8), layout="constrained")
    cells = np.reshape(rows, (-1, 2))
    for (suite, number), pair in zip(SHOWN, cells, strict=True):
        for axes, (visuals, size) in zip(pair, LOOKS, strict=True):
            axes.imshow(picture(suite, tasks(suite)[number].name, visuals, size), interpolation="nearest")
            axes.set(xticks=[], yticks=[])
            axes.set_title(f"{suite} {number}" if visuals == "full" else f"{visuals}, {size} px", fontsize=7)
    figure.savefig(Path(__file__).parent / "images" / "assets.png", dpi=80)


if __name__ == "__main__":
    main()
