"""Demonstrations: scripted experts act with noise on the arm, which they correct; successful episodes are kept."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import ray

from worldagen.config import Config, ConfigError, run_path
from worldagen.envs.experts import expert_tasks
from worldagen.envs.suites import chains, leads_to, task_infos
from worldagen.models.checkpoint import fingerprint
from worldagen.rollout.errors import RunError
from worldagen.rollout.inference import start_servers
from worldagen.rollout.pool import Pool
from worldagen.types import EnvSpec, EpisodeResult, EpisodeSpec, PolicySpec

Run = Callable[[Sequence[EpisodeSpec], str], Iterable[EpisodeResult]]
"""`Pool.run`, or anything else that runs episodes."""
_FIRST_SEED = 900_000
"""Exploration and evaluation draw their seeds below this offset."""
_DRAWS = 1000
"""Of a task and an initial state that might lead up to another."""
_PATIENCE = 3
"""Failures of a task that are no reason to give up, however few episodes succeeded."""


class DemosError(RunError):
    """A task's expert fails too often to be worth copying."""


@dataclass(frozen=True)
class TaskDemos:
    """The demonstrations of one task."""

    task: str
    files: tuple[Path, ...]
    """Successful episodes, in the order of their specs."""
    attempts: int
    mean_steps: float
    """Control steps of a successful episode."""


def collect(config: Config, env: EnvSpec, tasks: Sequence[str], checkpoint: Path | None = None) -> list[TaskDemos]:
    """Record `demos.episodes_per_task` successes of each task in `demos_dir` (or `run_dir/demos`) and return them.

    `checkpoint` is the folder of the policy that hands over to the experts (`demos.corrected`). Ray must be connected.
    Episodes that an earlier, interrupted call recorded are found again. Raises ConfigError, before anything starts, for
    tasks without an expert or initial states; DemosError for an expert that keeps failing.
    """
    init_states = available_init_states(config, tasks)
    folder = demos_folder(config)
    servers = start_servers(checkpoint, folder, config.inference) if checkpoint else ()
    pool = Pool.start(config.pool, folder, servers)
    try:
        results = record(pool.run, config, env, init_states, fingerprint(checkpoint) if checkpoint else "")
        return [_gathered(task, results[task], pool.trajectories) for task in tasks]
    finally:
        pool.close()
        for server in servers:
            ray.kill(server)


def demos_folder(config: Config) -> Path:
    return Path(config.demos_dir).expanduser().absolute() if config.demos_dir else run_path(config) / "demos"


def available_init_states(config: Config, tasks: Sequence[str]) -> dict[str, int]:
    """How many initial states each task has. Raises ConfigError for a task that cannot be demonstrated."""
    if config.demos.chained and not chains(config.env.suite):
        raise ConfigError(f"demos.chained={config.demos.chained:g}: {config.env.suite} has no chains of tasks")
    if config.demos.corrected:
        _check_handover(config)
    experts, infos, first = expert_tasks(config.env.suite), task_infos(config.env.suite), config.demos.first_init_state
    for task in tasks:
        if task not in experts:
            raise ConfigError(
                f"env.tasks: {task} has no scripted expert in {config.env.suite}; tasks that have: "
                + (", ".join(experts) or "none, train on the benchmark's own files (demos_dir or pretrain.data)")
            )
        if first >= infos[task].init_states:
            raise ConfigError(
                f"demos.first_init_state={first}, but {task} has {infos[task].init_states} initial states"
            )
    return {task: infos[task].init_states for task in tasks}


def _check_handover(config: Config) -> None:
    handover, chunk, limit = config.demos.handover, config.model.actions_per_chunk, config.demos.step_limit
    if not config.checkpoint:
        raise ConfigError(f"demos.corrected={config.demos.corrected:g} needs a policy that hands over: set checkpoint")
    if not chunk <= handover < limit:
        raise ConfigError(
            f"demos.handover={handover} must be at least one chunk (model.actions_per_chunk={chunk}) and less than "
            f"demos.step_limit={limit}"
        )


def demo_spec(
    config: Config, env: EnvSpec, task: str, init_states: Mapping[str, int], attempt: int, checkpoint: str = ""
) -> EpisodeSpec:
    """Attempt number `attempt` at `task`: initial states from the first one up, then again with new seeds.

    Every so many attempts (`demos.chained`) another task, drawn at random, leads up to this one; in some
    (`demos.corrected`) the policy with fingerprint `checkpoint` acts before the expert.
    """
    first, chained, chunk = config.demos.first_init_state, config.demos.chained, config.model.actions_per_chunk
    random = np.random.default_rng([config.seed, attempt, *task.encode()])
    begin = task, first + attempt % (init_states[task] - first)
    if int((attempt + 1) * chained) > int(attempt * chained):
        begin = lead_up(config, task, init_states, random)
    handover = chunk * int(random.integers(1, max(1, config.demos.handover // chunk) + 1))
    corrected = random.random() < config.demos.corrected
    expert = PolicySpec(kind="expert", noise=config.demos.noise)
    return EpisodeSpec(
        env=env,
        task=begin[0],
        then=(task,) if begin[0] != task else (),
        init_state=begin[1],
        seed=config.seed * 1_000_000 + _FIRST_SEED + attempt,
        policy=replace(expert, checkpoint=checkpoint, handover=handover) if corrected else expert,
        step_limit=config.demos.step_limit,
        actions_per_chunk=chunk,
        record="trajectory",
    )


def lead_up(config: Config, task: str, init_states: Mapping[str, int], random: np.random.Generator) -> tuple[str, int]:
    """Another task and an initial state of it from which `task` can be done next.

    Raises ConfigError when no other of the tasks leads up to this one.
    """
    others = [other for other in init_states if other != task]
    for _ in range(_DRAWS if others else 0):
        other = others[random.integers(len(others))]
        init_state = int(random.integers(config.demos.first_init_state, init_states[other]))
        if leads_to(config.env.suite, other, init_state, task):
            return other, init_state
    raise ConfigError(f"demos.chained={config.demos.chained:g}: none of {', '.join(others)} leads up to {task}")


def record(
    run: Run, config: Config, env: EnvSpec, init_states: Mapping[str, int], checkpoint: str = ""
) -> dict[str, list[EpisodeResult]]:
    """Run the tasks' attempts, each task's in order, until every task has its successes and none beyond them."""
    results: dict[str, list[EpisodeResult]] = {task: [] for task in init_states}
    while True:
        specs = [
            demo_spec(config, env, task, init_states, attempt, checkpoint)
            for task, found in results.items()
            for attempt in range(len(found), len(found) + config.demos.episodes_per_task - _successes(found))
        ]
        if not specs:
            return results
        new = {result.spec.key: result for result in run(specs, "demonstrate")}
        for spec in specs:
            results[spec.last_task].append(new[spec.key])
        for task, found in results.items():
            _check(task, found)


def _successes(results: Sequence[EpisodeResult]) -> int:
    return sum(_shows(result) for result in results)


def _shows(result: EpisodeResult) -> bool:
    """Whether an expert succeeded: a policy that does so before it hands over leaves nothing to demonstrate."""
    return result.success and bool(result.trajectory or not result.spec.policy.handover)


def _check(task: str, results: Sequence[EpisodeResult]) -> None:
    failures = [result for result in results if not result.success]
    if len(failures) > max(_PATIENCE, len(results) / 2):
        errors = [result.error.strip().splitlines()[-1] for result in failures if result.error]
        raise DemosError(
            f"the expert of {task} failed {len(failures)} of {len(results)} times"
            + (f" (the simulator's last error: {errors[-1]})" if errors else "")
            + "; raise demos.step_limit, lower demos.noise, or leave the task out of env.tasks"
        )


def _gathered(task: str, results: Sequence[EpisodeResult], folder: Path) -> TaskDemos:
    kept = [result for result in results if _shows(result)]
    mean_steps = sum(result.steps for result in kept) / len(kept)
    return TaskDemos(task, tuple(folder / result.trajectory for result in kept), len(results), mean_steps)


def table(demos: Sequence[TaskDemos]) -> str:
    """One line for each task."""
    return "\n".join(
        f"{each.task:45} {len(each.files):4} demonstrations from {each.attempts} attempts, {each.mean_steps:5.1f} steps"
        for each in demos
    )
