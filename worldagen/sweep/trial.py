"""One Tune trial: one way to adapt, reported after each step count. Tune's time axis is the TTT step.

The process of a trial is the learner. It owns no simulators (it asks the shared pool) and reserves no CPU, so trials
cannot starve each other.
"""

from collections.abc import Mapping
from typing import Any

import torch
from ray import tune
from ray.tune import PlacementGroupFactory

from worldagen.arms import Arm, TrialKey
from worldagen.config import Config
from worldagen.rollout.pool import Pool
from worldagen.sweep.arm import Setting, run_arm, run_control
from worldagen.ttt.job import SnapshotMaker
from worldagen.ttt.learner import AdaptationError

TIME_AXIS = "ttt_steps"
ERROR = "error"


def run_trial(params: Mapping[str, Any], *, setting: Setting, pool: Pool) -> None:
    """Adapt as `params` (the fields of a TrialKey) say; after each step count, evaluate and report.

    An adaptation that breaks would break again: its error is the last thing reported, and Tune does not repeat it. A
    process that dies Tune starts again, and it goes on from its last snapshot.
    """
    trial = TrialKey(**params)
    job = setting.job(trial)
    torch.set_num_threads(job.threads)
    maker = SnapshotMaker(job)
    control = run_control(setting, pool, maker)
    tune.report({TIME_AXIS: 0, **metrics(control)})
    arm: Arm | None = None
    for steps in job.steps:
        try:
            arm = run_arm(setting, pool, trial, steps, maker, control, arm)
        except AdaptationError as error:
            tune.report({TIME_AXIS: steps, ERROR: str(error)})
            return
        tune.report({TIME_AXIS: steps, **metrics(arm)})


def resources(config: Config) -> PlacementGroupFactory:
    """What a trial reserves. One byte of memory, because Tune refuses a trial that reserves nothing at all."""
    return PlacementGroupFactory([{"CPU": 0, "GPU": config.ttt.gpus, "memory": 1}])


def metrics(arm: Arm) -> dict[str, float]:
    """What Tune and MLflow record of an arm."""
    assert arm.measurement is not None
    found = {**arm.measurement.metrics(), "success_rate": arm.success_rate, "learn_seconds": arm.learn_seconds}
    if arm.training_loss:
        found["training_loss"] = arm.training_loss[-1]
    return found
