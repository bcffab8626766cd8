"""What a sweep will do, known before anything starts: units, arms, episodes, and roughly what they cost."""

import os
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path

from worldagen.config import Config, ConfigError
from worldagen.envs.suites import configured_shifts, task_infos
from worldagen.evaluation.drawn_chains import runs_chains
from worldagen.evaluation.episodes import evaluated_tasks, evaluation_specs, known_tasks
from worldagen.models import checkpoint
from worldagen.models.weights import CheckpointError
from worldagen.rollout.demos import available_init_states
from worldagen.ttt.methods import Adaptation, adaptation
from worldagen.types import EnvSpec, PolicySpec

SECONDS_PER_STEP = {"light": 0.015, "full": 0.1}
"""One control step on one CPU, rendering and policy included; this and the next two are for estimates only."""
SECONDS_PER_WINDOW = {"adapt": 0.02, "pretrain": 0.04}
"""One window of one optimiser step of the tiny model on one CPU."""
SECONDS_TO_START = 60.0
"""Starting Ray, the simulators and the model's processes."""
_BYTES_PER_IMAGE_PIXEL = 1.6
"""PNG of a simulated camera image."""


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
    """The unit of `config`. Raises ConfigError for whatever would stop the sweep later and can be known now."""
    infos = task_infos(config.env.suite)
    known, tasks = known_tasks(config), evaluated_tasks(config)
    configured_shifts(config.env)
    if runs_chains(config):
        raise ConfigError(
            "evaluation.protocol or evaluation.chains asks for chains: a sweep compares arms by single tasks; "
            "evaluate its adapters on chains with pipelines/evaluate.py"
        )
    if config.checkpoint:
        given_checkpoint(config)
    elif not (config.demos_dir or config.pretrain.data):
        available_init_states(config, known)
    if len(known) < 2:
        raise ConfigError(f"env.tasks={list(known)}: exploration borrows other tasks' instructions; name two or more")
    window = config.model.chunks * config.model.actions_per_chunk
    if config.explore.step_limit < window:
        raise ConfigError(
            f"explore.step_limit={config.explore.step_limit} is shorter than one window of the model ({window} steps)"
        )
    return Unit(
        name=config.env.suite,
        tasks=tasks,
        init_states={task: infos[task].init_states for task in tasks},
        instructions={task: infos[task].instruction for task in known},
    )


def given_checkpoint(config: Config) -> Path:
    """The checkpoint folder that `config` names. Raises ConfigError when it holds none, or a model of another size."""
    if not config.checkpoint:
        raise ConfigError("checkpoint is not set; name a checkpoint folder, e.g. checkpoint=runs/quickstart/checkpoint")
    folder = Path(config.checkpoint).expanduser().absolute()
    try:
        described = checkpoint.describe(folder)["config"]
    except CheckpointError as error:
        raise ConfigError(f"checkpoint={config.checkpoint}: {error}") from error
    expected = asdict(config.model)
    differing = [name for name in expected if name != "preset" and described.get(name) != expected[name]]
    if differing:
        sizes = ", ".join(f"{name} ({described.get(name)}, here {expected[name]})" for name in differing)
        raise ConfigError(f"checkpoint={config.checkpoint} holds another model: {sizes}; set model.* as it was trained")
    return folder


def step_counts(config: Config) -> tuple[int, ...]:
    """Step counts with an adapter, ascending. The zero-step control is not among them: it is always there."""
    return tuple(sorted({steps for steps in config.ttt.steps if steps}))


def adaptations(config: Config) -> list[Adaptation]:
    """One for each trial, ordered by learning rate, then rank."""
    ttt = config.ttt
    return [
        adaptation(
            ttt,
            method=ttt.method[0],
            learning_rate=learning_rate,
            rank=rank,
            seed=config.seed + ttt.seeds[0],
        )
        for learning_rate, rank in product(sorted(set(ttt.learning_rate)), sorted(set(ttt.rank)))
    ]


def describe(config: Config) -> str:
    """The plan in words and numbers. Starts nothing and writes nothing. Raises ConfigError as `plan_unit` does."""
    unit = plan_unit(config)
    counts, trials, explore = step_counts(config), len(adaptations(config)), config.explore
    specs = evaluation_specs(config, EnvSpec(suite=config.env.suite), unit.tasks, PolicySpec())
    per_arm, step_limit = len(specs), specs[0].step_limit
    evaluated = per_arm * (1 + trials * len(counts)) + 2 * min(config.evaluation.videos, per_arm)
    explored = max(explore.episodes) + explore.heldout_episodes
    demonstrated = 0 if config.checkpoint else len(unit.instructions) * config.demos.episodes_per_task
    shifts = ", ".join(f"{shift.name} {shift.strength:g}" for shift in configured_shifts(config.env))
    lines = [
        f"run folder   {config.run_dir}",
        f"unit         {unit.name}: one adapter for {', '.join(unit.tasks)}",
        f"shifts       {shifts or 'none'}",
        f"pretraining  {demonstrated} demonstrations, {config.pretrain.steps} steps (skipped where already done)"
        if demonstrated
        else f"pretraining  none: checkpoint {config.checkpoint}",
        f"exploration  {max(explore.episodes)} + {explore.heldout_episodes} held-out episodes of "
        f"{explore.step_limit} steps",
        f"trials       {trials}: learning rates {_listed(config.ttt.learning_rate)} x ranks {_listed(config.ttt.rank)},"
        f" {counts[-1]} TTT steps each",
        f"arms         {1 + trials * len(counts)}: the control, and each trial after {_listed(counts)} steps",
        f"evaluation   {evaluated} episodes of at most {step_limit} steps ({per_arm} in each arm)",
        f"storage      about {_storage(config, demonstrated, explored, trials * len(counts)) / 1e6:.0f} MB",
        f"time         roughly {_minutes(config, demonstrated, explored, evaluated * step_limit, trials):.0f} minutes "
        f"on {_workers(config)} CPUs",
    ]
    return "\n".join(lines)


def _storage(config: Config, demonstrated: int, explored: int, adapters: int) -> float:
    """Bytes: recorded images, adapters with their optimiser's two moments, twice for MLflow's copies."""
    chunk = config.model.actions_per_chunk
    frames = demonstrated * config.demos.step_limit / chunk + explored * config.explore.step_limit / chunk
    model = config.model
    attention, mlp = 4 * (model.hidden + model.heads * model.head_dim), 3 * (model.hidden + model.mlp)
    adapter = 4 * max(config.ttt.rank) * model.layers * (attention + mlp)
    return frames * 2 * config.env.image_size**2 * _BYTES_PER_IMAGE_PIXEL + adapters * 4 * adapter


def _minutes(config: Config, demonstrated: int, explored: int, evaluated_steps: int, trials: int) -> float:
    control_steps = demonstrated * config.demos.step_limit + explored * config.explore.step_limit
    control_steps += evaluated_steps
    simulate = control_steps * SECONDS_PER_STEP[config.env.visuals]
    adapt = trials * max(config.ttt.steps) * config.ttt.batch_size * SECONDS_PER_WINDOW["adapt"]
    pretrain = config.pretrain.steps * config.pretrain.batch_size * SECONDS_PER_WINDOW["pretrain"]
    work = simulate + adapt + (pretrain if demonstrated else 0.0)
    return (SECONDS_TO_START + work / _workers(config)) / 60


def _workers(config: Config) -> int:
    return config.pool.workers or os.cpu_count() or 1


def _listed(values: object) -> str:
    return ", ".join(f"{value:g}" for value in values)  # type: ignore[attr-defined]
