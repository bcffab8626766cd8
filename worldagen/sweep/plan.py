"""What a sweep will do, known before anything starts: the unit, its trials, and which initial states serve for what."""

from dataclasses import dataclass
from itertools import chain, product
from typing import Any

from worldagen.arms import TrialKey
from worldagen.config import Config, ConfigError
from worldagen.envs.suites import check_env, task_infos
from worldagen.evaluation.drawn_chains import runs_chains
from worldagen.evaluation.episodes import evaluated_tasks, evaluation_specs, known_tasks
from worldagen.models.given import given_checkpoint
from worldagen.rollout.demos import available_init_states
from worldagen.training.pretraining import given_weights
from worldagen.ttt.explore import exploration_specs
from worldagen.ttt.methods import Adaptation, adaptation
from worldagen.types import EnvSpec, PolicySpec


@dataclass(frozen=True)
class Unit:
    """What shares one adaptation: today a suite's scene with all its tasks."""

    name: str
    tasks: tuple[str, ...]
    """Tasks to explore in and to evaluate."""
    init_states: dict[str, int]
    """How many initial states each of `tasks` has."""
    instructions: dict[str, str]
    """The sentence of every task that the policy was trained on."""


def plan_unit(config: Config) -> Unit:
    """The unit of `config`. Raises ConfigError for settings that would stop the sweep later."""
    infos = task_infos(config.env.suite)
    known, tasks = known_tasks(config), evaluated_tasks(config)
    if runs_chains(config):
        raise ConfigError(
            "evaluation.protocol or evaluation.chains asks for chains: a sweep compares arms by single tasks; "
            "evaluate its adapters on chains with pipelines/evaluate.py"
        )
    if config.study.settings:
        raise ConfigError("study.settings names the settings of a study, and a sweep has one: use pipelines/study.py")
    if config.evaluation.adapter:
        raise ConfigError(
            "evaluation.adapter is for pipelines/evaluate.py: a sweep makes the adapters that it evaluates"
        )
    if config.evaluation.retry_failed:
        raise ConfigError(
            "evaluation.retry_failed is for pipelines/evaluate.py: a sweep's arms are compared as they were evaluated; "
            "run it anew in another run_dir"
        )
    if not (config.checkpoint or config.demos_dir or config.pretrain.data):
        available_init_states(config, known)
    if len(known) < 2:
        raise ConfigError(f"env.tasks={list(known)}: exploration borrows other tasks' instructions; name two or more")
    window = config.model.chunks * config.model.actions_per_chunk
    if config.explore.step_limit < window:
        raise ConfigError(
            f"explore.step_limit={config.explore.step_limit} is shorter than one window of the model ({window} steps)"
        )
    unit = Unit(
        name=config.env.suite,
        tasks=tasks,
        init_states={task: infos[task].init_states for task in tasks},
        instructions={task: infos[task].instruction for task in known},
    )
    fresh_init_states(config, unit)
    return unit


def check_inputs(config: Config) -> None:
    """Raise ConfigError for what the sweep is to be run from and is not there, or does not fit: folders, weights."""
    check_env(config.env)
    if config.checkpoint:
        given_checkpoint(config)
    elif config.model.vision_frozen and not config.pretrain.vision_checkpoint:
        raise ConfigError(
            f"checkpoint is not set, and model.preset={config.model.preset} cannot be pretrained without "
            "pretrain.vision_checkpoint; name trained weights with checkpoint=FOLDER"
        )
    else:
        given_weights(config)


def step_counts(config: Config) -> tuple[int, ...]:
    """Step counts with an adapter, ascending. The zero-step control is not among them: it is always there."""
    return tuple(sorted({steps for steps in config.ttt.steps if steps}))


def trials(config: Config) -> list[TrialKey]:
    """One for each way to adapt and seed, ordered by method, learning rate, rank, exploration, seed."""
    return [TrialKey(*values) for values in product(*axes(config).values())]


def axes(config: Config) -> dict[str, list[Any]]:
    """What a sweep goes through, by the fields of TrialKey; no value twice."""
    ttt = config.ttt
    return {
        "method": list(dict.fromkeys(ttt.method)),
        "learning_rate": sorted(set(ttt.learning_rate)),
        "rank": sorted(set(ttt.rank)),
        "explored": sorted(set(config.explore.episodes)),
        "seed": sorted(set(ttt.seeds)),
    }


def way(config: Config, trial: TrialKey) -> Adaptation:
    """How a trial adapts."""
    return adaptation(
        config.ttt,
        method=trial.method,
        learning_rate=trial.learning_rate,
        rank=trial.rank,
        seed=config.seed + trial.seed,
    )


def fresh_init_states(config: Config, unit: Unit) -> dict[str, tuple[int, ...]]:
    """`evaluation.confirm_episodes` initial states of each task that neither search nor exploration uses.

    From `evaluation.confirm_first_init_state` upwards where there are so many, then those below. Raises ConfigError for
    a task that has too few left.
    """
    wanted, first = config.evaluation.confirm_episodes, config.evaluation.confirm_first_init_state
    env, policy = EnvSpec(suite=config.env.suite), PolicySpec()
    explored = exploration_specs(config, env, unit.tasks, unit.instructions, unit.init_states, "")
    used = [*chain.from_iterable(explored), *evaluation_specs(config, env, unit.tasks, policy)]
    taken = {(spec.task, spec.init_state) for spec in used}
    found = {}
    for task, count in unit.init_states.items():
        order = [*range(min(first, count), count), *range(min(first, count))]
        fresh = [state for state in order if (task, state) not in taken]
        if len(fresh) < wanted:
            raise ConfigError(
                f"evaluation.confirm_episodes={wanted}, but of the {count} initial states of {task} search and "
                f"exploration leave only {len(fresh)}; lower it, explore.episodes or evaluation.episodes_per_task "
                "(with a protocol evaluation.limit)"
            )
        found[task] = tuple(fresh[:wanted])
    return found
