"""Every task as an RLlib environment, by the names it has in Gymnasium.

After `register()`: `config.environment("worldagen/LiberoGoal-v0", env_config={"task": "turn_on_the_stove"})`.
`env_config` holds what `gymnasium.make` takes: at least the task. RLlib cannot pass options to a reset, so a training
run names the initial states it may use: `"init_states": range(20, 50)`.
"""

from functools import partial

import gymnasium
from ray.rllib.env.env_context import EnvContext
from ray.tune.registry import register_env

from worldagen import GYMNASIUM_ENVS


def register() -> None:
    """Make every suite known to RLlib on all nodes, by the same names as in Gymnasium. Ray must be connected."""
    for name in GYMNASIUM_ENVS:
        register_env(name, partial(_create, name))


def _create(name: str, config: EnvContext) -> gymnasium.Env:
    return gymnasium.make(name, **config)
