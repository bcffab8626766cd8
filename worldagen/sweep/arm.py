"""The arms of a sweep: adapt so many steps, measure the world model, run the evaluation episodes. Done once."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from worldagen.arms import Arm, TrialKey
from worldagen.config import content_key
from worldagen.evaluation.episodes import Evaluation, evaluate, evaluate_together
from worldagen.rollout.pool import Pool
from worldagen.sweep.context import SweepContext
from worldagen.sweep.plan import trials
from worldagen.ttt.acceptance import verdict
from worldagen.ttt.job import SnapshotMaker
from worldagen.ttt.learner import AdaptationError
from worldagen.ttt.snapshot import PREDICTIONS_FILE, Snapshot, read_snapshot


def run_control(context: SweepContext, pool: Pool, maker: SnapshotMaker) -> Arm:
    """The base model on the evaluation episodes and on the held-out exploration; `maker` is of any trial that has
    something to learn from."""
    trial = trials(context.config)[0]  # which one does not matter at zero steps
    arm = load_arm(context, trial, 0)
    if arm is None:
        evaluation = evaluate(pool, context.specs(), "control")
        arm = _measured(context, trial, maker.snapshot(0))
        arm = replace(arm, outcomes=evaluation.outcomes, seconds=evaluation.seconds)
        arm.save(_file(context, trial, 0))
    return arm


def run_arms(
    context: SweepContext,
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
    arms, broken = _adapted(context, trial, counts, maker, control)
    waiting = [arm for arm, before in zip(arms, [previous, *arms], strict=False) if not _known(arm, before)]
    groups = [context.specs(arm.adapter) for arm in waiting]
    evaluations = evaluate_together(pool, groups, _title(waiting)) if waiting else []
    found = {arm.steps: evaluation for arm, evaluation in zip(waiting, evaluations, strict=True)}
    for arm in arms:
        if not arm.outcomes:
            arm = _with_episodes(arm, found.get(arm.steps), control, previous)
            arm.save(_file(context, trial, arm.steps))
        previous = arm
        yield arm
    if broken:
        raise broken


def load_arm(context: SweepContext, trial: TrialKey, steps: int) -> Arm | None:
    """The arm as it was left when it had come to its end, or None if it has not."""
    file = _file(context, trial, steps)
    return Arm.load(file) if file.exists() else None


def failed_arm(context: SweepContext, trial: TrialKey, steps: int, error: str) -> Arm:
    """An arm whose trial ended with `error`, with what was measured before."""
    taken = read_snapshot(context.job(trial).folder(steps))
    arm = _measured(context, trial, taken) if taken else unmeasured_arm(trial, steps)
    return replace(arm, error=error)


def unmeasured_arm(trial: TrialKey, steps: int) -> Arm:
    """An arm of which there is nothing yet."""
    return Arm(steps=steps, **trial._asdict())


def _measured(context: SweepContext, trial: TrialKey, snapshot: Snapshot) -> Arm:
    """The arm that a snapshot is of, before its episodes. `snapshot.steps` of zero is the control's."""
    job, steps = context.job(trial), snapshot.steps
    arm = unmeasured_arm(trial, steps) if steps else Arm(steps=0)
    return replace(
        arm,
        adapter=job.version(steps) if steps else "",
        environment_steps=context.explored.first(trial.explored).environment_steps if steps else 0,
        measurement=snapshot.measurement,
        training_loss=snapshot.training_loss,
        curve=snapshot.curve,
        stopped=snapshot.stopped,
        learn_seconds=snapshot.seconds if steps else 0.0,
        predictions=context.relative(job.folder(steps) / PREDICTIONS_FILE),
    )


def _judged(context: SweepContext, arm: Arm, control: Arm) -> Arm:
    """The arm with the acceptance rule's verdict."""
    assert arm.measurement is not None and control.measurement is not None
    ttt = context.config.ttt
    reason = verdict(ttt, arm.measurement, control.measurement)
    return replace(arm, acceptance=reason, accepted=not reason if ttt.accept else None)


def _adapted(
    context: SweepContext, trial: TrialKey, counts: Sequence[int], maker: SnapshotMaker, control: Arm
) -> tuple[list[Arm], AdaptationError | None]:
    """Up to where the adaptation broke: the arms that came to their end before, and the others without episodes."""
    arms: list[Arm] = []
    for steps in counts:
        try:
            finished = load_arm(context, trial, steps)
            arms.append(finished or _judged(context, _measured(context, trial, maker.snapshot(steps)), control))
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


def _file(context: SweepContext, trial: TrialKey, steps: int) -> Path:
    """Named by the adapter, the exploration that was asked for (lost episodes may leave the same of two) and the
    episodes that measure it."""
    version = context.job(trial).version(steps)
    keys = [spec.key for spec in context.specs(version if steps else "")]
    return context.folder / "arms" / f"{content_key(version, trial.explored if steps else 0, keys)}.json"
