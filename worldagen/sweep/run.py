"""The sweep: explore once, evaluate the control, one Tune trial for each way to adapt, film the best arm.

Every stage finds again what an earlier, interrupted run of the same folder finished.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import ray
import torch
from ray import tune
from ray.actor import ActorHandle

from worldagen.config import Config, to_dict
from worldagen.data import trajectories
from worldagen.models import checkpoint
from worldagen.results import Arm, Exploration, SweepResults
from worldagen.rollout.inference import start_servers
from worldagen.rollout.pool import Pool
from worldagen.sweep.arm import Setting, failed_arm, load_arm, run_arm
from worldagen.sweep.plan import Unit, adaptations
from worldagen.sweep.tracking import MLflowCallback, log_arm
from worldagen.sweep.trial import ERROR, resources, run_trial
from worldagen.tracking.mlflow_log import TrackedSweep, log_metrics
from worldagen.ttt.explore import Explored, exploration_specs, explore
from worldagen.ttt.job import SnapshotMaker
from worldagen.ttt.methods import Adaptation
from worldagen.types import EnvSpec, EpisodeSpec

# Tune would turn Ctrl-C into an orderly return; we want the interruption to reach the command line.
os.environ.setdefault("TUNE_DISABLE_SIGINT_HANDLER", "1")
os.environ.setdefault("RAY_AIR_NEW_OUTPUT", "0")  # its tables cannot be switched off; episodes show our own progress


def run_sweep(
    config: Config, folder: Path, unit: Unit, env: EnvSpec, checkpoint_dir: Path, tracked: TrackedSweep
) -> SweepResults:
    """Run what is missing of the sweep in run folder `folder`. Ray must be connected.

    A failed trial is shown as failed arms and tried again by the next run; whatever else fails is raised.
    """
    base = checkpoint.fingerprint(checkpoint_dir)
    servers = start_servers(checkpoint_dir, folder / "adapters", config.inference)
    try:
        with _pool(config, folder / "exploration", servers) as pool:
            training, heldout = exploration_specs(config, env, unit.tasks, unit.instructions, unit.init_states, base)
            explored = explore(pool, training, heldout)
            _log_pool(tracked, pool, "exploration")
        setting = Setting(
            config=config,
            folder=folder,
            unit=unit,
            env=env,
            checkpoint=checkpoint_dir.absolute(),
            base=base,
            explored=explored,
        )
        with _pool(config, folder / "evaluation", servers) as pool:
            control = run_control(setting, pool)
            log_arm(setting, tracked, tracked.run_id, control)
            errors = run_trials(setting, pool, tracked)
            results = gather(setting, control, errors)
            filmed = film(setting, pool, results)
            _log_pool(tracked, pool, "evaluation")
            return filmed
    finally:
        for server in servers:
            ray.kill(server)


def run_control(setting: Setting, pool: Pool) -> Arm:
    """The base model on the evaluation episodes and on the held-out exploration."""
    how = adaptations(setting.config)[0]  # which one does not matter at zero steps
    device = "cuda" if setting.config.ttt.gpus and torch.cuda.is_available() else "cpu"
    return run_arm(setting, pool, how, 0, SnapshotMaker(replace(setting.job(how), device=device)))


def run_trials(setting: Setting, pool: Pool, tracked: TrackedSweep) -> dict[tuple[float, int], str]:
    """Run the trials that have not ended yet; returns why trials failed, by (learning rate, rank)."""
    trainable = tune.with_resources(
        tune.with_parameters(run_trial, setting=setting, pool=pool), resources(setting.config)
    )
    state = setting.folder / "tune"
    if tune.Tuner.can_restore(str(state)):
        tuner = tune.Tuner.restore(str(state), trainable, resume_errored=True)
    else:
        tuner = _new_tuner(setting, trainable, tracked)
    grid = tuner.fit()
    found = {_trial(result): _failure(result) for result in (grid[index] for index in range(len(grid)))}
    return {trial: failure for trial, failure in found.items() if failure}


def _new_tuner(setting: Setting, trainable: Any, tracked: TrackedSweep) -> tune.Tuner:
    ways = adaptations(setting.config)
    return tune.Tuner(
        trainable,
        param_space={
            "learning_rate": tune.grid_search(sorted({how.learning_rate for how in ways})),
            "rank": tune.grid_search(sorted({how.rank for how in ways})),
        },
        tune_config=tune.TuneConfig(max_concurrent_trials=setting.config.ttt.max_concurrent_trials, reuse_actors=True),
        run_config=tune.RunConfig(
            name="tune",
            storage_path=str(setting.folder),
            failure_config=tune.FailureConfig(max_failures=2),
            callbacks=[MLflowCallback(setting, tracked)],
            verbose=0,
        ),
    )


def _trial(result: tune.Result) -> tuple[float, int]:
    assert result.config is not None
    return result.config["learning_rate"], result.config["rank"]


def _failure(result: tune.Result) -> str:
    """Why a trial failed, without Ray's wrapping; empty if it did not."""
    if result.error:
        cause = getattr(result.error, "cause", None) or result.error
        return f"{type(cause).__name__}: {cause}"
    return (result.metrics or {}).get(ERROR, "")


def gather(setting: Setting, control: Arm, errors: dict[tuple[float, int], str]) -> SweepResults:
    """All arms, finished or failed, with what they were measured on."""
    config = setting.config

    def arm(how: Adaptation, steps: int) -> Arm:
        reason = errors.get((how.learning_rate, how.rank), "its trial ended early")
        return load_arm(setting, how, steps) or failed_arm(setting, how, steps, reason)

    return SweepResults(
        unit=setting.unit.name,
        tasks=setting.unit.tasks,
        control=control,
        arms=tuple(arm(how, steps) for how in adaptations(config) for steps in setting.job(how).steps),
        exploration=_facts(config, setting.explored),
        suite=setting.env.suite,
        assets=setting.env.assets,
        visuals=setting.env.visuals,
        checkpoint=setting.base,
        config=to_dict(config),
    )


def _facts(config: Config, explored: Explored) -> Exploration:
    training, heldout = (
        [trajectories.info(path).chunks for path in paths] for paths in (explored.training, explored.heldout)
    )
    return Exploration(
        episodes=len(training),
        heldout_episodes=len(heldout),
        windows=sum(training),  # a window starts at every chunk
        heldout_windows=sum(heldout),
        environment_steps=explored.environment_steps + explored.heldout_steps,
        noise=config.explore.noise,
        lost=explored.lost,
        seconds=explored.seconds,
    )


def film(setting: Setting, pool: Pool, results: SweepResults) -> SweepResults:
    """The results with videos of the same episodes for the control and for the best arm."""
    best = results.best
    if best is None or not setting.config.evaluation.videos:
        return results
    how = next(how for how in adaptations(setting.config) if (how.learning_rate, how.rank) == best.trial)
    before, after = (setting.specs(how, steps, video=True) for steps in (0, best.steps))
    filmed = {result.spec.key: result for result in pool.run([*before, *after], "film")}

    def videos(specs: list[EpisodeSpec]) -> tuple[str, ...]:
        files = [pool.trajectories / f"{spec.key}.mp4" for spec in specs if filmed[spec.key].trajectory]
        return tuple(setting.relative(file) for file in files)

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
