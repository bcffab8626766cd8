"""Draw CALVIN's scenes A to D in both asset sets: `python docs/draw_calvin.py` writes docs/images/calvin_scenes.jpg.

The upper row needs a checkout of calvin_env (CALVIN_ENV_ROOT).
"""

from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np

from worldagen.envs.calvin.engine import SCENES
from worldagen.envs.calvin.native.engine import NativeEngine
from worldagen.envs.calvin.states import initial_state
from worldagen.types import EnvSpec

SIZE = 320
ROWS = (("official", "static"), ("primitive", "static"), ("official", "gripper"), ("primitive", "gripper"))
TARGET = Path(__file__).parent / "images" / "calvin_scenes.jpg"


def picture(scene: str, assets: str, camera: str) -> np.ndarray:
    """uint8 (SIZE, SIZE, 3): the drawer half open, both lights on."""
    engine = NativeEngine(EnvSpec(suite=scene, engine="native", assets=assets, renderer="tiny"))  # type: ignore[arg-type]
    robot_obs, scene_obs = initial_state(scene, "stack_block", 500)
    scene_obs[:6] = 0.1, 0.12, 0.0, 0.05, 1, 1
    engine.reset(robot_obs, scene_obs)
    image = engine.render(camera, SIZE)  # type: ignore[arg-type]
    engine.close()
    return image


def main() -> None:
    figure, grid = plt.subplots(len(ROWS), len(SCENES), figsize=(8, 8.3))
    for axes, (assets, camera) in zip(grid, ROWS, strict=True):
        for axis, scene in zip(axes, SCENES, strict=True):
            axis.imshow(picture(scene, assets, camera))
            axis.set(xticks=[], yticks=[])
            axis.spines[:].set_visible(False)
            if axes is grid[0]:
                axis.set_title(scene, fontsize=9)
        axes[0].set_ylabel(f"{assets}, {camera}", fontsize=9)
    figure.tight_layout(pad=0.4)
    figure.savefig(TARGET, dpi=130, pil_kwargs={"quality": 82})


if __name__ == "__main__":
    main()
