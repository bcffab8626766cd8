"""MLflow beside Tune: a callback in the driver logs what trials report, so trials need neither MLflow nor its store."""

from pathlib import Path
from typing import Any

from ray.tune import Callback

from worldagen.results import Arm, SweepResults
from worldagen.sweep.arm import Setting, load_arm
from worldagen.sweep.trial import ERROR, TIME_AXIS, find_adaptation, metrics
from worldagen.tracking import mlflow_log
from worldagen.tracking.mlflow_log import TrackedSweep

ARTIFACTS = ("adapter.safetensors", "adapter.json", "snapshot.json")


class MLflowCallback(Callback):
    """One child run for each trial: a value of each metric at each step count, adapters as artifacts."""

    def __init__(self, setting: Setting, tracked: TrackedSweep) -> None:
        self.setting, self.tracked = setting, tracked

    def on_trial_result(
        self, iteration: int, trials: list[Any], trial: Any, result: dict[str, Any], **info: Any
    ) -> None:
        how = find_adaptation(self.setting.config, trial.config)
        if ERROR in result:
            mlflow_log.set_tags(self.tracked, self._run(trial), {ERROR: result[ERROR]})
        elif arm := load_arm(self.setting, how, result[TIME_AXIS]):
            log_arm(self.setting, self.tracked, self._run(trial), arm)

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        mlflow_log.close_run(self.tracked, self._run(trial), failed=ERROR in trial.last_result)

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        mlflow_log.close_run(self.tracked, self._run(trial), failed=True)

    def _run(self, trial: Any) -> str:
        how = find_adaptation(self.setting.config, trial.config)
        return mlflow_log.open_trial(self.tracked, f"lr {how.learning_rate:g}, rank {how.rank}", trial.config)


def log_arm(setting: Setting, tracked: TrackedSweep, run_id: str, arm: Arm) -> None:
    """Log an arm's metrics at its step, and its adapter."""
    mlflow_log.log_metrics(tracked, run_id, metrics(arm), arm.steps)
    for name in ARTIFACTS if arm.adapter else ():
        mlflow_log.log_artifacts(tracked, run_id, setting.adapters / arm.adapter / name, f"adapters/step-{arm.steps}")


def log_results(tracked: TrackedSweep, folder: Path, results: SweepResults) -> None:
    """Add report and videos to the parent run, and end it."""
    mlflow_log.log_artifacts(tracked, tracked.run_id, folder / "report", "report")
    for arm in (results.control, *results.arms):
        for video in arm.videos:
            mlflow_log.log_artifacts(tracked, tracked.run_id, folder / video, f"videos/step-{arm.steps}")
    mlflow_log.close_run(tracked, tracked.run_id)
