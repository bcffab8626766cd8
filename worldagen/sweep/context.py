"""What all arms of a sweep share."""

from dataclasses import dataclass
from pathlib import Path

from worldagen.arms import TrialKey
from worldagen.config import Config
from worldagen.evaluation.episodes import evaluation_specs
from worldagen.sweep.plan import Unit, step_counts, way
from worldagen.ttt.explore import Explored
from worldagen.ttt.job import AdaptationJob
from worldagen.types import EnvSpec, EpisodeSpec, PolicySpec


@dataclass(frozen=True, kw_only=True)
class SweepContext:
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
