"""What a sweep found: the plain carriers between the sweep that measures and the report that shows.

A leaf beside types.py (standard library only), so that tracking/ and evaluation/ read it without importing the sweep.
One `SweepResults` per adaptation unit, stored as one JSON file. All paths are relative to the run folder.
"""

import dataclasses
import json
import os
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from worldagen.errors import WorldagenError
from worldagen.types import EpisodeResult, Status

FORMAT_VERSION = 1
Carrier = TypeVar("Carrier")


class ResultsError(WorldagenError, ValueError):
    """A results file that cannot be read. The message names the file and the remedy."""


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """One adapter (or the base model) on the held-out explored episodes. Errors are mean squared, normalised pixels."""

    all: float
    """Next-observation error over all patches of both cameras."""
    changed: float
    """The same over the patches that really change between the two observations."""
    copy_all: float
    """Error of copying the last observation, over all patches."""
    copy_changed: float
    """Error of copying the last observation, over the changed patches."""
    changed_fraction: float
    """Share of patches that change."""
    arm_drift: float = 0.0
    """Mean absolute difference between adapted and base arm actions on explored states, known instructions."""
    gripper_flips: float = 0.0
    """Share of gripper commands that differ from the base's on the same states."""
    update_norm: float = 0.0
    """Frobenius norm of the change to the backbone's weights that the adapter stands for."""

    def metrics(self) -> dict[str, float]:
        """Flat names and values, for Tune and MLflow."""
        return dataclasses.asdict(self)


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """One evaluation episode. (task, init_state, seed) is what arms are paired by."""

    task: str
    init_state: int
    seed: int
    status: Status
    steps: int
    """Control steps executed."""
    completed: int = 0
    """Tasks solved one after the other: 0 or 1, in a chain up to its length."""

    @property
    def success(self) -> bool:
        return self.status == "success"

    @property
    def pair(self) -> tuple[str, int, int]:
        return self.task, self.init_state, self.seed

    @classmethod
    def of(cls, result: EpisodeResult) -> "Outcome":
        spec = result.spec
        return cls(
            task=spec.task,
            init_state=spec.init_state,
            seed=spec.seed,
            status=result.status,
            steps=result.steps,
            completed=result.completed,
        )


@dataclass(frozen=True, kw_only=True)
class Arm:
    """One budget of one way to adapt. The control is the arm of zero steps: the base model, no adapter."""

    steps: int
    """TTT steps."""
    learning_rate: float = 0.0
    rank: int = 0
    adapter: str = ""
    """Adapter version: the folder under adapters/. Empty for the control."""
    measurement: Measurement | None = None
    """None when the arm failed before it could be measured."""
    training_loss: tuple[float, ...] = ()
    """Observation loss (mean squared error, normalised pixels) of the batch of each TTT step so far: `steps` values."""
    outcomes: tuple[Outcome, ...] = ()
    """Evaluation episodes, in the same order in every arm."""
    learn_seconds: float = 0.0
    """Wall clock of the TTT steps up to this budget, features included."""
    seconds: Mapping[str, float] = field(default_factory=dict)
    """Summed over the evaluation episodes: reset, simulate, render, wait."""
    predictions: str = ""
    """An .npz with uint8 (n, 2, H, W, 3) arrays `last`, `real` and `predicted` (primary, wrist): the same n held-out
    transitions in every arm."""
    videos: tuple[str, ...] = ()
    """mp4 files; filled for the control and the best arm, episode for episode the same."""
    error: str = ""
    """Why the arm failed; empty when it did not."""

    @property
    def name(self) -> str:
        if self.steps == 0:
            return "control"
        return f"lr {self.learning_rate:g}, rank {self.rank}, {self.steps} steps"

    @property
    def trial(self) -> tuple[float, int]:
        """Learning rate and rank: the arms of one trial share its steps."""
        return self.learning_rate, self.rank

    @property
    def failed(self) -> bool:
        return bool(self.error)

    @property
    def success_rate(self) -> float:
        """Share of successful episodes; NaN when none was evaluated."""
        return sum(outcome.success for outcome in self.outcomes) / len(self.outcomes) if self.outcomes else float("nan")

    def save(self, path: Path) -> None:
        """Write as JSON, atomically."""
        _write(path, self)

    @classmethod
    def load(cls, path: Path) -> "Arm":
        """Inverse of `save`. Raises ResultsError for a damaged file."""
        return _read(path, _arm)


@dataclass(frozen=True, kw_only=True)
class Exploration:
    """What the adapters learnt from."""

    episodes: int
    """Episodes trained on."""
    heldout_episodes: int
    """Episodes that only measured."""
    windows: int
    """Training windows."""
    heldout_windows: int
    environment_steps: int
    """Control steps of all exploratory episodes."""
    noise: float
    """Standard deviation of the noise on the arm actions."""
    lost: int = 0
    """Exploratory episodes that crashed or timed out, hence are missing from the counts above."""
    seconds: Mapping[str, float] = field(default_factory=dict)
    """Summed over the episodes: reset, simulate, render, wait."""


@dataclass(frozen=True, kw_only=True)
class SweepResults:
    """Everything the report needs to know of one unit."""

    unit: str
    tasks: tuple[str, ...]
    control: Arm
    arms: tuple[Arm, ...]
    """Every other arm, failed ones too, ordered by learning rate, rank, steps."""
    exploration: Exploration
    suite: str
    assets: str
    """Asset kind in use: official or primitive."""
    visuals: str
    checkpoint: str
    """Fingerprint of the base weights."""
    config: Mapping[str, Any]
    format_version: int = FORMAT_VERSION

    @property
    def best(self) -> Arm | None:
        """The adapted arm of highest success rate, ties to the lower held-out error; None when all have failed."""
        sound = [arm for arm in self.arms if arm.outcomes and arm.measurement and not arm.failed]
        return max(sound, key=lambda arm: (arm.success_rate, -_error(arm)), default=None)

    @property
    def failed(self) -> list[Arm]:
        return [arm for arm in self.arms if arm.failed]

    @property
    def seconds(self) -> dict[str, float]:
        """Worker seconds by what they were spent on: reset, simulate, render, wait (simulators) and learn."""
        total: Counter[str] = Counter(self.exploration.seconds)
        for arm in (self.control, *self.arms):
            total.update(arm.seconds)
        longest: dict[tuple[float, int], float] = {}  # arms of one trial share their steps: count the longest only
        for arm in self.arms:
            longest[arm.trial] = max(longest.get(arm.trial, 0.0), arm.learn_seconds)
        return {**total, "learn": sum(longest.values())}

    def save(self, path: Path) -> None:
        """Write as JSON, atomically."""
        _write(path, self)

    @classmethod
    def load(cls, path: Path) -> "SweepResults":
        """Inverse of `save`. Raises ResultsError for a file that is damaged or of another format."""
        return _read(path, _sweep)


def _error(arm: Arm) -> float:
    return arm.measurement.changed if arm.measurement else float("inf")


def _write(path: Path, carrier: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(f".{os.getpid()}.tmp")
    temporary.write_text(json.dumps(dataclasses.asdict(carrier), indent=1))
    os.replace(temporary, path)


def _read(path: Path, build: Callable[[Mapping[str, Any]], Carrier]) -> Carrier:
    try:
        return build(json.loads(path.read_text()))
    except (KeyError, TypeError, ValueError) as error:
        raise ResultsError(f"{path} is damaged or of another version ({error}); delete it and run again") from error


def _sweep(data: Mapping[str, Any]) -> SweepResults:
    if data["format_version"] != FORMAT_VERSION:
        raise ValueError(f"format_version is {data['format_version']}, expected {FORMAT_VERSION}")
    return SweepResults(
        **{
            **data,
            "tasks": tuple(data["tasks"]),
            "control": _arm(data["control"]),
            "arms": tuple(_arm(arm) for arm in data["arms"]),
            "exploration": Exploration(**data["exploration"]),
        }
    )


def _arm(data: Mapping[str, Any]) -> Arm:
    measurement = data["measurement"]
    return Arm(
        **{
            **data,
            "measurement": Measurement(**measurement) if measurement else None,
            "training_loss": tuple(data["training_loss"]),
            "outcomes": tuple(Outcome(**outcome) for outcome in data["outcomes"]),
            "videos": tuple(data["videos"]),
        }
    )
