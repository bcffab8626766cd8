"""The sweep: explore once, evaluate the control, one Tune trial for each way to adapt, confirm and film the best.

Every stage finds again what an earlier, interrupted run of the same folder finished.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import ray
import torch
from ray import tune
from ray.actor import ActorHandle

from worldagen.arms import Arm, TrialKey
from worldagen.config import Config, to_dict
from worldagen.data import trajectories
from worldagen.models import checkpoint
from worldagen.results import Exploration, SweepResults
from worldagen.rollout.inference import start_servers
from worldagen.rollout.pool import Pool
from worldagen.sweep.arm import failed_arm, load_arm, run_control, unmeasured_arm
from worldagen.sweep.confirmation import confirm
from worldagen.sweep.context import SweepContext
from worldagen.sweep.halving import Halving
from worldagen.sweep.plan import Unit, axes, step_counts, trials
from worldagen.sweep.tracking import MLflowCallback, log_arm
from worldagen.sweep.trial import ERROR, TIME_AXIS, resources, run_trial
from worldagen.tracking.mlflow_log import TrackedSweep, log_metrics
from worldagen.ttt.explore import Explored, exploration_specs, explore
from worldagen.ttt.job import SnapshotMaker
from worldagen.types import EnvSpec, EpisodeSpec

# Tune would turn Ctrl-C into an orderly return; we want the interruption to reach the command line.
os.environ.setdefault("TUNE_DISABLE_SIGINT_HANDLER", "1")
os.environ.setdefault("RAY_AIR_NEW_OUTPUT", "0")  # its tables cannot be switched off; episodes show our own progress
os.environ.setdefault("TUNE_DISABLE_STRICT_METRIC_CHECKING", "1")  # a trial that breaks reports its error, nothing else


def run_sweep(
    config: Config, folder: Path, unit: Unit, env: EnvSpec, checkpoint_dir: Path, tracked: TrackedSweep
) -> SweepResults:
    """Run what is missing of the sweep in run folder `folder`. Ray must be connected.

    A failed trial is shown as failed arms. The next run tries it again if its process died; an adaptation that broke
    would break again. Whatever else fails is raised.
    """
    base = checkpoint.fingerprint(checkpoint_dir)
    _tell_of_adapters(config)
    servers = start_servers(checkpoint_dir, folder / "adapters", config.inference)
    try:
        with _pool(config, folder / "exploration", servers) as pool:
            training, heldout = exploration_specs(config, env, unit.tasks, unit.instructions, unit.init_states, base)
            explored = explore(pool, training, heldout)
            _log_pool(tracked, pool, "exploration")
        context = SweepContext(
            config=config,
            folder=folder,
            unit=unit,
            env=env,
            checkpoint=checkpoint_dir.absolute(),
            base=base,
            explored=explored,
        )
        with _pool(config, folder / "evaluation", servers) as pool:
            control = measure_control(context, pool)
            log_arm(context, tracked, tracked.run_id, control)
            ends = run_trials(context, pool, tracked)
            results = gather(context, control, ends)
            best, chosen = (confirm(context, pool, group) for group in (results.best_group, results.chosen_group))
            results = replace(results, confirmation=best, chosen=chosen)
            results = film(context, pool, results)
            _log_pool(tracked, pool, "evaluation")
            return results
    finally:
        for server in servers:
            ray.kill(server)


def _tell_of_adapters(config: Config) -> None:
    at_once, kept = config.ttt.max_concurrent_trials * len(step_counts(config)), config.inference.max_adapters
    if at_once > kept:
        print(
            f"up to {at_once} adapters are evaluated at a time, of which an inference server keeps {kept} loaded "
            "(inference.max_adapters); the others it will read again and again"
        )


def measure_control(context: SweepContext, pool: Pool) -> Arm:
    """The base model on the evaluation episodes and on the held-out exploration."""
    device = "cuda" if context.config.ttt.gpus and torch.cuda.is_available() else "cpu"
    largest = max(trials(context.config), key=lambda trial: trial.explored)  # a smaller exploration may be lost
    job = replace(context.job(largest), device=device)
    return run_control(context, pool, SnapshotMaker(job))


@dataclass(frozen=True)
class TrialEnd:
    """How a trial ended."""

    steps: int
    """The last step count that it reported."""
    error: str
    """Why it failed; empty if it did not."""


def run_trials(context: SweepContext, pool: Pool, tracked: TrackedSweep) -> dict[TrialKey, TrialEnd]:
    """Run the trials that have not ended yet; returns how all of them ended."""
    trainable = tune.with_resources(
        tune.with_parameters(run_trial, context=context, pool=pool), resources(context.config)
    )
    Halving.context = MLflowCallback.context = context
    MLflowCallback.tracked = tracked
    state = context.folder / "tune"
    if any(state.glob("experiment_state-*.json")) and tune.Tuner.can_restore(str(state)):  # else it restores no trial
        tuner = tune.Tuner.restore(str(state), trainable, resume_errored=True)
    else:
        tuner = _new_tuner(context, trainable)
    grid = tuner.fit()
    return dict(_end(grid[index]) for index in range(len(grid)))


def _new_tuner(context: SweepContext, trainable: Any) -> tune.Tuner:
    config = context.config
    return tune.Tuner(
        trainable,
        param_space={name: tune.grid_search(values) for name, values in axes(config).items()},
        tune_config=tune.TuneConfig(
            scheduler=Halving(context) if config.ttt.asha else None,
            max_concurrent_trials=config.ttt.max_concurrent_trials,
            reuse_actors=True,
        ),
        run_config=tune.RunConfig(
            name="tune",
            storage_path=str(context.folder),
            failure_config=tune.FailureConfig(max_failures=2),
            callbacks=[MLflowCallback()],
            verbose=0,
        ),
    )


def _end(result: tune.Result) -> tuple[TrialKey, TrialEnd]:
    """How a trial ended, its error without Ray's wrapping."""
    assert result.config is not None
    last = result.metrics or {}
    error = last.get(ERROR, "")
    if result.error:
        cause = getattr(result.error, "cause", None) or result.error
        error = f"{type(cause).__name__}: {cause}"
    return TrialKey(**result.config), TrialEnd(last.get(TIME_AXIS, 0), error)


def gather(context: SweepContext, control: Arm, ends: Mapping[TrialKey, TrialEnd]) -> SweepResults:
    """All arms, finished, ended early or failed, with what they were measured on."""
    config = context.config

    def arm(trial: TrialKey, steps: int) -> Arm:
        if finished := load_arm(context, trial, steps):
            return finished
        end = ends[trial]
        if end.steps >= steps and not end.error:
            reason = f"its file is gone from arms/; delete {context.folder / 'tune'} too, and run again"
            return failed_arm(context, trial, steps, reason)
        if config.ttt.asha and not end.error:
            reason = f"ASHA ended its trial after {end.steps} steps (ttt.asha={config.ttt.asha})"
            return replace(unmeasured_arm(trial, steps), ended=reason)
        return failed_arm(context, trial, steps, end.error or "its trial ended early")

    return SweepResults(
        unit=context.unit.name,
        tasks=context.unit.tasks,
        control=control,
        arms=tuple(arm(trial, steps) for trial in trials(config) for steps in step_counts(config)),
        exploration=_facts(config, context.explored),
        suite=context.env.suite,
        assets=context.env.assets,
        visuals=context.env.visuals,
        checkpoint=context.base,
        config=to_dict(config),
    )


def _facts(config: Config, explored: Explored) -> Exploration:
    training, heldout = (
        [trajectories.info(path).chunks for path in paths] for paths in (explored.training, explored.heldout)
    )
    sizes = {size: explored.first(size) for size in config.explore.episodes}
    coverages = {str(size): first.coverage for size, first in sorted(sizes.items()) if first.training}
    return Exploration(
        episodes=len(training),
        heldout_episodes=len(heldout),
        windows=sum(training),  # a window starts at every chunk
        heldout_windows=sum(heldout),
        environment_steps=explored.environment_steps + explored.heldout_steps,
        noise=config.explore.noise,
        lost=explored.lost,
        seconds=explored.seconds,
        coverage=coverages[str(max(sizes))],
        coverages=coverages,
        mixture=config.explore.mixture,
    )


def film(context: SweepContext, pool: Pool, results: SweepResults) -> SweepResults:
    """The results with videos of the same episodes for the control and for the best arm."""
    best = results.best
    if best is None or not context.config.evaluation.videos:
        return results
    before, after = (context.specs(adapter, video=True) for adapter in ("", best.adapter))
    filmed = {result.spec.key: result for result in pool.run([*before, *after], "film")}

    def videos(specs: list[EpisodeSpec]) -> tuple[str, ...]:
        files = [pool.trajectories / f"{spec.key}.mp4" for spec in specs if filmed[spec.key].trajectory]
        return tuple(context.relative(file) for file in files)

    arms = tuple(replace(arm, videos=videos(after)) if arm is best else arm for arm in results.arms)
    return replace(results, control=replace(results.control, videos=videos(before)), arms=arms)


def _log_pool(tracked: TrackedSweep, pool: Pool, name: str) -> None:
    """What the pool and its servers did, in the parent run."""
    metrics = {f"{name}/{key}": value for key, value in pool.metrics().items()}
    log_metrics(tracked, tracked.run_id, metrics, step=0)


@contextmanager
def _pool(config: Config, storage: Path, servers: Sequence[ActorHandle]) -> Iterator[Pool]:
    pool = Pool.start(config.pool, storage, servers)
    try:
        yield pool
    finally:
        pool.close()
