"""The scripted experts on the real simulator, with the noise that demonstrations are recorded with."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from worldagen.envs.base import Env, make_env
from worldagen.envs.experts import expert_tasks, make_expert
from worldagen.rollout.episode import run_episode
from worldagen.rollout.policies import ExpertPolicy
from worldagen.types import EnvSpec, EpisodeResult, EpisodeSpec, PolicySpec

TASKS = expert_tasks("libero_goal")
SPEC = EpisodeSpec(
    env=EnvSpec(),
    task=TASKS[0],
    init_state=0,
    seed=0,
    policy=PolicySpec(kind="expert", noise=0.1),
    step_limit=150,
    record="trajectory",
)


@pytest.fixture(scope="module")
def env() -> Iterator[Env]:
    made = make_env(SPEC.env)
    yield made
    made.close()


def demonstrate(env: Env, task: str, init_state: int) -> EpisodeResult:
    return run_episode(env, ExpertPolicy(), replace(SPEC, task=task, init_state=init_state, seed=init_state)).result


@pytest.mark.parametrize("task", TASKS)
def test_experts_solve_their_tasks_despite_noise_and_quickly(env: Env, task: str) -> None:
    results = [demonstrate(env, task, init_state) for init_state in (2, 31)]
    assert [result.status for result in results] == ["success", "success"]
    assert min(result.steps for result in results) < 90


@pytest.mark.full
@pytest.mark.timeout(900)
@pytest.mark.parametrize("task", TASKS)
def test_experts_succeed_in_nine_of_ten_initial_states(env: Env, task: str) -> None:
    assert sum(demonstrate(env, task, init_state).success for init_state in range(10)) >= 9


def test_an_expert_is_deterministic_and_its_noise_is_recorded_beside_its_intention(env: Env) -> None:
    first, again = (run_episode(env, ExpertPolicy(), SPEC) for _ in range(2))
    assert first.result.digest == again.result.digest
    tape = first.trajectory
    assert tape is not None and tape.success
    real = np.arange(tape.actions.shape[1]) < tape.counts[:, None]
    executed, intended = tape.actions[real], tape.intended[real]
    assert (executed[:, 6] == intended[:, 6]).all() and set(np.unique(executed[:, 6])) <= {-1.0, 1.0}
    free = np.abs(intended[:, :6]) < 0.5  # where clipping to [-1, 1] cannot show
    assert 0.07 < (executed[:, :6] - intended[:, :6])[free].std() < 0.13


def test_an_expert_sees_what_its_last_action_did(env: Env) -> None:
    env.reset(SPEC)
    actions = make_expert(SPEC, env)
    before = next(actions)
    env.step([np.array([1.0, 1.0, 1.0, 0, 0, 0, 1.0])] * 10)
    after = next(actions)
    assert np.abs(before - after).max() > 0.05
