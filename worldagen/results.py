"""What a sweep found: the carrier between the sweep that measures and the report that shows.

A leaf, so that report/ and study/ read it without importing the sweep. One `SweepResults` per adaptation unit,
stored as one JSON file. All paths are relative to the run folder.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean
from typing import Any

from worldagen.arms import (
    Arm,
    Group,
    Outcome,
    ResultsError,
    TrialKey,
    arm_of,
    outcomes_of,
    read_carrier,
    write_carrier,
)

FORMAT_VERSION = 2


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
    """How much of what could be met was met, by name of the figure (see `ttt.coverage`)."""
    coverages: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    """The same for each size of exploration that was asked for."""
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
        rejected does not count, nor one that leaves the policy as it is, bit for bit; empty when none is left.
        """
        return max(self._sound_groups(), key=_quality, default=())

    @property
    def chosen_group(self) -> tuple[Arm, ...]:
        """What one adapts by who counts no successes: of the groups of which the acceptance rule accepts every seed,
        that of lowest held-out error. Empty when there is none."""
        accepted = [group for group in self._sound_groups() if not any(arm.acceptance for arm in group)]
        return min(accepted, key=_error, default=())

    def _sound_groups(self) -> list[tuple[Arm, ...]]:
        return [group for group in by_budget(self.arms) if _sound(group) and moves_policy(group)]

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
        write_carrier(path, self)

    @classmethod
    def load(cls, path: Path) -> "SweepResults":
        """Inverse of `save`. Raises ResultsError for a file that is damaged or of another format."""
        return read_carrier(path, _sweep)


def _check_paired(arm: Arm, control: Sequence[Outcome], name: str) -> None:
    own, expected = (Counter(outcome.pair for outcome in outcomes) for outcomes in (arm.outcomes, control))
    if own and own != expected:
        raise ResultsError(
            f"{name} and the control ran different episodes ({own.total()} and {expected.total()}, of which "
            f"{(own & expected).total()} are the same); arms are compared on identical ones"
        )


def by_budget(arms: Iterable[Arm]) -> list[tuple[Arm, ...]]:
    """Arms that differ by their seed alone together, in the order of the arms."""
    found: dict[tuple[Group, int], list[Arm]] = {}
    for arm in arms:
        found.setdefault((arm.group, arm.steps), []).append(arm)
    return [tuple(group) for group in found.values()]


def was_evaluated(group: Sequence[Arm]) -> bool:
    """Whether there is anything to compare: all arms were run, for the sound ones alone would flatter, and at least one
    is not the base model."""
    run = all(arm.outcomes and not arm.failed for arm in group)
    return run and any(arm.accepted is not False for arm in group)


def _sound(group: Sequence[Arm]) -> bool:
    return was_evaluated(group) and all(arm.measurement for arm in group)


def moves_policy(group: Sequence[Arm]) -> bool:
    """Whether the policy differs from the base's at all: `world_model_rows` leaves it as it is, to the last bit."""
    measured = [arm.measurement for arm in group if arm.measurement]
    return any(each.arm_drift or each.gripper_flips for each in measured)


def _quality(group: Sequence[Arm]) -> tuple[int, float]:
    """Solved episodes and negative held-out error of a sound group. Counts, for averages of rates round apart."""
    return sum(outcome.success for arm in group for outcome in arm.outcomes), -_error(group)


def _error(group: Sequence[Arm]) -> float:
    """Held-out error on changed patches of a sound group, averaged over its arms."""
    return fmean(arm.measurement.changed for arm in group if arm.measurement)


def _sweep(data: Mapping[str, Any]) -> SweepResults:
    if data["format_version"] != FORMAT_VERSION:
        raise ValueError(f"format_version is {data['format_version']}, expected {FORMAT_VERSION}")
    return SweepResults(
        **{
            **data,
            "tasks": tuple(data["tasks"]),
            "control": arm_of(data["control"]),
            "arms": tuple(arm_of(arm) for arm in data["arms"]),
            "exploration": Exploration(**data["exploration"]),
            "confirmation": _confirmation(data["confirmation"]),
            "chosen": _confirmation(data.get("chosen")),
        }
    )


def _confirmation(data: Mapping[str, Any] | None) -> Confirmation | None:
    if data is None:
        return None
    arms = tuple(arm_of(arm) for arm in data["arms"])
    return Confirmation(**{**data, "control": outcomes_of(data["control"]), "arms": arms})
