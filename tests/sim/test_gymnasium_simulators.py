"""LIBERO and CALVIN through Gymnasium."""

from collections.abc import Iterator

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from worldagen import GYMNASIUM_ENVS
from worldagen.config import EnvConfig
from worldagen.envs.base import make_env
from worldagen.envs.calvin.package import find_checkout
from worldagen.envs.suites import prepare_env, task_infos
from worldagen.types import EpisodeSpec, PolicySpec

CALVIN_ENV = pytest.mark.skipif(find_checkout() is None, reason="no checkout of calvin_env (CALVIN_ENV_ROOT)")
SETTINGS = {"task": "turn_on_the_stove", "image_size": 32, "step_limit": 6}


@pytest.fixture(scope="module")
def env() -> Iterator[gymnasium.Env]:
    made = gymnasium.make("worldagen/LiberoGoal-v0", **SETTINGS, render_mode="rgb_array")
    yield made
    made.close()


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("name", GYMNASIUM_ENVS)
def test_gymnasiums_own_checker_finds_nothing(name: str) -> None:
    suite, engine = GYMNASIUM_ENVS[name], {"engine": "native"} if "Calvin" in name else {}
    made = gymnasium.make(name, **{**SETTINGS, "task": next(iter(task_infos(suite)))}, **engine)
    check_env(made.unwrapped, skip_render_check=suite != "libero_goal")  # builds it once more
    made.close()


@CALVIN_ENV
@pytest.mark.filterwarnings("error")
def test_gymnasiums_own_checker_finds_nothing_in_calvin_env() -> None:
    made = gymnasium.make("worldagen/CalvinD-v0", task="open_drawer", engine="calvin_env", step_limit=6)
    check_env(made.unwrapped)
    made.close()


def test_it_is_the_same_simulator(env: gymnasium.Env) -> None:
    spec = EpisodeSpec(
        env=prepare_env(EnvConfig(image_size=32)),
        task="turn_on_the_stove",
        init_state=4,
        seed=11,
        policy=PolicySpec(kind="random"),
    )
    own = make_env(spec.env)
    expected = own.reset(spec)
    observation, info = env.reset(seed=11, options={"init_state": 4})
    assert info["instruction"] == own.instruction == "turn on the stove"
    for _ in range(2):
        for name in ("primary", "wrist", "state"):
            np.testing.assert_array_equal(observation[name], getattr(expected, name))
        action = env.action_space.sample()
        expected, (observation, *_) = own.step([action]).observation, env.step(action)
    own.close()


def test_several_in_one_process_draw_each_their_own_pictures() -> None:
    """robosuite frees what a simulator drew with in whatever OpenGL context is current."""
    first, second = (gymnasium.make("worldagen/LiberoGoal-v0", **SETTINGS) for _ in range(2))
    first.reset(seed=0)
    before, _ = second.reset(seed=0)
    first.close()
    after, _ = second.reset(seed=0)
    for name in ("primary", "wrist"):
        np.testing.assert_array_equal(before[name], after[name])
    second.close()
