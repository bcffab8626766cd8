"""One arm of a sweep: adapt so many steps, measure the world model, run the evaluation episodes. Done once."""

from dataclasses import dataclass, replace
from pathlib import Path

from worldagen.config import Config, content_key
from worldagen.evaluation.episodes import evaluate, evaluation_specs
from worldagen.results import Arm
from worldagen.rollout.pool import Pool
from worldagen.sweep.plan import Unit, step_counts
from worldagen.ttt.explore import Explored
from worldagen.ttt.job import AdaptationJob, SnapshotMaker
from worldagen.ttt.methods import Adaptation
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

    def job(self, how: Adaptation) -> AdaptationJob:
        """The adaptation that one trial makes."""
        ttt = self.config.ttt
        return AdaptationJob(
            checkpoint=self.checkpoint,
            base=self.base,
            training=self.explored.training,
            heldout=self.explored.heldout,
            how=how,
            instructions=tuple(self.unit.instructions.values()),
            changed_threshold=ttt.changed_threshold,
            steps=step_counts(self.config),
            adapters=self.adapters,
            device="cuda" if ttt.gpus else "cpu",
            threads=ttt.threads,
        )

    def specs(self, how: Adaptation, steps: int, *, video: bool = False) -> list[EpisodeSpec]:
        """The evaluation episodes of an arm: the same for all but their adapter."""
        adapter = self.job(how).version(steps) if steps else ""
        policy = PolicySpec(kind="learned", checkpoint=self.base, adapter=adapter)
        return evaluation_specs(self.config, self.env, self.unit.tasks, policy, video=video)

    def relative(self, path: Path) -> str:
        """`path` as results name it."""
        return str(path.relative_to(self.folder))


def run_arm(setting: Setting, pool: Pool, how: Adaptation, steps: int, maker: SnapshotMaker) -> Arm:
    """The arm of `how` after `steps` steps (0: the control), with whatever is missing of it made now.

    What `maker` (of the same job) and the pool raise passes through.
    """
    arm = load_arm(setting, how, steps)
    if arm is None:
        arm = _adapted(setting, how, maker.snapshot(steps))
        evaluation = evaluate(pool, setting.specs(how, steps), arm.name)
        arm = replace(arm, outcomes=evaluation.outcomes, seconds=evaluation.seconds)
        arm.save(_file(setting, how, steps))
    return arm


def load_arm(setting: Setting, how: Adaptation, steps: int) -> Arm | None:
    """The arm as `run_arm` left it, or None if that has not come to its end."""
    file = _file(setting, how, steps)
    return Arm.load(file) if file.exists() else None


def failed_arm(setting: Setting, how: Adaptation, steps: int, error: str) -> Arm:
    """An arm whose trial ended with `error`, with what was measured before."""
    taken = read_snapshot(setting.job(how).folder(steps))
    arm = _adapted(setting, how, taken) if taken else Arm(steps=steps, learning_rate=how.learning_rate, rank=how.rank)
    return replace(arm, error=error)


def _adapted(setting: Setting, how: Adaptation, snapshot: Snapshot) -> Arm:
    job, steps = setting.job(how), snapshot.steps
    return Arm(
        steps=steps,
        learning_rate=how.learning_rate if steps else 0.0,
        rank=how.rank if steps else 0,
        adapter=job.version(steps) if steps else "",
        measurement=snapshot.measurement,
        training_loss=snapshot.training_loss,
        learn_seconds=snapshot.seconds if steps else 0.0,
        predictions=setting.relative(job.folder(steps) / PREDICTIONS_FILE),
    )


def _file(setting: Setting, how: Adaptation, steps: int) -> Path:
    """Named by the adapter and by the episodes that measure it."""
    keys = [spec.key for spec in setting.specs(how, steps)]
    return setting.folder / "arms" / f"{content_key(setting.job(how).version(steps), keys)}.json"
