"""What a sweep found: the plain carriers between the sweep that measures and the report that shows.

A leaf beside types.py (standard library only), so that tracking/ and evaluation/ read it without importing the sweep.
One `SweepResults` per adaptation unit, stored as one JSON file. All paths are relative to the run folder.
"""

import dataclasses
import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean
from typing import Any, NamedTuple, TypeVar

from worldagen.atomic import write_text
from worldagen.errors import WorldagenError
from worldagen.types import EpisodeResult, Status

FORMAT_VERSION = 2
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
    """Wall clock of the adaptation up to here, features included, measurements not."""

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
    coverage: Mapping[str, float] = field(default_factory=dict)
    """How much of what could be met was met, by name of the figure (see `ttt.explore`)."""
    mixture: Mapping[str, float] = field(default_factory=dict)
    """How the episodes were driven, and the weight of each way."""


@dataclass(frozen=True, kw_only=True)
class Confirmation:
    """A group of a search against the control once more, from initial states that the search has not seen."""

    control: tuple[Outcome, ...]
    arms: tuple[Arm, ...]
    """The group's arms, one for each seed, with the fresh episodes as their outcomes, in the control's order."""
    seconds: Mapping[str, float] = field(default_factory=dict)
    """Of the control's episodes: reset, simulate, render, wait. Each arm holds its own."""

    @property
    def group(self) -> Group:
        return self.arms[0].group

    @property
    def steps(self) -> int:
        return self.arms[0].steps


@dataclass(frozen=True, kw_only=True)
class SweepResults:
    """Everything the report needs to know of one unit."""

    unit: str
    tasks: tuple[str, ...]
    control: Arm
    arms: tuple[Arm, ...]
    """Every other arm, failed ones too, ordered by method, learning rate, rank, exploration, seed, steps."""
    exploration: Exploration
    suite: str
    assets: str
    """Asset kind in use: official or primitive."""
    visuals: str
    checkpoint: str
    """Fingerprint of the base weights."""
    config: Mapping[str, Any]
    confirmation: Confirmation | None = None
    """Of the best group. None when none was configured, or when no arm was worth one."""
    chosen: Confirmation | None = None
    """Of the group that the acceptance rule chooses; None also when it chooses none."""
    format_version: int = FORMAT_VERSION

    def __post_init__(self) -> None:
        """Raises ResultsError for an arm whose episodes are not the control's, and for a control that is none."""
        if self.control.steps:
            raise ResultsError(f"the control has taken {self.control.steps} steps; an arm without control says nothing")
        for arm in self.arms:
            _check_paired(arm, self.control.outcomes, arm.name)
        for confirmation in self.confirmations:
            for arm in confirmation.arms:
                _check_paired(arm, confirmation.control, f"the confirmation of {arm.name}")

    @property
    def confirmations(self) -> tuple[Confirmation, ...]:
        return tuple(each for each in (self.confirmation, self.chosen) if each)

    @property
    def best_group(self) -> tuple[Arm, ...]:
        """The arms, one for each seed, of the group and step count of highest success rate.

        Ties go to the lower held-out error. A group of which a seed failed, was never run, or of which every seed was
        rejected does not count; empty when none is left.
        """
        return tuple(max(self._sound_groups(), key=_quality, default=[]))

    @property
    def chosen_group(self) -> tuple[Arm, ...]:
        """What one adapts by who counts no successes: of the groups of which the acceptance rule accepts every seed,
        that of lowest held-out error. Empty when there is none."""
        accepted = [group for group in self._sound_groups() if not any(arm.acceptance for arm in group)]
        return tuple(min(accepted, key=_error, default=[]))

    def _sound_groups(self) -> list[list[Arm]]:
        groups: dict[tuple[Group, int], list[Arm]] = {}
        for arm in self.arms:
            groups.setdefault((arm.group, arm.steps), []).append(arm)
        return [group for group in groups.values() if _sound(group)]

    @property
    def best(self) -> Arm | None:
        """The first arm of the best group that was not rejected; None when there is no such group."""
        return next((arm for arm in self.best_group if arm.accepted is not False), None)

    @property
    def failed(self) -> list[Arm]:
        return [arm for arm in self.arms if arm.failed]

    @property
    def seconds(self) -> dict[str, float]:
        """Worker seconds by what they were spent on: reset, simulate, render, wait (simulators) and learn."""
        total: Counter[str] = Counter(self.exploration.seconds)
        again = {(arm.trial, arm.steps): arm for confirmation in self.confirmations for arm in confirmation.arms}
        for arm in (self.control, *self.arms, *again.values()):
            total.update(arm.seconds)
        for confirmation in self.confirmations[:1]:  # the control's episodes are the same in both
            total.update(confirmation.seconds)
        longest: dict[TrialKey, float] = {}  # arms of one trial share their steps: count the longest only
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


def _check_paired(arm: Arm, control: Sequence[Outcome], name: str) -> None:
    own, expected = (Counter(outcome.pair for outcome in outcomes) for outcomes in (arm.outcomes, control))
    if own and own != expected:
        raise ResultsError(
            f"{name} and the control ran different episodes ({own.total()} and {expected.total()}, of which "
            f"{(own & expected).total()} are the same); arms are compared on identical ones"
        )


def _sound(group: Sequence[Arm]) -> bool:
    """Whether all arms were run and at least one is not the base model."""
    run = all(arm.outcomes and arm.measurement and not arm.failed for arm in group)
    return run and any(arm.accepted is not False for arm in group)


def _quality(group: Sequence[Arm]) -> tuple[float, float]:
    """Success and negative held-out error of a sound group, averaged over its arms."""
    return fmean(arm.success_rate for arm in group), -_error(group)


def _error(group: Sequence[Arm]) -> float:
    """Held-out error on changed patches of a sound group, averaged over its arms."""
    return fmean(arm.measurement.changed for arm in group if arm.measurement)


def _write(path: Path, carrier: Any) -> None:
    write_text(path, json.dumps(dataclasses.asdict(carrier), indent=1))


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
            "confirmation": _confirmation(data["confirmation"]),
            "chosen": _confirmation(data.get("chosen")),
        }
    )


def _confirmation(data: Mapping[str, Any] | None) -> Confirmation | None:
    if data is None:
        return None
    arms = tuple(_arm(arm) for arm in data["arms"])
    return Confirmation(**{**data, "control": _outcomes(data["control"]), "arms": arms})


def _arm(data: Mapping[str, Any]) -> Arm:
    measurement = data["measurement"]
    return Arm(
        **{
            **data,
            "measurement": Measurement(**measurement) if measurement else None,
            "training_loss": tuple(data["training_loss"]),
            "curve": tuple(CurvePoint.from_dict(point) for point in data["curve"]),
            "outcomes": _outcomes(data["outcomes"]),
            "videos": tuple(data["videos"]),
        }
    )


def _outcomes(data: Sequence[Mapping[str, Any]]) -> tuple[Outcome, ...]:
    return tuple(Outcome(**outcome) for outcome in data)
