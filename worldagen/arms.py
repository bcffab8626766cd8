"""Arms and what they are made of: plain carriers, and the JSON files that they are kept in.

A leaf beside types.py (standard library only). All paths are relative to the run folder.
"""

import dataclasses
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from worldagen.atomic import write_text
from worldagen.errors import WorldagenError
from worldagen.types import EpisodeResult, Status

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
class CurvePoint:
    """What was known right after one TTT step."""

    step: int
    """1 for the first."""
    training_loss: float
    """Of the step's own batch, as in `Arm.training_loss`."""
    measurement: Measurement
    """On `ttt.measure_windows` held-out windows, spread over all; an arm's own measurement takes all of them."""
    seconds: float
    """Wall clock of the adaptation up to here, features included, measurements only with early stopping."""

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "CurvePoint":
        """Inverse of `dataclasses.asdict`."""
        return cls(**{**data, "measurement": Measurement(**data["measurement"])})


@dataclass(frozen=True, kw_only=True)
class Budget:
    """What an adaptation may spend."""

    explored: int
    """Exploratory episodes learnt from."""
    steps: int
    """TTT steps."""
    environment_steps: int
    """Control steps of those episodes."""
    seconds: float
    """Wall clock of the TTT steps, features included."""


class Group(NamedTuple):
    """One way to adapt, whatever the seed and the number of steps."""

    method: str
    learning_rate: float
    rank: int
    explored: int
    """Exploratory episodes."""

    @property
    def name(self) -> str:
        rates = f"lr {self.learning_rate:g}, rank {self.rank}"
        explored = f"{self.explored} episodes" if self.explored else ""
        return ", ".join(filter(None, [self.method, rates, explored]))


class TrialKey(NamedTuple):
    """A group and a seed: the arms of one trial share their steps."""

    method: str
    learning_rate: float
    rank: int
    explored: int
    seed: int

    @property
    def group(self) -> Group:
        return Group(*self[:-1])

    @property
    def name(self) -> str:
        return self.group.name + (f", seed {self.seed}" if self.seed else "")


@dataclass(frozen=True, kw_only=True)
class Arm:
    """One budget of one way to adapt. The control is the arm of zero steps: the base model, no adapter."""

    steps: int
    """TTT steps."""
    learning_rate: float = 0.0
    rank: int = 0
    method: str = ""
    """One of `ttt.method`; empty for the control."""
    explored: int = 0
    """Exploratory episodes that it learnt from."""
    seed: int = 0
    """One of `ttt.seeds`: of the adapter's initialisation and of the order of its batches."""
    adapter: str = ""
    """Adapter version: the folder under adapters/. Empty for the control."""
    measurement: Measurement | None = None
    """None when the arm failed before it could be measured."""
    training_loss: tuple[float, ...] = ()
    """Observation loss (mean squared error, normalised pixels) of the batch of each TTT step so far: `steps` values,
    fewer after early stopping."""
    curve: tuple[CurvePoint, ...] = ()
    """One point for each TTT step so far."""
    environment_steps: int = 0
    """Control steps of the exploratory episodes that it learnt from."""
    stopped: int = 0
    """The best step so far by held-out loss, which early stopping kept in place of the last; 0 if it did not stop."""
    acceptance: str = ""
    """Why the acceptance rule rejects the adapter; empty when it accepts it. Computed whether the rule is on or not."""
    accepted: bool | None = None
    """The rule's verdict when it is on, else None. A rejected arm is the base model: its episodes are the control's."""
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
    ended: str = ""
    """Why the arm was never run although nothing failed, e.g. because ASHA stopped its trial earlier; else empty."""

    @property
    def name(self) -> str:
        return f"{self.trial.name}, {self.steps} steps" if self.steps else "control"

    @property
    def trial(self) -> TrialKey:
        """What the arms that share their TTT steps have in common."""
        return TrialKey(self.method, self.learning_rate, self.rank, self.explored, self.seed)

    @property
    def group(self) -> Group:
        """What arms that differ by seed and steps alone have in common."""
        return self.trial.group

    @property
    def budget(self) -> Budget:
        return Budget(
            explored=self.explored,
            steps=self.steps,
            environment_steps=self.environment_steps,
            seconds=self.learn_seconds,
        )

    @property
    def failed(self) -> bool:
        return bool(self.error)

    @property
    def success_rate(self) -> float:
        """Share of successful episodes; NaN when none was evaluated."""
        return sum(outcome.success for outcome in self.outcomes) / len(self.outcomes) if self.outcomes else float("nan")

    def save(self, path: Path) -> None:
        """Write as JSON, atomically."""
        write_carrier(path, self)

    @classmethod
    def load(cls, path: Path) -> "Arm":
        """Inverse of `save`. Raises ResultsError for a damaged file."""
        return read_carrier(path, arm_of)


def write_carrier(path: Path, carrier: Any) -> None:
    write_text(path, json.dumps(dataclasses.asdict(carrier), indent=1))


def read_carrier(path: Path, build: Callable[[Mapping[str, Any]], Carrier]) -> Carrier:
    try:
        return build(json.loads(path.read_text()))
    except (KeyError, TypeError, ValueError) as error:
        raise ResultsError(f"{path} is damaged or of another version ({error}); delete it and run again") from error


def arm_of(data: Mapping[str, Any]) -> Arm:
    measurement = data["measurement"]
    return Arm(
        **{
            **data,
            "measurement": Measurement(**measurement) if measurement else None,
            "training_loss": tuple(data["training_loss"]),
            "curve": tuple(CurvePoint.from_dict(point) for point in data["curve"]),
            "outcomes": outcomes_of(data["outcomes"]),
            "videos": tuple(data["videos"]),
        }
    )


def outcomes_of(data: Sequence[Mapping[str, Any]]) -> tuple[Outcome, ...]:
    return tuple(Outcome(**outcome) for outcome in data)
