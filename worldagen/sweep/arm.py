"""One arm of a sweep: adapt so many steps, measure the world model, run the evaluation episodes. Done once."""

from dataclasses import dataclass, replace
from pathlib import Path

from worldagen.arms import Arm, TrialKey
from worldagen.config import Config, content_key
from worldagen.evaluation.episodes import evaluate, evaluation_specs
from worldagen.rollout.pool import Pool
from worldagen.sweep.plan import Unit, step_counts, trials, way
from worldagen.ttt.acceptance import verdict
from worldagen.ttt.explore import Explored
from worldagen.ttt.job import AdaptationJob, SnapshotMaker
from worldagen.ttt.snapshot import PREDICTIONS_FILE, Snapshot, read_snapshot
from worldagen.types import EnvSpec, EpisodeSpec, PolicySpec


@dataclass(frozen=True, kw_only=True)
class Setting:
    """What all arms of a sweep share; picklable, so that trials take it along."""

    config: Config
    folder: Path
    """The run folder."""
    unit: Unit
    env: EnvSpec
    checkpoint: Path
    base: str
    """Fingerprint of the checkpoint."""
    explored: Explored

    @property
    def adapters(self) -> Path:
        return self.folder / "adapters"

    def job(self, trial: TrialKey) -> AdaptationJob:
        """The adaptation that one trial makes."""
        ttt, explored = self.config.ttt, self.explored.first(trial.explored)
        return AdaptationJob(
            checkpoint=self.checkpoint,
            base=self.base,
            training=explored.training,
            heldout=explored.heldout,
            how=way(self.config, trial),
            instructions=tuple(self.unit.instructions.values()),
            changed_threshold=ttt.changed_threshold,
            measure_windows=ttt.measure_windows,
            windows_at_once=ttt.windows_at_once,
            steps=step_counts(self.config),
            adapters=self.adapters,
            device="cuda" if ttt.gpus else "cpu",
            threads=ttt.threads,
        )

    def policy(self, adapter: str = "") -> PolicySpec:
        """The base, or the base with an adapter."""
        return PolicySpec(kind="learned", checkpoint=self.base, adapter=adapter)

    def specs(self, adapter: str = "", *, video: bool = False) -> list[EpisodeSpec]:
        """The evaluation episodes of an arm: the same for all but their adapter."""
        return evaluation_specs(self.config, self.env, self.unit.tasks, self.policy(adapter), video=video)

    def relative(self, path: Path) -> str:
        """`path` as results name it."""
        return str(path.relative_to(self.folder))


def run_control(setting: Setting, pool: Pool, maker: SnapshotMaker) -> Arm:
    """The base model on the evaluation episodes and on the held-out exploration; `maker` is of any trial that has
    something to learn from."""
    trial = trials(setting.config)[0]  # which one does not matter at zero steps
    arm = load_arm(setting, trial, 0)
    if arm is None:
        evaluation = evaluate(pool, setting.specs(), "control")
        arm = _measured(setting, trial, maker.snapshot(0))
        arm = replace(arm, outcomes=evaluation.outcomes, seconds=evaluation.seconds)
        arm.save(_file(setting, trial, 0))
    return arm


def run_arm(
    setting: Setting, pool: Pool, trial: TrialKey, steps: int, maker: SnapshotMaker, control: Arm, previous: Arm | None
) -> Arm:
    """The arm of `trial` after `steps` steps, with whatever is missing of it made now.

    `previous` is the arm of the step count before. What `maker` (of the same trial) and the pool raise passes through.
    """
    arm = load_arm(setting, trial, steps)
    if arm is None:
        arm = _judged(setting, _measured(setting, trial, maker.snapshot(steps)), control)
        arm = _evaluated(setting, pool, arm, control, previous)
        arm.save(_file(setting, trial, steps))
    return arm


def load_arm(setting: Setting, trial: TrialKey, steps: int) -> Arm | None:
    """The arm as it was left when it had come to its end, or None if it has not."""
    file = _file(setting, trial, steps)
    return Arm.load(file) if file.exists() else None


def failed_arm(setting: Setting, trial: TrialKey, steps: int, error: str) -> Arm:
    """An arm whose trial ended with `error`, with what was measured before."""
    taken = read_snapshot(setting.job(trial).folder(steps))
    arm = _measured(setting, trial, taken) if taken else unmeasured_arm(trial, steps)
    return replace(arm, error=error)


def unmeasured_arm(trial: TrialKey, steps: int) -> Arm:
    """An arm of which there is nothing yet."""
    return Arm(steps=steps, **trial._asdict())


def _measured(setting: Setting, trial: TrialKey, snapshot: Snapshot) -> Arm:
    """The arm that a snapshot is of, before its episodes. `snapshot.steps` of zero is the control's."""
    job, steps = setting.job(trial), snapshot.steps
    arm = unmeasured_arm(trial, steps) if steps else Arm(steps=0)
    return replace(
        arm,
        adapter=job.version(steps) if steps else "",
        environment_steps=setting.explored.first(trial.explored).environment_steps if steps else 0,
        measurement=snapshot.measurement,
        training_loss=snapshot.training_loss,
        curve=snapshot.curve,
        stopped=snapshot.stopped,
        learn_seconds=snapshot.seconds if steps else 0.0,
        predictions=setting.relative(job.folder(steps) / PREDICTIONS_FILE),
    )


def _judged(setting: Setting, arm: Arm, control: Arm) -> Arm:
    """The arm with the acceptance rule's verdict."""
    assert arm.measurement is not None and control.measurement is not None
    ttt = setting.config.ttt
    reason = verdict(ttt, arm.measurement, control.measurement)
    return replace(arm, acceptance=reason, accepted=not reason if ttt.accept else None)


def _evaluated(setting: Setting, pool: Pool, arm: Arm, control: Arm, previous: Arm | None) -> Arm:
    """The arm with its episodes, which are run unless others were the very same: the control's where the adapter is
    rejected, those of the step count before where early stopping had ended the adaptation by then."""
    if arm.accepted is False:
        return replace(arm, outcomes=control.outcomes)
    if previous is not None and previous.stopped:
        return replace(arm, outcomes=previous.outcomes)
    evaluation = evaluate(pool, setting.specs(arm.adapter), arm.name)
    return replace(arm, outcomes=evaluation.outcomes, seconds=evaluation.seconds)


def _file(setting: Setting, trial: TrialKey, steps: int) -> Path:
    """Named by the adapter and by the episodes that measure it."""
    version = setting.job(trial).version(steps)
    keys = [spec.key for spec in setting.specs(version if steps else "")]
    return setting.folder / "arms" / f"{content_key(version, keys)}.json"
