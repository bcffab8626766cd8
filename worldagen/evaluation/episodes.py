"""Evaluation episodes: drawn from the configuration alone, so every arm runs exactly the same ones."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import chain

from worldagen.arms import Outcome
from worldagen.config import Config, ConfigError
from worldagen.envs.experts import expert_tasks
from worldagen.envs.suites import check_tasks, task_infos
from worldagen.evaluation.drawn_chains import check_chains, drawn_chain_specs
from worldagen.evaluation.protocols import find_protocol, protocol_specs
from worldagen.rollout.pool import Pool
from worldagen.types import EnvSpec, EpisodeResult, EpisodeSpec, PolicySpec


def known_tasks(config: Config) -> tuple[str, ...]:
    """The tasks that the policy is trained on. Raises ConfigError for tasks that do not exist, or if there are none."""
    check_tasks(config.env.suite, config.env.tasks, "env.tasks")
    if tasks := tuple(config.env.tasks) or expert_tasks(config.env.suite):
        return tasks
    raise ConfigError(
        f"env.tasks is empty, which means all tasks with a scripted expert, and suite {config.env.suite} has none "
        "(to train there take the benchmark's own files: demos_dir or pretrain.data); "
        f"name those that the policy was trained on, e.g. env.tasks=[{next(iter(task_infos(config.env.suite)))}, ...]"
    )


def evaluated_tasks(config: Config) -> tuple[str, ...]:
    """The tasks to evaluate. Raises ConfigError for tasks that do not exist, have too few initial states or make no
    chain, and for a protocol that does not fit."""
    if config.evaluation.protocol:
        find_protocol(config)
        return tuple(task_infos(config.env.suite))
    check_tasks(config.env.suite, config.evaluation.tasks, "evaluation.tasks")
    tasks = tuple(config.evaluation.tasks) or known_tasks(config)
    if config.evaluation.chains:
        check_chains(config, tasks)
        return tasks
    infos, count = task_infos(config.env.suite), config.evaluation.episodes_per_task
    for task in tasks:
        if count > infos[task].init_states:
            raise ConfigError(
                f"evaluation.episodes_per_task={count}, but {task} has {infos[task].init_states} initial states"
            )
    return tasks


def evaluation_specs(
    config: Config, env: EnvSpec, tasks: Sequence[str], policy: PolicySpec, *, video: bool = False
) -> list[EpisodeSpec]:
    """Initial states 0 .. n-1 of every task under its own instruction, or the protocol's episodes, or drawn chains.

    Two policies' specs at the same position share task, initial state and seed, so their results are paired. Tasks take
    turns: the first episodes already cover all of them. With `video`, only the `evaluation.videos` ones to be filmed.
    """
    if config.evaluation.protocol:
        specs = protocol_specs(config, env, policy)
    elif config.evaluation.chains:
        specs = drawn_chain_specs(config, env, tasks, policy)
    else:
        states = range(config.evaluation.episodes_per_task)
        specs = task_specs(config, env, policy, [(task, state) for state in states for task in tasks])
    if video:
        return [replace(spec, record="video") for spec in specs[: config.evaluation.videos]]
    return specs


def task_specs(
    config: Config, env: EnvSpec, policy: PolicySpec, episodes: Iterable[tuple[str, int]]
) -> list[EpisodeSpec]:
    """Specs of single tasks from the given initial states, each under its own instruction."""
    chunk, limit = config.model.actions_per_chunk, config.evaluation.step_limit
    if config.evaluation.protocol:
        limit = find_protocol(config).step_limit(env.suite, chunk)
    return [
        EpisodeSpec(
            env=env,
            task=task,
            init_state=init_state,
            seed=config.seed * 1_000_000 + init_state,
            policy=policy,
            step_limit=limit,
            actions_per_chunk=chunk,
        )
        for task, init_state in episodes
    ]


@dataclass(frozen=True)
class Evaluation:
    """What came of evaluation episodes."""

    outcomes: tuple[Outcome, ...]
    """In the order of the specs."""
    seconds: dict[str, float]
    """Summed over the episodes: reset, simulate, render, wait."""


def evaluate(pool: Pool, specs: Sequence[EpisodeSpec], description: str) -> Evaluation:
    """Run the episodes that the pool has not run yet, and gather all."""
    (evaluation,) = evaluate_together(pool, [specs], description)
    return evaluation


def evaluate_together(pool: Pool, groups: Sequence[Sequence[EpisodeSpec]], description: str) -> list[Evaluation]:
    """The same for several groups at once, so that the last episodes of one do not keep the others waiting."""
    results = {result.spec.key: result for result in pool.run([*chain(*groups)], description)}
    return [_gathered([results[spec.key] for spec in specs]) for specs in groups]


def _gathered(results: Sequence[EpisodeResult]) -> Evaluation:
    seconds: Counter[str] = Counter()
    for result in results:
        seconds.update(result.seconds)
    return Evaluation(tuple(Outcome.of(result) for result in results), dict(seconds))
