"""CALVIN's scripted experts on each engine that is at hand, with the noise that demonstrations are recorded with."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from worldagen.envs.base import Env, make_env
from worldagen.envs.calvin.engine import SCENES
from worldagen.envs.calvin.package import find_checkout
from worldagen.envs.calvin.tasks import TASKS
from worldagen.envs.experts import expert_tasks
from worldagen.rollout.episode import run_episode
from worldagen.rollout.policies import ExpertPolicy
from worldagen.types import EnvSpec, EpisodeResult, EpisodeSpec, PolicySpec

NATIVE = EnvSpec(suite="calvin_d", image_size=16, engine="native", renderer="tiny")
OFFICIAL = replace(NATIVE, engine="calvin_env", assets="official")
MISSING = "no checkout of calvin_env here; `python -m worldagen.envs.calvin install` gets one"
ENGINES = (
    pytest.param(NATIVE, id="native"),
    pytest.param(OFFICIAL, id="calvin_env", marks=pytest.mark.skipif(find_checkout() is None, reason=MISSING)),
)
KINDS = (
    "rotate_pink_block_left", "push_red_block_right", "move_slider_right", "close_drawer", "lift_red_block_table",
    "lift_blue_block_slider", "lift_pink_block_drawer", "place_in_slider", "stack_block", "unstack_block",
    "turn_off_lightbulb", "turn_off_led", "push_into_drawer",
)  # fmt: skip
"""A task of each kind."""
FURNITURE = ("move_slider_left", "open_drawer", "turn_on_lightbulb", "turn_on_led", "place_in_slider")
"""What is elsewhere in every scene."""


@pytest.fixture(scope="module", params=ENGINES)
def env(request: pytest.FixtureRequest) -> Iterator[Env]:
    made = make_env(request.param)
    yield made
    made.close()


def demonstrate(env: Env, task: str, init_state: int = 3, **changes: object) -> EpisodeResult:
    spec = EpisodeSpec(
        env=env.spec,  # type: ignore[attr-defined]
        task=task,
        init_state=init_state,
        seed=init_state,
        policy=PolicySpec(kind="expert", noise=0.1),
        step_limit=120,
        actions_per_chunk=120,  # nobody looks, so nothing need be drawn in between
    )
    return run_episode(env, ExpertPolicy(), replace(spec, **changes)).result  # type: ignore[arg-type]


def test_every_task_of_every_scene_has_an_expert() -> None:
    assert {suite: sorted(expert_tasks(suite)) for suite in SCENES} == dict.fromkeys(SCENES, sorted(TASKS))


@pytest.mark.parametrize("task", KINDS)
def test_experts_solve_their_tasks_despite_noise(env: Env, task: str) -> None:
    assert demonstrate(env, task).status == "success"


@pytest.mark.parametrize("scene", ["calvin_a", "calvin_b", "calvin_c"])
def test_experts_find_handles_and_switches_in_other_scenes(scene: str) -> None:
    env = make_env(replace(NATIVE, suite=scene))
    assert {task: demonstrate(env, task).status for task in FURNITURE} == dict.fromkeys(FURNITURE, "success")
    env.close()


def test_experts_go_on_from_where_the_task_before_ended(env: Env) -> None:
    then = ("lift_red_block_table", "place_in_drawer", "turn_on_lightbulb", "close_drawer")
    assert demonstrate(env, "open_drawer", 0, then=then).completed == 5


def test_an_expert_depends_on_the_scene_alone(env: Env) -> None:
    first, again = (demonstrate(env, "stack_block") for _ in range(2))
    assert first.digest == again.digest


@pytest.mark.full
@pytest.mark.timeout(900)
@pytest.mark.parametrize("task", TASKS)
def test_experts_succeed_in_eight_of_ten_initial_states(env: Env, task: str) -> None:
    assert sum(demonstrate(env, task, init_state, step_limit=360).success for init_state in range(10)) >= 8
