"""What a sweep will do: episodes, arms, and that arms are comparable."""

from dataclasses import replace
from pathlib import Path

import pytest

from tests.fake_suite import SUITE
from worldagen.config import Config, ConfigError, load
from worldagen.evaluation.episodes import evaluation_specs
from worldagen.evaluation.power import smallest_detectable_difference
from worldagen.models import checkpoint
from worldagen.models.worldagen import WorldAgen
from worldagen.rollout.duration import in_words
from worldagen.sweep.forecast import CHANCE, describe
from worldagen.sweep.plan import fresh_init_states, plan_unit, step_counts, trials, way
from worldagen.ttt.explore import exploration_specs
from worldagen.types import EnvSpec, EpisodeSpec, PolicySpec, Shift


def config(*overrides: str) -> Config:
    return load(overrides=[f"env.suite={SUITE}", "env.tasks=[push,pull]", *overrides])


WORLD = EnvSpec(suite=SUITE)


def explored(*overrides: str, env: EnvSpec = WORLD) -> tuple[list[EpisodeSpec], list[EpisodeSpec]]:
    given = config(*overrides)
    unit = plan_unit(given)
    return exploration_specs(given, env, unit.tasks, unit.instructions, unit.init_states, "base")


def test_every_scene_is_explored_under_the_instructions_of_other_tasks() -> None:
    training, heldout = explored()
    sentences = {"push": "push the square", "pull": "pull the square"}
    for spec in [*training, *heldout]:
        assert spec.instruction in sentences.values() and spec.instruction != sentences[spec.task]
        assert spec.policy.noise == 0.2 and not spec.stop_on_success and spec.record == "trajectory"
    assert {spec.task for spec in training} == {spec.task for spec in heldout} == {"push", "pull"}


def test_heldout_episodes_are_never_trained_on_and_a_larger_exploration_contains_the_smaller() -> None:
    training, heldout = explored("explore.episodes=40", "explore.heldout_episodes=20")
    assert len({spec.key for spec in [*training, *heldout]}) == 60
    assert len({spec.seed for spec in [*training, *heldout]}) == 60
    fewer, fewer_heldout = explored("explore.episodes=6", "explore.heldout_episodes=2")
    assert fewer == training[:6] and fewer_heldout == heldout[:2]
    assert all(40 <= spec.init_state < 50 for spec in training)
    assert [spec.init_state for spec in heldout[::2]] == [*range(39, 29, -1)], "states that no training begins from"


def test_a_control_explores_the_world_without_the_shift_that_is_evaluated() -> None:
    shifted = EnvSpec(suite=SUITE, shifts=(Shift(name="action_scale", strength=1.0),))
    given = ("env.shifts.action_scale=1",)
    as_usual = [one for part in explored(*given, env=shifted) for one in part]
    control = [one for part in explored(*given, "explore.unshifted=true", env=shifted) for one in part]
    assert all(one.env == shifted for one in as_usual)
    assert control == [replace(one, env=EnvSpec(suite=SUITE)) for one in as_usual], "nothing else differs"
    for shifts in ((), ("env.shifts.action_scale=0",)):
        with pytest.raises(ConfigError, match=r"explore\.unshifted=true .* name the shift"):
            config("explore.unshifted=true", *shifts)


@pytest.mark.parametrize("first", [0, 7, 50, 99])
def test_heldout_episodes_begin_elsewhere_wherever_exploration_begins(first: int) -> None:
    training, heldout = explored(
        "explore.episodes=20", "explore.heldout_episodes=20", f"explore.first_init_state={first}"
    )
    begun = [{(spec.task, spec.init_state) for spec in specs} for specs in (training, heldout)]
    assert len(begun[0]) == len(begun[1]) == 20 and not begun[0] & begun[1]


def test_too_few_initial_states_for_heldout_episodes_of_their_own_are_told() -> None:
    with pytest.raises(ConfigError, match=r"of the 50 of .*held-out episodes would not be new; lower"):
        explored("explore.episodes=20", "explore.heldout_episodes=90")


def test_arms_run_identical_episodes_but_for_the_adapter() -> None:
    given = config("evaluation.episodes_per_task=3")
    arms = [
        evaluation_specs(given, EnvSpec(), ("push", "pull"), PolicySpec(checkpoint="base", adapter=adapter))
        for adapter in ("", "a", "b")
    ]
    paired = [[(spec.task, spec.init_state, spec.seed) for spec in specs] for specs in arms]
    assert paired[0] == paired[1] == paired[2] and len(set(paired[0])) == 6
    assert len({spec.key for specs in arms for spec in specs}) == 18
    filmed = evaluation_specs(given, EnvSpec(), ("push", "pull"), PolicySpec(), video=True)
    assert [(spec.task, spec.init_state, spec.seed) for spec in filmed] == paired[0][:1]


def test_one_trial_for_each_way_to_adapt_and_no_step_count_twice() -> None:
    given = config("ttt.learning_rate=[1e-3,1e-4,1e-3]", "ttt.rank=[8,4]", "ttt.steps=[16,0,4,16]")
    assert [(trial.learning_rate, trial.rank) for trial in trials(given)] == [
        (1e-4, 4),
        (1e-4, 8),
        (1e-3, 4),
        (1e-3, 8),
    ]
    assert step_counts(given) == (4, 16)


def test_every_axis_is_swept_over() -> None:
    given = config(
        "ttt.method=[plain,anchored]", "ttt.learning_rate=1e-3", "explore.episodes=[36,6]", "ttt.seeds=[0,1]", "seed=7"
    )
    found = trials(given)
    assert len(found) == len(set(found)) == 8
    assert found[0] == ("plain", 1e-3, 8, 6, 0) and found[-1] == ("anchored", 1e-3, 8, 36, 1)
    assert [way(given, trial).seed for trial in found[:2]] == [7, 8]
    assert way(given, found[-1]).method == "anchored"
    text = describe(given)
    assert "8: methods plain, anchored x learning rates 0.001 x ranks 8 x explorations of 6, 36 x seeds 0, 1" in text
    assert "arms         25: the control" in text


def test_a_confirmation_starts_where_neither_search_nor_exploration_has_been() -> None:
    settings = ["explore.episodes=[2,30]", "evaluation.episodes_per_task=8", "evaluation.confirm_episodes=25"]
    given = config(*settings)
    fresh = fresh_init_states(given, plan_unit(given))
    used = {(spec.task, spec.init_state) for specs in explored(*settings) for spec in specs}
    for task in ("push", "pull"):
        assert fresh[task] == tuple(range(8, 33)) and not {(task, state) for state in fresh[task]} & used
    upwards = config(*settings, "evaluation.confirm_first_init_state=20")
    assert fresh_init_states(upwards, plan_unit(upwards))["push"] == (*range(20, 38), *range(8, 15))
    assert "confirmation 150 episodes from fresh initial states" in describe(given)
    assert "confirmation none" in describe(config())


def test_time_is_estimated_for_the_simulator_at_hand() -> None:
    def minutes(*settings: str) -> int:
        given = load(overrides=["env.tasks=[]", "evaluation.episodes_per_task=25", *settings])
        return int(describe(given).rpartition("roughly ")[2].split()[0])

    native, package = (minutes("env.suite=calvin_d", f"env.engine={engine}") for engine in ("native", "calvin_env"))
    assert 5 * native < package


def test_the_plan_tells_how_large_an_effect_has_to_be() -> None:
    found = describe(config("evaluation.episodes_per_task=50", "explore.heldout_episodes=2", "ttt.steps=4"))
    size = smallest_detectable_difference(100, comparisons=2, churn=CHANCE)
    assert size and f"would find   {100 * size:.0f} points in the search (100 pairs), if 10% of" in found
    few = describe(config("evaluation.episodes_per_task=2", "evaluation.confirm_episodes=30", "ttt.steps=4"))
    assert "would find   nothing in the search (4 pairs), too few; " in few and "on fresh initial states (60 " in few


def test_an_estimate_for_a_larger_model_says_what_it_is_worth() -> None:
    assert "a guess made for the tiny model" in in_words(load(overrides=["model.preset=paper_calvin"]), 5)
    assert in_words(config("pool.workers=7"), 5) == "roughly 5 minutes on 7 CPUs"


def test_the_plan_counts_what_will_run() -> None:
    text = describe(config("evaluation.episodes_per_task=5", "evaluation.videos=1", "ttt.steps=[4,16]"))
    assert "arms         5: the control" in text
    assert "evaluation   52 episodes of at most 200 steps (10 in each arm)" in text  # 5 arms x 10, 2 videos
    assert "12 + 4 held-out episodes" in text
    assert "40 demonstrations" in text
    assert "shifts       none" in text
    assert "shifts       sensor_noise 0.5" in describe(config("env.shifts.sensor_noise=0.5"))


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("env.tasks=[push,pul]", r"env.tasks: .* has no task 'pul'; did you mean 'pull'"),
        ("env.tasks=[push,push]", "env.tasks names 'push' twice"),
        ("evaluation.tasks=[push,push]", "evaluation.tasks names 'push' twice"),
        ("evaluation.tasks=[shove]", r"evaluation.tasks: .* has no task 'shove'"),
        ("env.tasks=[push]", "name two or more"),
        ("env.shifts.sensor_nose=1", r"env.shifts: unknown shift 'sensor_nose'; did you mean 'sensor_noise'"),
        ("evaluation.episodes_per_task=51", "push has 50 initial states"),
        ("evaluation.confirm_episodes=40", "of the 50 initial states of push search and exploration leave only 3"),
        ("explore.step_limit=9", "shorter than one window"),
        ("env.suite=tests.fake_suite:Missing", "Missing"),
        ("study.settings={weak: {}}", "use pipelines/study.py"),
        ("evaluation.adapter=runs/x", "is for pipelines/evaluate.py"),
        ("evaluation.retry_failed=true", "is for pipelines/evaluate.py"),
        ("model.preset=paper_calvin", "cannot be pretrained without pretrain.vision_checkpoint"),
        ("checkpoint=nowhere", "checkpoint=nowhere: .* is not a checkpoint folder"),
    ],
)
def test_what_cannot_be_run_is_refused_before_anything_starts(override: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        describe(config(override))


def test_a_checkpoint_of_another_size_is_refused_and_the_sizes_named(tmp_path: Path) -> None:
    sizes = ["model.hidden=32", "model.layers=1", "model.decoder_heads=2"]
    checkpoint.save(WorldAgen(config(*sizes).model), tmp_path, {})
    with pytest.raises(ConfigError, match=r"hidden \(32, here 128\), layers \(1, here 4\)"):
        describe(config(f"checkpoint={tmp_path}"))
    assert f"none: checkpoint {tmp_path}" in describe(config(f"checkpoint={tmp_path}", *sizes))


def test_what_could_be_found_is_corrected_for_budgets_not_for_seeds() -> None:
    """Seeds are averaged before anything is compared; a study's fresh comparisons are those of all its settings."""
    small = ("ttt.method=plain", "ttt.learning_rate=1e-3", "ttt.steps=8", "evaluation.confirm_episodes=5")
    one, three = (describe(config(*small, f"ttt.seeds={seeds}")) for seeds in ("[0]", "[0,1,2]"))
    found = [next(line for line in text.splitlines() if line.startswith("would find")) for text in (one, three)]
    assert found[0] == found[1]
    in_a_study = describe(config(*small), settings=8)
    assert found[0] not in in_a_study and found[0].split("on fresh")[0].split(";")[0] in in_a_study


def test_asha_and_several_seeds_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"ttt\.asha=success .* judged by all its seeds"):
        config("ttt.asha=success", "ttt.seeds=[0,1]")
    with pytest.raises(ConfigError, match="seed=-1 must be at least 0"):
        config("seed=-1")
