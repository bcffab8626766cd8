"""Demonstrations that begin where the expert of another task ended."""

from dataclasses import replace

import numpy as np
import pytest

from worldagen.config import Config, ConfigError, DemosConfig, EnvConfig
from worldagen.envs.calvin.env import CalvinEnv
from worldagen.envs.calvin.states import situation_of
from worldagen.envs.calvin.tasks import outcomes
from worldagen.rollout.demos import available_init_states, demo_spec
from worldagen.rollout.episode import run_episode
from worldagen.rollout.policies import ExpertPolicy, RandomPolicy
from worldagen.types import EnvSpec

TASKS = ["open_drawer", "close_drawer", "turn_on_led", "move_slider_left"]
SPEC = EnvSpec(suite="calvin_b", image_size=16, engine="native", renderer="tiny")


def config(share: float, suite: str = "calvin_b") -> Config:
    return Config(
        env=EnvConfig(suite=suite, tasks=TASKS if suite.startswith("calvin") else []),
        demos=DemosConfig(chained=share, first_init_state=200, step_limit=120),
    )


@pytest.fixture(scope="module")
def env():
    env = CalvinEnv(SPEC)
    yield env
    env.close()


def test_the_asked_share_begins_elsewhere_and_can_be_done():
    given = config(0.25)
    available = available_init_states(given, TASKS)
    specs = [demo_spec(given, SPEC, task, available, attempt) for attempt in range(20) for task in TASKS]
    chained = [spec for spec in specs if spec.then]
    assert len(chained) == 20 and len({spec.key for spec in specs}) == 80
    for spec in chained:
        before = situation_of(spec.task, spec.init_state)
        assert any(outcomes(spec.last_task, after) for after in outcomes(spec.task, before))
        assert spec.init_state >= 200 and spec.task != spec.last_task


def test_only_the_last_task_is_recorded_and_from_where_the_first_one_ended(env):
    given = config(1.0)
    spec = demo_spec(given, SPEC, "turn_on_led", available_init_states(given, TASKS), 0)
    episode = run_episode(env, ExpertPolicy(), spec)
    recorded = episode.trajectory
    assert episode.result.success and recorded is not None and recorded.success
    assert recorded.instruction == env.instruction and spec.last_task == "turn_on_led"
    assert 0 < recorded.counts.sum() < episode.result.steps
    start = env.reset(spec).state
    assert np.linalg.norm(recorded.state[0][:3] - start[:3]) > 0.05


def test_a_suite_without_chains_refuses():
    with pytest.raises(ConfigError, match="libero_goal has no chains"):
        available_init_states(config(0.5, "libero_goal"), ["turn_on_the_stove"])


def test_what_a_policy_does_before_it_hands_over_is_not_recorded(env):
    given = config(0.0)
    given.checkpoint, given.demos.corrected, given.demos.handover = "somewhere", 1.0, 20
    available = available_init_states(given, TASKS)
    spec = demo_spec(given, SPEC, "open_drawer", available, 0, checkpoint="0123")
    handover = spec.policy.handover
    assert spec.policy.kind == "expert" and spec.policy.checkpoint == "0123" and handover in (5, 10, 15, 20)
    episode = run_episode(env, ExpertPolicy(), spec, before=RandomPolicy())
    recorded = episode.trajectory
    assert episode.result.success and recorded is not None
    assert recorded.counts.sum() == episode.result.steps - handover
    start = env.reset(spec).state
    assert np.linalg.norm(recorded.state[0][:3] - start[:3]) > 0.01


def test_a_policy_that_succeeds_before_it_hands_over_leaves_nothing_to_record(env):
    given = config(0.0)
    given.checkpoint, given.demos.corrected = "somewhere", 1.0
    spec = demo_spec(given, SPEC, "turn_on_led", available_init_states(given, TASKS), 0, checkpoint="0123")
    spec = replace(spec, policy=replace(spec.policy, handover=60))
    episode = run_episode(env, ExpertPolicy(), spec, before=ExpertPolicy())
    assert episode.result.success and episode.trajectory is None


@pytest.mark.parametrize(
    ("checkpoint", "handover", "words"),
    [
        ("", 20, "set checkpoint"),
        ("somewhere", 4, "at least one chunk"),
        ("somewhere", 120, "less than demos.step_limit"),
    ],
)
def test_a_handover_that_cannot_be_is_refused(checkpoint, handover, words):
    given = config(0.0)
    given.checkpoint, given.demos.corrected, given.demos.handover = checkpoint, 0.5, handover
    with pytest.raises(ConfigError, match=words):
        available_init_states(given, TASKS)
