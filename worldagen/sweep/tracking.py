"""MLflow beside Tune: a callback in the driver logs what trials report, so trials need neither MLflow nor its store."""

from pathlib import Path
from typing import Any, ClassVar

from ray.tune import Callback

from worldagen.arms import Arm, CurvePoint, TrialKey
from worldagen.results import SweepResults
from worldagen.sweep.arm import load_arm
from worldagen.sweep.context import SweepContext
from worldagen.sweep.plan import step_counts
from worldagen.sweep.trial import ERROR, TIME_AXIS, metrics
from worldagen.tracking import mlflow_log
from worldagen.tracking.mlflow_log import TrackedSweep

ARTIFACTS = ("adapter.safetensors", "adapter.json", "snapshot.json")


class MLflowCallback(Callback):
    """One child run for each trial: curves over TTT steps, every arm's figures at its step count, its adapter.

    Tune keeps its callbacks with its state. Where to read and to log is therefore the class's, set by each process: a
    restored sweep may lie in another folder, and log elsewhere, than the one that began.
    """

    context: ClassVar[SweepContext]
    tracked: ClassVar[TrackedSweep]

    def on_trial_result(
        self, iteration: int, trials: list[Any], trial: Any, result: dict[str, Any], **info: Any
    ) -> None:
        if ERROR in result:
            mlflow_log.set_tags(self.tracked, self._run(trial), {ERROR: result[ERROR]})
        elif arm := load_arm(self.context, TrialKey(**trial.config), result[TIME_AXIS]):
            log_arm(self.context, self.tracked, self._run(trial), arm)

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        last = trial.last_result
        if self.context.config.ttt.asha and last[TIME_AXIS] < step_counts(self.context.config)[-1]:
            mlflow_log.set_tags(self.tracked, self._run(trial), {"ended_after": str(last[TIME_AXIS])})
        mlflow_log.close_run(self.tracked, self._run(trial), failed=ERROR in last)

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        mlflow_log.close_run(self.tracked, self._run(trial), failed=True)

    def _run(self, trial: Any) -> str:
        return mlflow_log.open_trial(self.tracked, TrialKey(**trial.config).name, trial.config)


def log_arm(context: SweepContext, tracked: TrackedSweep, run_id: str, arm: Arm) -> None:
    """Log an arm's figures at its step, its curve up to there, and its adapter under its version."""
    mlflow_log.log_metrics(tracked, run_id, metrics(arm), arm.steps)
    mlflow_log.log_curves(tracked, run_id, {point.step: _figures(point) for point in arm.curve})
    if not arm.adapter:
        return
    for name in ARTIFACTS:
        mlflow_log.log_artifacts(tracked, run_id, context.adapters / arm.adapter / name, f"adapters/{arm.adapter}")
    verdict = {f"acceptance_{arm.steps}": arm.acceptance or "accepted", f"stopped_{arm.steps}": str(arm.stopped)}
    mlflow_log.set_tags(tracked, run_id, {f"adapter_{arm.steps}": arm.adapter, **verdict})


def _figures(point: CurvePoint) -> dict[str, float]:
    """What is known after each TTT step; on fewer windows than an arm's own figures, hence under names of their own."""
    found = {"training_loss": point.training_loss, "seconds": point.seconds, **point.measurement.metrics()}
    return {f"curve/{name}": value for name, value in found.items()}


def log_results(tracked: TrackedSweep, folder: Path, results: SweepResults) -> None:
    """Add report and videos to the parent run."""
    mlflow_log.log_artifacts(tracked, tracked.run_id, folder / "report", "report")
    for arm in (results.control, *results.arms):
        for video in arm.videos:
            mlflow_log.log_artifacts(tracked, tracked.run_id, folder / video, f"videos/step-{arm.steps}")
