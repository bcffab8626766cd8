"""The pool beside Gymnasium's AsyncVectorEnv and RLlib's EnvRunnerGroup: `python benchmarks/pool_peers.py`.

All three run the same episodes on eight copies of the same environment: a reset takes 0.2 s and a control step 10 ms
(about what LIBERO's take). Lengths are unequal in three ways. The vector env gets its best case: it is told to reset
each environment as soon as its episode ends, so that no environment idles while there are episodes left.
"""

import logging
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import gymnasium  # noqa: E402
import numpy as np  # noqa: E402
import ray  # noqa: E402
from gymnasium.vector import AsyncVectorEnv, AutoresetMode  # noqa: E402

from tests.fakes import FakeEnv, spec  # noqa: E402
from worldagen.config import PoolConfig  # noqa: E402
from worldagen.rollout.pool import Pool  # noqa: E402
from worldagen.types import EpisodeSpec, Observation  # noqa: E402

ENVS, EPISODES = 8, 120
SHARE: Any = 0.2
"""CPUs of an env runner; RLlib takes fractions, which its annotation does not know."""
RESET, STEP = 0.2, 0.01
IMAGE = 64


def lengths(mix: str) -> list[int]:
    """Control steps of each episode, in random order."""
    rng = np.random.default_rng(0)
    if mix == "log-uniform, 5 to 200 steps":
        return np.exp(rng.uniform(np.log(5), np.log(200), EPISODES)).astype(int).tolist()
    if mix == "half succeed after 40 to 80 steps, half run to 300":
        return np.where(rng.random(EPISODES) < 0.5, rng.integers(40, 81, EPISODES), 300).tolist()
    return np.where(rng.random(EPISODES) < 0.1, 500, 20).tolist()  # one in ten is long


MIXES = (
    "log-uniform, 5 to 200 steps",
    "half succeed after 40 to 80 steps, half run to 300",
    "one in ten takes 500 steps, the others 20",
)


class SlowResetEnv(FakeEnv):
    """Sleeps as long as LIBERO computes."""

    def reset(self, spec: EpisodeSpec) -> Observation:
        time.sleep(RESET)
        return super().reset(spec)


class GymEnv(gymnasium.Env):
    """The same for Gymnasium, its two images as one vector (RLlib knows no default model for two images).

    An episode's length is an option of its reset, or the next one of its own share.
    """

    observation_space = gymnasium.spaces.Box(0, 255, (2 * IMAGE * IMAGE * 3,), np.uint8)
    action_space = gymnasium.spaces.Box(-1, 1, (7,), np.float32)

    def __init__(self, config: dict[str, Any] | None = None) -> None:
        if config:
            self.own = iter(lengths(config["mix"])[config.worker_index - 1 :: ENVS] * 2)  # type: ignore[attr-defined]

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[np.ndarray, dict]:
        time.sleep(RESET)
        self.left = int((options or {}).get("length") or next(self.own))
        return self._image(), {}

    def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool, dict]:
        time.sleep(STEP)
        self.left -= 1
        return self._image(), 0.0, self.left <= 0, False, {}

    def _image(self) -> np.ndarray:
        return np.zeros(self.observation_space.shape, np.uint8)


class PickedLength(gymnasium.Wrapper):
    """AsyncVectorEnv gives all environments the same options: each takes its own length out of them."""

    def __init__(self, index: int) -> None:
        super().__init__(GymEnv())
        self.index = index

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict]:
        return self.env.reset(seed=seed, options={"length": (options or {})["lengths"][self.index]})


def vector_env(mix: str) -> float:
    """Episodes/s of AsyncVectorEnv, which gets the next episode wherever one has ended."""
    envs = AsyncVectorEnv(
        [lambda index=index: PickedLength(index) for index in range(ENVS)],  # type: ignore[misc]
        autoreset_mode=AutoresetMode.DISABLED,
    )
    waiting, done = lengths(mix), 0
    running = [waiting.pop(0) for _ in range(ENVS)]
    started = time.monotonic()
    envs.reset(options={"lengths": running})
    active = np.ones(ENVS, bool)
    while done < EPISODES:
        _, _, over, _, _ = envs.step(np.zeros((ENVS, 7), np.float32))
        ended = over & active
        done += int(ended.sum())
        for index in np.flatnonzero(ended):
            running[index] = waiting.pop(0) if waiting else 10**9
            active[index] = running[index] < 10**9
        if (again := ended & active).any():
            envs.reset(options={"reset_mask": again, "lengths": running})
    seconds = time.monotonic() - started
    envs.close()
    return EPISODES / seconds


def env_runners(mix: str) -> float:
    """Episodes/s of RLlib's EnvRunnerGroup: eight runners, each with an eighth of the episodes."""
    from ray.rllib.algorithms.ppo import PPOConfig
    from ray.rllib.env.env_runner_group import EnvRunnerGroup

    config = (
        PPOConfig()
        .environment(GymEnv, env_config={"mix": mix})
        .env_runners(num_env_runners=ENVS, num_cpus_per_env_runner=SHARE, create_env_on_local_worker=False)
    )
    group = EnvRunnerGroup(config=config)
    group.foreach_env_runner(lambda runner: None, local_env_runner=False)
    started = time.monotonic()
    samples = group.foreach_env_runner(
        lambda runner: len(runner.sample(num_episodes=EPISODES // ENVS, random_actions=True)), local_env_runner=False
    )
    seconds = time.monotonic() - started
    group.stop()
    return sum(samples) / seconds


def pool(mix: str) -> float:
    """Episodes/s of the pool: two processes of four simulators."""
    suite = "benchmarks.pool_peers:SlowResetEnv"
    settings = PoolConfig(workers=2, envs_per_worker=4)
    with tempfile.TemporaryDirectory() as folder:
        started_pool = Pool.start(settings, folder)
        list(started_pool.run([spec("warm up", -1 - index, suite=suite, step_limit=1) for index in range(2 * ENVS)]))
        specs = [
            spec(f"sleep {STEP}", index, suite=suite, step_limit=length, image_size=IMAGE, actions_per_chunk=1)
            for index, length in enumerate(lengths(mix))
        ]
        started = time.monotonic()
        list(started_pool.run(specs))
        seconds = time.monotonic() - started
        started_pool.close()
    return EPISODES / seconds


if __name__ == "__main__":
    os.environ["PYTHONPATH"] = str(ROOT)
    ray.init("local", num_cpus=2, include_dashboard=False, logging_level=logging.ERROR, log_to_driver=False)
    for mix in MIXES:
        ideal = ENVS * EPISODES / sum(RESET + STEP * length for length in lengths(mix))
        rates = {"AsyncVectorEnv": vector_env(mix), "EnvRunnerGroup": env_runners(mix), "pool": pool(mix)}
        shares = ", ".join(f"{name} {rate:.2f}/s ({rate / ideal:.0%})" for name, rate in rates.items())
        best = max(rate for name, rate in rates.items() if name != "pool")
        print(f"{mix}: {shares}; the pool {rates['pool'] / best:.2f}x the better of the others", flush=True)
