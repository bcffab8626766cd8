"""Which episodes demonstrate a task, and when to stop."""

from collections.abc import Iterator, Sequence
from types import SimpleNamespace

import pytest

from worldagen.config import Config, ConfigError, load
from worldagen.envs.experts import expert_tasks, make_expert
from worldagen.rollout.demos import DemosError, available_init_states, demo_spec, record
from worldagen.types import EnvSpec, EpisodeResult, EpisodeSpec, PolicySpec

STATES = {"turn_on_the_stove": 50, "put_the_bowl_on_the_plate": 50}


def config(*overrides: str) -> Config:
    return load(overrides=["demos.episodes_per_task=6", *overrides])


class Runner:
    """Runs no episode: an attempt succeeds unless its initial state is among the `bad` ones."""

    def __init__(self, *bad: int) -> None:
        self.bad = bad
        self.specs: list[EpisodeSpec] = []

    def __call__(self, specs: Sequence[EpisodeSpec], description: str) -> Iterator[EpisodeResult]:
        self.specs.extend(specs)
        for spec in reversed(specs):  # results come in any order
            yield EpisodeResult(spec=spec, status="failure" if spec.init_state in self.bad else "success", steps=1)


def test_attempts_use_the_initial_states_that_evaluation_leaves_and_never_repeat() -> None:
    given = config("demos.noise=0.3", "model.actions_per_chunk=4", "seed=2")
    task = "turn_on_the_stove"
    specs = [demo_spec(given, EnvSpec(), task, {task: 50}, attempt) for attempt in range(70)]
    assert [spec.init_state for spec in specs[:31]] == [*range(20, 50), 20]
    assert {spec.init_state for spec in specs} == set(range(20, 50))
    assert len({spec.seed for spec in specs}) == len({spec.key for spec in specs}) == 70
    assert specs[0].policy == PolicySpec(kind="expert", noise=0.3)
    assert specs[0].record == "trajectory" and specs[0].actions_per_chunk == 4 and specs[0].stop_on_success


def test_a_failed_attempt_is_replaced_by_the_next_and_no_success_is_surplus() -> None:
    runner = Runner(21, 23, 26)
    results = record(runner, config(), EnvSpec(), STATES)
    for task, found in results.items():
        assert [result.spec.init_state for result in found] == list(range(20, 29)), "attempts are kept in order"
        assert all(result.spec.task == task for result in found)
        assert sum(result.success for result in found) == 6
    again = Runner(21, 23, 26)
    record(again, config(), EnvSpec(), STATES)
    assert again.specs == runner.specs, "a resumed collection asks for the same episodes"


def test_an_expert_that_keeps_failing_is_an_error_that_names_the_task() -> None:
    with pytest.raises(DemosError, match=r"turn_on_the_stove failed 5 of 6 times.*leave the task out of env\.tasks"):
        record(Runner(*range(21, 50)), config(), EnvSpec(), STATES)
    first_fails = Runner(20)
    found = record(first_fails, config("demos.episodes_per_task=1"), EnvSpec(), STATES)
    assert len(found["turn_on_the_stove"]) == 2, "one failure is no pattern"


def test_tasks_that_cannot_be_demonstrated_are_refused() -> None:
    assert available_init_states(config(), list(STATES)) == STATES
    with pytest.raises(ConfigError, match="no scripted expert in libero_goal; tasks that have: turn_on_the_stove"):
        available_init_states(config(), ["paint_the_drawer"])
    with pytest.raises(ConfigError, match=r"demos\.first_init_state=50, but turn_on_the_stove has 50"):
        available_init_states(config("demos.first_init_state=50"), ["turn_on_the_stove"])


def test_experts_of_unknown_tasks_and_suites() -> None:
    assert len(expert_tasks("libero_goal")) >= 3
    assert expert_tasks("tests.fakes:FakeEnv") == ()
    spec = EpisodeSpec(env=EnvSpec(), task="fly", init_state=0, seed=0, policy=PolicySpec(kind="expert"))
    with pytest.raises(ValueError, match="no scripted expert for 'fly'; it has for turn_on_the_stove"):
        make_expert(spec, SimpleNamespace(task="fly"))


def test_without_corrections_chunks_may_be_longer_than_a_handover() -> None:
    given = config("model.actions_per_chunk=50", "demos.handover=3")
    assert not demo_spec(given, EnvSpec(), "turn_on_the_stove", STATES, 0).policy.handover
