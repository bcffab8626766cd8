"""The Gymnasium face of a simulator: spaces, ends, seeds, and what is refused."""

from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from tests.fake_suite import SUITE, SquareEnv
from worldagen import GYMNASIUM_ENVS
from worldagen.config import ConfigError
from worldagen.envs.gymnasium_env import GymnasiumEnv
from worldagen.types import EnvSpec, EpisodeSpec, PolicySpec

RIGHT = np.array([1, 0, 0, 0, 0, 0, 1], np.float32)


def made(task: str = "push", **settings: Any) -> GymnasiumEnv:
    return GymnasiumEnv(SUITE, task, **{"image_size": 16, "step_limit": 30, **settings})


def test_every_suite_is_registered_under_its_name() -> None:
    assert len(GYMNASIUM_ENVS) == 9
    assert {name: gymnasium.spec(name).kwargs["suite"] for name in GYMNASIUM_ENVS} == GYMNASIUM_ENVS


@pytest.mark.filterwarnings("error")
def test_gymnasiums_own_checker_finds_nothing() -> None:
    check_env(made(), skip_render_check=True)
    check_env(made(chunk=3), skip_render_check=True)


def test_success_is_rewarded_and_terminates() -> None:
    env = made()
    env.reset(options={"init_state": 0}, seed=2)
    rewards, terminated = [], False
    while not terminated:
        observation, reward, terminated, truncated, info = env.step(RIGHT)
        rewards.append(reward)
        assert not truncated and info == {
            "success": terminated,
            "instruction": "push the square",
            "steps": len(rewards),
        }
    assert rewards[-1] == 1 and not any(rewards[:-1])
    assert env.observation_space.contains(observation)


def test_the_step_limit_truncates() -> None:
    env = made(step_limit=2)
    env.reset(seed=0)
    assert env.step(-RIGHT)[1:4] == (0.0, False, False)
    assert env.step(-RIGHT)[1:4] == (0.0, False, True)


def test_a_chunk_is_one_step_and_stops_at_the_limit() -> None:
    env = made(chunk=4, step_limit=6)
    assert env.action_space.shape == (4, 7)
    env.reset(seed=0)
    assert env.step(np.tile(-RIGHT, (4, 1)))[4]["steps"] == 4
    *_, truncated, info = env.step(np.tile(-RIGHT, (4, 1)))
    assert truncated and info["steps"] == 6
    assert env.metadata["render_fps"] == 5


def test_seed_and_initial_state_are_those_of_the_episode_spec() -> None:
    spec = EpisodeSpec(
        env=EnvSpec(suite=SUITE, image_size=16), task="push", init_state=7, seed=5, policy=PolicySpec(kind="random")
    )
    env = made()
    observation, _ = env.reset(seed=5, options={"init_state": 7})
    np.testing.assert_array_equal(observation["state"], SquareEnv(spec.env).reset(spec).state)
    again, _ = env.reset(seed=5, options={"init_state": 7})
    np.testing.assert_array_equal(observation["state"], again["state"])
    other, _ = env.reset(options={"init_state": 7})
    assert not np.array_equal(observation["state"], other["state"]), "without a seed, another episode"


def test_initial_states_are_drawn_from_those_given(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = set()
    reset = SquareEnv.reset
    monkeypatch.setattr(SquareEnv, "reset", lambda self, spec: seen.add(spec.init_state) or reset(self, spec))
    env = made(init_states=[20, 30])
    for _ in range(12):
        env.reset()
    assert seen == {20, 30}


def test_it_renders_the_primary_camera_and_only_if_asked_to() -> None:
    env = made(render_mode="rgb_array")
    observation, _ = env.reset(seed=1)
    picture = env.render()
    assert picture is not None
    np.testing.assert_array_equal(picture, observation["primary"])
    silent = made()
    silent.reset(seed=1)
    assert silent.render() is None


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"task": "pus"}, "has no task 'pus'; did you mean 'push'"),
        ({"visual": "full"}, "no setting 'visual'; did you mean 'visuals'"),
        ({"visuals": "ful"}, "did you mean 'full'"),
        ({"image_size": 0}, "image_size=0 must be greater than 0"),
        ({"step_limit": 0}, "step_limit=0"),
        ({"chunk": 0}, "chunk=0"),
        ({"init_states": [50]}, "initial states 0 to 49, not 50"),
        ({"render_mode": "human"}, "use 'rgb_array'"),
    ],
)
def test_what_does_not_exist_is_refused_in_one_line(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words) as caught:
        made(**settings)
    assert "\n" not in str(caught.value)


def test_unknown_suites_and_bad_resets_are_refused() -> None:
    with pytest.raises(ConfigError, match="did you mean 'libero_goal'"):
        GymnasiumEnv("libero_gaol", "turn_on_the_stove")
    env = made()
    with pytest.raises(ConfigError, match="initial states 0 to 49, not -1"):
        env.reset(options={"init_state": -1})
    with pytest.raises(ConfigError, match="knows the option init_state, not init"):
        env.reset(options={"init": 3})


@pytest.mark.parametrize("action", [np.zeros(6), np.zeros((1, 7)), np.full(7, np.nan), 1.5 * np.ones(7)])
def test_impossible_actions_are_refused(action: np.ndarray) -> None:
    env = made()
    env.reset(seed=0)
    with pytest.raises(ValueError, match="action"):
        env.step(action)
