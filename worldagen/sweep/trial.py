"""One Tune trial: one way to adapt, reported after each step count. Tune's time axis is the TTT step.

A trial owns no simulators (it asks the shared pool) and reserves no CPU, so trials cannot starve each other.
"""

import functools
from collections.abc import Mapping
from typing import Any

import ray
from ray import tune
from ray.exceptions import RayTaskError
from ray.tune import PlacementGroupFactory

from worldagen.results import Arm
from worldagen.rollout.pool import Pool
from worldagen.sweep.arm import Setting, run_arm
from worldagen.sweep.plan import adaptations
from worldagen.tracking import mlflow_log
from worldagen.tracking.mlflow_log import TrackedSweep
from worldagen.ttt.actor import start_learner
from worldagen.ttt.learner import Adaptation
from worldagen.ttt.snapshot import Snapshot

TIME_AXIS = "ttt_steps"
RESOURCES = PlacementGroupFactory([{"CPU": 0, "memory": 1}])
"""One byte of memory: Tune refuses a trial that reserves nothing at all."""


def run_trial(params: Mapping[str, Any], *, setting: Setting, pool: Pool, tracked: TrackedSweep) -> None:
    """Adapt as `params` (learning_rate, rank) say; after each step count evaluate, log and report."""
    how = find_adaptation(setting, params)
    run_id = mlflow_log.open_trial(tracked, trial_name(how), dict(params))
    learner = start_learner(setting.job(how), setting.config.ttt.gpus)
    try:
        for steps in (0, *setting.job(how).steps):
            arm = run_arm(setting, pool, how, steps, functools.partial(take_snapshot, learner))
            log_arm(setting, tracked, run_id, arm)
            tune.report({TIME_AXIS: steps, **metrics(arm)})
    except Exception as error:
        mlflow_log.set_tags(tracked, run_id, {"error": str(error)[:500]})
        mlflow_log.close_run(tracked, run_id, failed=True)
        raise
    finally:
        ray.kill(learner)
    mlflow_log.close_run(tracked, run_id)


def find_adaptation(setting: Setting, params: Mapping[str, Any]) -> Adaptation:
    """The adaptation that Tune's parameters stand for."""
    wanted = params["learning_rate"], params["rank"]
    return next(how for how in adaptations(setting.config) if (how.learning_rate, how.rank) == wanted)


def trial_name(how: Adaptation) -> str:
    return f"lr {how.learning_rate:g}, rank {how.rank}"


def take_snapshot(learner: Any, steps: int) -> Snapshot:
    """Ask a learner actor; what it raised is raised here as it was."""
    try:
        return ray.get(learner.snapshot.remote(steps))
    except RayTaskError as error:
        raise error.cause from None


def metrics(arm: Arm) -> dict[str, float]:
    """What Tune and MLflow record of an arm."""
    assert arm.measurement is not None
    found = {**arm.measurement.metrics(), "success_rate": arm.success_rate, "learn_seconds": arm.learn_seconds}
    if arm.training_loss:
        found["training_loss"] = arm.training_loss[-1]
    return found


def log_arm(setting: Setting, tracked: TrackedSweep, run_id: str, arm: Arm) -> None:
    """Log an arm's metrics at its step, and its adapter."""
    mlflow_log.log_metrics(tracked, run_id, metrics(arm), arm.steps)
    for name in ("adapter.safetensors", "adapter.json", "snapshot.json") if arm.adapter else ():
        mlflow_log.log_artifacts(tracked, run_id, setting.adapters / arm.adapter / name, f"adapters/step-{arm.steps}")
