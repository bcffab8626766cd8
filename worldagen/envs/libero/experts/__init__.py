"""Scripted experts for LIBERO tasks: closed-loop actions from the simulator's ground truth.

One module a suite, each a table from task to script.
"""

from collections.abc import Iterator, Mapping

import numpy as np

from worldagen.envs.libero.env import LiberoEnv
from worldagen.envs.libero.experts import goal, object, spatial, ten
from worldagen.envs.libero.scene import Scene
from worldagen.envs.libero.scripts import Script
from worldagen.envs.motion import OPEN
from worldagen.types import EpisodeSpec

SCRIPTS: Mapping[str, Mapping[str, Script]] = {
    "libero_goal": goal.SCRIPTS,
    "libero_object": object.SCRIPTS,
    "libero_spatial": spatial.SCRIPTS,
    "libero_10": ten.SCRIPTS,
}
"""Suite -> task -> script."""

EXPERT_TASKS: dict[str, tuple[str, ...]] = {suite: tuple(scripts) for suite, scripts in SCRIPTS.items()}

_REST = np.array([0, 0, 0, 0, 0, 0, OPEN], np.float32)


def expert(spec: EpisodeSpec, env: LiberoEnv) -> Iterator[np.ndarray]:
    """Endless float32 (7,) actions for the episode that `env` was reset to; each reads the simulator when drawn."""
    script = SCRIPTS[spec.env.suite][env.task]
    return _actions(script, Scene(env.task_env))


def _actions(script: Script, scene: Scene) -> Iterator[np.ndarray]:
    gripper = OPEN
    while True:
        action = script(scene, gripper)
        if action is None:
            action = _REST
        gripper = float(action[-1])
        yield action
