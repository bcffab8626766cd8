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
from worldagen.sweep.arm import run_arms, run_control
from worldagen.sweep.context import SweepContext
from worldagen.ttt.job import SnapshotMaker
from worldagen.ttt.learner import AdaptationError

TIME_AXIS = "ttt_steps"
ERROR = "error"


def run_trial(params: Mapping[str, Any], *, context: SweepContext, pool: Pool) -> None:
    """Adapt as `params` (the fields of a TrialKey) say, evaluate each step count and report it: all step counts at
    once, which keeps many simulators busy, or one after the other where ASHA decides between them.

    An adaptation that breaks would break again: its error is the last thing reported, and Tune does not repeat it. A
    process that dies Tune starts again, and it goes on from its last snapshot.
    """
    trial = TrialKey(**params)
    job = context.job(trial)
    torch.set_num_threads(job.threads)
    maker = SnapshotMaker(job)
    control = run_control(context, pool, maker)
    tune.report({TIME_AXIS: 0, **metrics(control)})
    last: Arm | None = None
    try:
        for counts in [[steps] for steps in job.steps] if context.config.ttt.asha else [job.steps]:
            for arm in run_arms(context, pool, trial, counts, maker, control, last):
                tune.report({TIME_AXIS: arm.steps, **metrics(arm)})
                last = arm
    except AdaptationError as error:
        taken = last.steps if last else 0
        tune.report({TIME_AXIS: min(steps for steps in job.steps if steps > taken), ERROR: str(error)})


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
