"""Scripted experts for CALVIN's 34 tasks: closed-loop actions from the simulator's ground truth, in all four scenes."""

from collections.abc import Iterator

import numpy as np

from worldagen.envs.calvin import places, scripts
from worldagen.envs.calvin.engine import BLOCKS, SCENES
from worldagen.envs.calvin.env import CalvinEnv
from worldagen.envs.calvin.scene import Scene
from worldagen.envs.calvin.scripts import Script
from worldagen.types import EpisodeSpec


def _block_scripts(block: str) -> dict[str, Script]:
    name = f"{block.removeprefix('block_')}_block"
    return {
        f"rotate_{name}_right": scripts.rotate(block, -1.0),
        f"rotate_{name}_left": scripts.rotate(block, 1.0),
        f"push_{name}_right": scripts.push(block, 1.0),
        f"push_{name}_left": scripts.push(block, -1.0),
        **{f"lift_{name}_{place}": scripts.lift(block) for place in ("table", "slider", "drawer")},
    }


SCRIPTS: dict[str, Script] = {
    **{task: script for block in BLOCKS for task, script in _block_scripts(block).items()},
    "move_slider_left": scripts.move_slider(1.0),
    "move_slider_right": scripts.move_slider(-1.0),
    "open_drawer": scripts.open_drawer,
    "close_drawer": scripts.close_drawer,
    "turn_on_lightbulb": scripts.flip_switch(1.0),
    "turn_off_lightbulb": scripts.flip_switch(-1.0),
    "turn_on_led": scripts.press_button,
    "turn_off_led": scripts.press_button,
    "place_in_slider": scripts.place("plank_link", places.in_slider, places.outwards),
    "place_in_drawer": scripts.place("drawer_link", places.in_drawer, places.upwards),
    "stack_block": scripts.stack,
    "unstack_block": scripts.unstack,
    "push_into_drawer": scripts.slide_into_drawer,
}
"""Task -> script; the same in every scene, as scripts read where handles, switches and blocks are."""

EXPERT_TASKS: dict[str, tuple[str, ...]] = {suite: tuple(SCRIPTS) for suite in SCENES}


def expert(spec: EpisodeSpec, env: CalvinEnv) -> Iterator[np.ndarray]:
    """Endless float32 (7,) actions for the env's current task, from where it stands; each reads the simulator when
    drawn. `spec` is not needed: a script depends on the scene alone."""
    return _actions(SCRIPTS[env.task], Scene(env.engine))


def _actions(script: Script, scene: Scene) -> Iterator[np.ndarray]:
    gripper = scene.gripper
    while True:
        action = script(scene, gripper)
        gripper = float(action[-1])
        yield action
