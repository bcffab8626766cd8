"""An RLlib EnvRunner on the real LIBERO simulator."""

import numpy as np
import pytest
import ray
import torch
from ray.rllib.algorithms.ppo import PPOConfig
from ray.rllib.core.columns import Columns
from ray.rllib.core.rl_module.rl_module import RLModuleSpec
from ray.rllib.core.rl_module.torch import TorchRLModule
from ray.rllib.env.single_agent_env_runner import SingleAgentEnvRunner

from worldagen.rollout import rllib


def upwards() -> type[TorchRLModule]:
    class Upwards(TorchRLModule):
        """Raises the hand, whatever it sees. (Local, so that it travels to the actor by value.)"""

        def _forward(self, batch: dict, **_: object) -> dict:
            action = torch.tensor([0, 0, 1.0, 0, 0, 0, 1.0])
            return {Columns.ACTIONS: action.expand(len(batch[Columns.OBS]["state"]), 7)}

    return Upwards


@pytest.mark.usefixtures("ray_cluster")
def test_an_env_runner_samples_episodes() -> None:
    rllib.register()
    settings = {"task": "turn_on_the_stove", "image_size": 32, "step_limit": 6, "init_states": [20, 21]}
    config = (
        PPOConfig()
        .environment("worldagen/LiberoGoal-v0", env_config=settings)
        .env_runners(num_env_runners=1)
        .rl_module(rl_module_spec=RLModuleSpec(module_class=upwards()))
    )
    runner = ray.remote(SingleAgentEnvRunner).remote(config=config, worker_index=1, num_workers=1)
    episodes = ray.get(runner.sample.remote(num_episodes=2))
    assert len(episodes) == 2
    for episode in episodes:
        assert len(episode) == 6 and episode.is_truncated and episode.get_return() == 0
        assert episode.get_infos(-1) == {"success": False, "instruction": "turn on the stove", "steps": 6}
        first, last = episode.get_observations([0, -1])["state"]
        assert last[2] > first[2] + 0.05, "the hand rose"
        images = episode.get_observations()["primary"]
        assert images.shape == (7, 32, 32, 3) and images.dtype == np.uint8 and images.std() > 20
    ray.kill(runner)
