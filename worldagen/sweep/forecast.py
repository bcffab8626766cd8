"""What a sweep will do, in words and numbers, before it starts: arms, episodes, and roughly what they cost."""

from dataclasses import dataclass

from worldagen.config import Config
from worldagen.envs.suites import configured_shifts
from worldagen.evaluation.episodes import evaluation_specs
from worldagen.evaluation.power import smallest_detectable_difference
from worldagen.rollout.duration import in_words, simulated_minutes, workers
from worldagen.sweep.plan import Unit, axes, check_inputs, plan_unit, step_counts, trials
from worldagen.types import EnvSpec, PolicySpec

SECONDS_PER_WINDOW = {"adapt": 0.02, "pretrain": 0.04}
"""One window of one optimiser step of the tiny model on one CPU, for estimates only."""
CHANCE = 0.1
"""Share of episodes that change to and fro between two arms, for what a sweep could find. Its report knows better."""
_BYTES_PER_IMAGE_PIXEL = 1.6
"""PNG of a simulated camera image."""


@dataclass(frozen=True, kw_only=True)
class Forecast:
    """How much there is to do, at most: failed, stopped and rejected arms make it less."""

    trials: int
    arms: int
    """The control included."""
    demonstrations: int
    """0 with a checkpoint, or with demonstrations, at hand."""
    explored: int
    """Exploratory episodes, held-out ones included."""
    per_arm: int
    """Evaluation episodes of each arm."""
    evaluated: int
    """Evaluation episodes of all arms and of the videos."""
    confirmed: int
    """Episodes of the confirmation: the control's, the best group's and those of the acceptance rule's choice."""
    step_limit: int
    """Control steps of an evaluation episode, at most."""


def forecast(config: Config, unit: Unit) -> Forecast:
    evaluation = config.evaluation
    specs = evaluation_specs(config, EnvSpec(suite=config.env.suite), unit.tasks, PolicySpec())
    arms = 1 + len(trials(config)) * len(step_counts(config))
    pretrained = config.checkpoint or config.demos_dir or config.pretrain.data
    return Forecast(
        trials=len(trials(config)),
        arms=arms,
        demonstrations=0 if pretrained else len(unit.instructions) * config.demos.episodes_per_task,
        explored=max(config.explore.episodes) + config.explore.heldout_episodes,
        per_arm=len(specs),
        evaluated=arms * len(specs) + 2 * min(evaluation.videos, len(specs)),
        confirmed=len(unit.tasks) * evaluation.confirm_episodes * (1 + _again(config) * len(axes(config)["seed"])),
        step_limit=specs[0].step_limit,
    )


def describe(config: Config, settings: int = 1) -> str:
    """The plan in words and numbers, for one of so many `settings` of a study, which are corrected for each other.
    Starts nothing and writes nothing. Raises ConfigError as `plan_unit` and `check_inputs` do."""
    unit = plan_unit(config)
    check_inputs(config)
    found, explore, counts = forecast(config, unit), config.explore, step_counts(config)
    shifts = ", ".join(f"{shift.name} {shift.strength:g}" for shift in configured_shifts(config.env))
    shifts += f" (draw {config.env.shift_seed})" if shifts and config.env.shift_seed else ""
    lines = {
        "run folder": config.run_dir,
        "unit": f"{unit.name}: one adapter for {', '.join(unit.tasks)}",
        "shifts": shifts or "none",
        "pretraining": _pretraining(config, found),
        "exploration": f"{max(explore.episodes)} + {explore.heldout_episodes} held-out episodes of "
        f"{explore.step_limit} steps" + ", without the shifts (explore.unshifted)" * explore.unshifted,
        "trials": f"{found.trials}: {_axes(config)}, {counts[-1]} TTT steps each"
        + (f", hopeless ones ended earlier by {config.ttt.asha}" if config.ttt.asha else ""),
        "arms": f"{found.arms}: the control, and each trial after {_listed(counts)} steps",
        "evaluation": f"{found.evaluated} episodes of at most {found.step_limit} steps ({found.per_arm} in each arm)"
        + _protocol(config),
        "confirmation": f"{found.confirmed} episodes from fresh initial states: control, best group, the rule's choice"
        if found.confirmed
        else "none (evaluation.confirm_episodes=0)",
        "would find": _finds(config, found, len(unit.tasks), settings),
        "storage": f"about {_storage(config, found) / 1e6:.0f} MB",
        "time": in_words(config, minutes(config, found)),
    }
    return "\n".join(f"{name:13}{text}" for name, text in lines.items())


def minutes(config: Config, found: Forecast) -> float:
    """Estimated wall clock on this machine."""
    control_steps = found.demonstrations * config.demos.step_limit + found.explored * config.explore.step_limit
    control_steps += (found.evaluated + found.confirmed) * found.step_limit
    adapt = found.trials * max(config.ttt.steps) * config.ttt.batch_size * SECONDS_PER_WINDOW["adapt"]
    pretrain = config.pretrain.steps * config.pretrain.batch_size * SECONDS_PER_WINDOW["pretrain"]
    learners = min(config.ttt.max_concurrent_trials, found.trials, workers(config))
    work = adapt / learners + (0.0 if config.checkpoint else pretrain) / workers(config)
    return simulated_minutes(config, control_steps) + work / 60


def _finds(config: Config, found: Forecast, tasks: int, settings: int) -> str:
    """How large an effect has to be, said before it is paid for."""
    budgets = (found.arms - 1) // len(axes(config)["seed"])  # seeds are averaged before anything is compared
    places = [(f"in the search ({found.per_arm} pairs)", found.per_arm, budgets)]
    if fresh := tasks * config.evaluation.confirm_episodes:
        places.append((f"on fresh initial states ({fresh} pairs)", fresh, _again(config) * settings))
    said = []
    for where, pairs, comparisons in places:
        size = smallest_detectable_difference(pairs, comparisons=comparisons, churn=CHANCE)
        said.append(f"{100 * size:.0f} points {where}" if size else f"nothing {where}, too few")
    return f"{'; '.join(said)}, if {CHANCE:.0%} of the episodes change by chance"


def _again(config: Config) -> int:
    """Budgets that meet the control on fresh initial states, at most: the best, and the acceptance rule's choice."""
    return min(2, len(trials(config)) // len(axes(config)["seed"]) * len(step_counts(config)))


def _protocol(config: Config) -> str:
    name, limit = config.evaluation.protocol, config.evaluation.limit
    return f", {f'the first {limit} ' if limit else ''}of the protocol {name}" if name else ""


def _pretraining(config: Config, found: Forecast) -> str:
    if config.checkpoint:
        return f"none: checkpoint {config.checkpoint}"
    data = f"{found.demonstrations} demonstrations, " if found.demonstrations else ""
    return f"{data}{config.pretrain.steps} steps (skipped where already done)"


def _axes(config: Config) -> str:
    """What is swept over; of the axes that one may not know of, those with more than one value."""
    values = axes(config)
    names = {
        "method": "methods",
        "learning_rate": "learning rates",
        "rank": "ranks",
        "explored": "explorations of",
        "seed": "seeds",
    }
    shown = [name for name in names if name not in ("explored", "seed") or len(values[name]) > 1]
    return " x ".join(f"{names[name]} {_listed(values[name])}" for name in shown)


def _storage(config: Config, found: Forecast) -> float:
    """Bytes: recorded images, adapters with their optimiser's two moments, and MLflow's copies."""
    chunk = config.model.actions_per_chunk
    steps = found.demonstrations * config.demos.step_limit + found.explored * config.explore.step_limit
    model = config.model
    attention, mlp = 4 * (model.hidden + model.heads * model.head_dim), 3 * (model.hidden + model.mlp)
    adapter = 4 * max(config.ttt.rank) * model.layers * (attention + mlp)
    return steps / chunk * 2 * config.env.image_size**2 * _BYTES_PER_IMAGE_PIXEL + (found.arms - 1) * 4 * adapter


def _listed(values: object) -> str:
    return ", ".join(str(value) if isinstance(value, str) else f"{value:g}" for value in values)  # type: ignore[attr-defined]
