"""The arms of a sweep: adapt so many steps, measure the world model, run the evaluation episodes. Done once."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from worldagen.arms import Arm, TrialKey
from worldagen.config import Config, content_key
from worldagen.evaluation.episodes import Evaluation, evaluate, evaluate_together, evaluation_specs
from worldagen.rollout.pool import Pool
from worldagen.sweep.plan import Unit, step_counts, trials, way
from worldagen.ttt.acceptance import verdict
from worldagen.ttt.explore import Explored
from worldagen.ttt.job import AdaptationJob, SnapshotMaker
from worldagen.ttt.learner import AdaptationError
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


def run_arms(
    setting: Setting,
    pool: Pool,
    trial: TrialKey,
    counts: Sequence[int],
    maker: SnapshotMaker,
    control: Arm,
    previous: Arm | None,
) -> Iterator[Arm]:
    """The arms of `trial` after each of `counts` steps, in their order, with whatever is missing of them made now:
    first the adapters, then the episodes of all together.

    `previous` is the arm of the step count before. What the pool raises passes through; an AdaptationError of `maker`
    (of the same trial) is raised after the arms before it.
    """
    arms, broken = _adapted(setting, trial, counts, maker, control)
    waiting = [arm for arm, before in zip(arms, [previous, *arms], strict=False) if not _known(arm, before)]
    groups = [setting.specs(arm.adapter) for arm in waiting]
    evaluations = evaluate_together(pool, groups, _title(waiting)) if waiting else []
    found = {arm.steps: evaluation for arm, evaluation in zip(waiting, evaluations, strict=True)}
    for arm in arms:
        if not arm.outcomes:
            arm = _with_episodes(arm, found.get(arm.steps), control, previous)
            arm.save(_file(setting, trial, arm.steps))
        previous = arm
        yield arm
    if broken:
        raise broken


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


def _adapted(
    setting: Setting, trial: TrialKey, counts: Sequence[int], maker: SnapshotMaker, control: Arm
) -> tuple[list[Arm], AdaptationError | None]:
    """Up to where the adaptation broke: the arms that came to their end before, and the others without episodes."""
    arms: list[Arm] = []
    for steps in counts:
        try:
            finished = load_arm(setting, trial, steps)
            arms.append(finished or _judged(setting, _measured(setting, trial, maker.snapshot(steps)), control))
        except AdaptationError as error:
            return arms, error
    return arms, None


def _title(arms: Sequence[Arm]) -> str:
    if len(arms) == 1:
        return arms[0].name
    return f"{arms[0].trial.name}, {arms[0].steps} to {arms[-1].steps} steps"


def _known(arm: Arm, previous: Arm | None) -> bool:
    """Whether the arm's episodes need not be run: they were, or others were the very same."""
    return bool(arm.outcomes) or arm.accepted is False or (previous is not None and bool(previous.stopped))


def _with_episodes(arm: Arm, own: Evaluation | None, control: Arm, previous: Arm | None) -> Arm:
    """The arm with its own episodes; else with the control's where the adapter is rejected, or with those of the step
    count before, by which early stopping had ended the adaptation."""
    if own:
        return replace(arm, outcomes=own.outcomes, seconds=own.seconds)
    if arm.accepted is False:
        return replace(arm, outcomes=control.outcomes)
    assert previous is not None
    return replace(arm, outcomes=previous.outcomes)


def _file(setting: Setting, trial: TrialKey, steps: int) -> Path:
    """Named by the adapter, the exploration that was asked for (lost episodes may leave the same of two) and the
    episodes that measure it."""
    version = setting.job(trial).version(steps)
    keys = [spec.key for spec in setting.specs(version if steps else "")]
    return setting.folder / "arms" / f"{content_key(version, trial.explored if steps else 0, keys)}.json"
