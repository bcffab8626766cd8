"""One adaptation as a job: all it is made of, and its snapshots, each made once, whoever is killed meanwhile."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from worldagen.atomic import fresh_folder
from worldagen.config import content_key
from worldagen.data import trajectories
from worldagen.models import checkpoint
from worldagen.ttt.learner import AdaptationError, Learner
from worldagen.ttt.methods import Adaptation
from worldagen.ttt.snapshot import Snapshot, read_snapshot


@dataclass(frozen=True, kw_only=True)
class AdaptationJob:
    """Everything that one adaptation is made of; picklable."""

    checkpoint: Path
    """Folder of the base weights."""
    base: str
    """Their fingerprint."""
    training: tuple[Path, ...]
    """Trajectory files that the adapter learns from."""
    heldout: tuple[Path, ...]
    """Trajectory files that measure it."""
    how: Adaptation
    instructions: tuple[str, ...]
    """Sentences under which the policy's drift is measured."""
    changed_threshold: float
    steps: tuple[int, ...]
    """Step counts at which snapshots are wanted, ascending."""
    adapters: Path
    """Folder of all adapters; each version has a folder of its own in it."""
    measure_windows: int = 64
    """Held-out windows measured after every step."""
    windows_at_once: int = 0
    """Windows of a step that are computed together; 0: all."""
    device: str = "cpu"
    threads: int = 1

    def version(self, steps: int) -> str:
        """Name of the adapter after `steps` steps: a key of all that it and its measurement depend on."""
        heldout = [path.stem for path in self.heldout]
        measured = content_key(self.base, heldout, self.instructions, self.changed_threshold, self.measure_windows)
        if steps == 0:
            return f"base-{measured}"
        return content_key(measured, [path.stem for path in self.training], asdict(self.how), steps)

    def folder(self, steps: int) -> Path:
        return self.adapters / self.version(steps)


class SnapshotMaker:
    """Makes the snapshots of a job in ascending order, reading back those that an earlier process finished."""

    def __init__(self, job: AdaptationJob) -> None:
        self.job = job
        self._learner: Learner | None = None

    def snapshot(self, steps: int) -> Snapshot:
        """The snapshot after `steps` steps. Raises AdaptationError as `Learner` does."""
        folder = self.job.folder(steps)
        if found := read_snapshot(folder):
            return found
        learner = self._learner or self._start(before=steps)
        self._learner = None  # until the steps are done: a learner that failed half-way must not be gone on with
        learner.advance(to=steps)
        with fresh_folder(folder) as new:
            snapshot = learner.save(new, steps, self._provenance(steps))
        self._learner = learner
        return snapshot

    def _start(self, before: int) -> Learner:
        """A learner that has taken as many steps as the latest finished snapshot holds."""
        job = self.job
        if (own := checkpoint.fingerprint(job.checkpoint)) != job.base:
            raise AdaptationError(f"{job.checkpoint} has the fingerprint {own}, the job was made for base {job.base}")
        learner = Learner(
            checkpoint.load(job.checkpoint).to(job.device),
            [trajectories.load(path) for path in job.training],
            [trajectories.load(path) for path in job.heldout],
            job.how,
            job.instructions,
            job.changed_threshold,
            job.measure_windows,
            job.windows_at_once,
        )
        for steps in sorted(job.steps, reverse=True):
            if 0 < steps < before and (found := read_snapshot(job.folder(steps))):
                learner.restore(job.folder(steps), found)
                break
        return learner

    def _provenance(self, steps: int) -> Mapping[str, object]:
        return {
            **asdict(self.job.how),
            "steps": steps,
            "base": self.job.base,
            "episodes": [path.stem for path in self.job.training],
        }
