"""Protocols by name: their episodes, what does not fit, and what is said about a part of one."""

from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

from worldagen.arms import Outcome
from worldagen.config import Config, ConfigError, load
from worldagen.config.schema import EvaluationConfig
from worldagen.evaluation.chains import compare_lengths, summarise
from worldagen.evaluation.episodes import evaluated_tasks, evaluation_specs
from worldagen.evaluation.protocols import PROTOCOLS, describe_protocol, find_protocol
from worldagen.evaluation.words import chain_table, length_difference, report
from worldagen.sweep.forecast import describe
from worldagen.sweep.plan import plan_unit
from worldagen.types import EnvSpec, EpisodeSpec, PolicySpec

FULL = EnvSpec(suite="libero_10", visuals="full", assets="official")


def configured(protocol: str, suite: str, *more: str) -> Config:
    return load(overrides=[f"evaluation.protocol={protocol}", f"env.suite={suite}", *more])


def specs_of(config: Config) -> list[EpisodeSpec]:
    return evaluation_specs(config, EnvSpec(suite=config.env.suite), evaluated_tasks(config), PolicySpec())


def chain(number: int, completed: int) -> Outcome:
    status: Any = "success" if completed == 5 else "failure"
    return Outcome(task="push", init_state=0, seed=number, status=status, steps=9, completed=completed)


def test_every_protocol_can_be_configured_and_says_its_source() -> None:
    metadata = EvaluationConfig.__dataclass_fields__["protocol"].metadata
    assert set(metadata["one_of"]) == {"", *PROTOCOLS}
    assert all(len(protocol.source) > 20 for protocol in PROTOCOLS.values())


@pytest.mark.parametrize(
    ("protocol", "suite", "tasks", "episodes", "steps"),
    [
        ("libero_paper", "libero_10", 10, 200, 600),
        ("libero_community", "libero_spatial", 10, 500, 220),
        ("libero_community", "libero_object", 10, 500, 280),
        ("libero_community", "libero_goal", 10, 500, 300),
        ("libero_community", "libero_10", 10, 500, 520),
        ("libero_community", "libero_90", 90, 4500, 400),
    ],
)
def test_a_libero_protocol_runs_every_task_from_its_first_initial_states(
    protocol: str, suite: str, tasks: int, episodes: int, steps: int
) -> None:
    specs = specs_of(configured(protocol, suite))
    assert len({spec.key for spec in specs}) == episodes
    counts = Counter(spec.task for spec in specs)
    assert len(counts) == tasks and set(counts.values()) == {episodes // tasks}
    assert {spec.init_state for spec in specs} == set(range(episodes // tasks))
    assert {spec.step_limit for spec in specs} == {steps}


def test_a_part_of_a_protocol_covers_every_task_and_is_called_a_part() -> None:
    config = configured("libero_paper", "libero_10", "evaluation.limit=15")
    specs = specs_of(config)
    assert specs == specs_of(configured("libero_paper", "libero_10"))[:15]
    assert len({spec.task for spec in specs}) == 10
    assert "  NOT the full protocol: only the first 15 of its 200 episodes" in describe_protocol(config, FULL)
    whole = describe_protocol(configured("libero_paper", "libero_10", "evaluation.limit=200"), FULL)
    assert whole[0] == "protocol libero_paper: 200 episodes, 600 control steps a task (30 s at 20 Hz)"
    assert not any("NOT" in line for line in whole)


@pytest.mark.parametrize(
    ("change", "words"),
    [({"visuals": "light"}, "visuals=light"), ({"assets": "primitive"}, "primitive assets")],
)
def test_a_world_that_is_not_the_benchmarks_is_said_to_be_none(change: dict[str, Any], words: str) -> None:
    lines = describe_protocol(configured("libero_paper", "libero_10"), replace(FULL, **change))
    assert [line for line in lines if "NOT the full protocol" in line and words in line]


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (("libero_papr", "libero_10"), "did you mean 'libero_paper'"),
        (("libero_paper", "libero_goal"), "for libero_goal use libero_community"),
        (("calvin_official", "libero_goal"), "run in calvin_d, not in env.suite=libero_goal"),
        (("libero_paper", "tests.fake_suite:SquareEnv"), "has no named protocol"),
        (("libero_paper", "libero_10", "evaluation.tasks=[push]"), "leave evaluation.tasks empty"),
        (("''", "libero_10", "evaluation.limit=3"), "evaluation.protocol names none"),
    ],
)
def test_what_does_not_fit_is_refused_in_one_line(settings: tuple[str, ...], words: str) -> None:
    with pytest.raises(ConfigError, match=words) as caught:
        find_protocol(configured(*settings))
    assert "\n" not in str(caught.value)


def test_a_sweep_counts_a_protocols_episodes_and_refuses_chains() -> None:
    config = configured("libero_community", "libero_goal", "ttt.learning_rate=[1e-3]", "ttt.steps=[4]")
    assert "(500 in each arm)" in describe(config) and "at most 300 steps" in describe(config)
    with pytest.raises(ConfigError, match="run in calvin_d"):
        plan_unit(configured("calvin_official", "libero_goal"))


def test_chains_are_counted_in_a_row() -> None:
    summary = summarise([chain(number, completed) for number, completed in enumerate([0, 1, 3, 5])], 5)
    assert [each.successes for each in summary.in_a_row] == [3, 2, 2, 1, 1]
    assert summary.length == 2.25 and 0 < summary.low < 1 < 3 < summary.high < 5


def test_the_average_length_keeps_an_interval_when_all_chains_end_alike() -> None:
    for completed in (0, 5):
        summary = summarise([chain(number, completed) for number in range(20)], 5)
        assert summary.length == completed and summary.high - summary.low > 0.5


def test_lengths_are_compared_chain_by_chain() -> None:
    base = [chain(number, number % 5) for number in range(40)]
    better = [replace(each, completed=min(each.completed + (each.seed % 3 > 0), 5)) for each in base]
    difference = compare_lengths(better, base)
    assert difference.further == 26 and difference.less_far == 0 and difference.value == 26 / 40
    assert 0 < difference.low < difference.value < difference.high and difference.p < 0.001
    same = compare_lengths(base, base)
    assert same.value == 0 and same.p != same.p
    with pytest.raises(ValueError, match="same chains"):
        compare_lengths(base, base[1:])


def test_the_report_names_the_protocol_and_what_departs_from_it() -> None:
    config = configured("libero_paper", "libero_10", "evaluation.limit=2")
    outcomes = tuple(replace(chain(number, number), status="success") for number in range(2))
    lines = report(config, EnvSpec(suite="libero_10"), "0123", {"base": outcomes})
    assert lines[0] == "libero_10, primitive assets, light visuals, checkpoint 0123"
    assert sum(line.startswith("  NOT the full protocol") for line in lines) == 3
    assert any(line.startswith("base ") and "2/2 " in line for line in lines)


def test_the_table_of_chains() -> None:
    base = tuple(chain(number, [5, 1, 0, 0][number % 4]) for number in range(100))
    lines = chain_table("base", base, 5)
    assert lines[0].startswith("base: 100 chains, average length 1.50 of 5 [1.")
    assert [line.split()[:4] for line in lines[1:]] == [
        ["1", "in", "a", "row"], ["2", "in", "a", "row"], ["3", "in", "a", "row"], ["4", "in", "a", "row"],
        ["5", "in", "a", "row"],
    ]  # fmt: skip
    assert " 50/100 " in lines[1] and " 25/100 " in lines[5] and "25.0%" in lines[5]
    adapted = tuple(chain(number, min(each.completed + number % 2, 5)) for number, each in enumerate(base))
    assert "adapted - base: +0.50 tasks [+0.40" in length_difference(adapted, base)
    assert length_difference(adapted, base).endswith("different")
    assert "0 less far: too much alike" in length_difference(base, base)


def test_the_chains_are_calvins_and_the_report_counts_them_in_a_row() -> None:
    config = configured("calvin_official", "calvin_d")
    specs = specs_of(config)
    assert len(specs) == len({spec.key for spec in specs}) == 1000
    assert {1 + len(spec.then) for spec in specs} == {5} and {spec.step_limit for spec in specs} == {360}
    assert len({(spec.task, spec.init_state, spec.seed) for spec in specs}) == 1000, "pairs are told apart"
    long = specs_of(configured("calvin_paper_code", "calvin_d", "evaluation.limit=3"))
    assert [spec.then for spec in long] == [spec.then for spec in specs[:3]]
    assert {spec.step_limit for spec in long} == {1800}
    env = EnvSpec(suite="calvin_d", engine="native", renderer="tiny")
    lines = report(config, env, "0123", {"base": tuple(chain(number, 2) for number in range(1000))})
    assert lines[0] == "calvin_d, native engine, tiny renderer, primitive assets, light visuals, checkpoint 0123"
    assert lines[1] == "protocol calvin_official: 1000 chains, 360 control steps a task (12 s at 30 Hz)"
    assert sum(line.startswith("  NOT the full protocol") for line in lines) == 4
    assert "base: 1000 chains, average length 2.00 of 5 [1.85, 2.15]" in lines
    with pytest.raises(ConfigError, match="evaluate its adapters on chains with pipelines"):
        plan_unit(config)


def test_chains_are_drawn_from_the_tasks_that_a_policy_knows() -> None:
    few = "move_slider_left,open_drawer,turn_on_led,lift_red_block_table,place_in_drawer,turn_off_led"
    config = configured(
        "''", "calvin_a", "evaluation.chains=30", f"evaluation.tasks=[{few}]", "evaluation.step_limit=90"
    )
    specs = specs_of(config)
    assert len(specs) == len({(spec.task, spec.init_state, spec.seed) for spec in specs}) == 30
    assert {task for spec in specs for task in (spec.task, *spec.then)} == set(few.split(","))
    assert {1 + len(spec.then) for spec in specs} == {5} and {spec.step_limit for spec in specs} == {90}
    env = EnvSpec(suite="calvin_a", engine="native", renderer="tiny")
    lines = report(config, env, "0123", {"base": tuple(chain(number, 2) for number in range(30))})
    assert lines[1].startswith("30 chains of 5 of these tasks") and "90 control steps a task (3 s" in lines[1]
    assert "  NOT CALVIN's benchmark: not its 1,000 chains (evaluation.protocol=calvin_official)" in lines
    assert any(line.startswith("base: 30 chains, average length 2.00 of 5") for line in lines)
    with pytest.raises(ConfigError, match="evaluate its adapters on chains with pipelines"):
        plan_unit(config)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (("''", "libero_goal", "evaluation.chains=3"), "chains are CALVIN's, env.suite=libero_goal has none"),
        (("''", "calvin_d", "evaluation.chains=3", "evaluation.tasks=[open_drawer]"), "different categories"),
        (("''", "calvin_d", "evaluation.chains=3", "evaluation.tasks=[open_drawr]"), "did you mean 'open_drawer'"),
        (("calvin_official", "calvin_d", "evaluation.chains=3"), "set one of the two"),
    ],
)
def test_chains_that_cannot_be_drawn_are_refused(settings: tuple[str, ...], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        evaluated_tasks(configured(*settings))
