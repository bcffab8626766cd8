"""Ending hopeless trials early: Tune's ASHA (Li et al., 2020, "A System for Massively Parallel Hyperparameter Tuning")
with TTT steps for its time. At the first step count, and whenever steps have doubled since, a trial goes on only if it
is in the better half of those that have come as far."""

from typing import Any, ClassVar

from ray.tune.experiment import Trial
from ray.tune.schedulers import ASHAScheduler

from worldagen.arms import TrialKey
from worldagen.sweep.arm import load_arm
from worldagen.sweep.context import SweepContext
from worldagen.sweep.plan import step_counts
from worldagen.sweep.trial import TIME_AXIS, metrics

MEASURES = {"heldout": ("changed", "min"), "drift": ("arm_drift", "min"), "success": ("success_rate", "max")}
"""What `ttt.asha` names: the reported metric and whether the highest or the lowest is best."""


class Halving(ASHAScheduler):
    """ASHA that, in a restored sweep, still compares with the trials that ended before."""

    context: ClassVar[SweepContext]
    """Set by each process: Tune keeps its scheduler with its state, which may be restored in another folder."""

    def __init__(self, context: SweepContext) -> None:
        counts = step_counts(context.config)
        metric, mode = MEASURES[context.config.ttt.asha]
        super().__init__(TIME_AXIS, metric, mode, max_t=counts[-1], grace_period=counts[0], reduction_factor=2)

    def on_trial_add(self, tune_controller: Any, trial: Trial) -> None:
        super().on_trial_add(tune_controller, trial)
        if trial.status == Trial.TERMINATED:
            for steps in step_counts(self.context.config):
                if arm := load_arm(self.context, TrialKey(**trial.config), steps):
                    self.on_trial_result(tune_controller, trial, {TIME_AXIS: steps, **metrics(arm)})
