"""What each choice does on average over all others: a method, a learning rate, a rank, an exploration, a step count."""

from collections.abc import Callable
from dataclasses import dataclass
from statistics import fmean

from worldagen.evaluation.statistics import Comparison, PairedDifference, compare_over
from worldagen.report.findings import Finding, method_name, steps
from worldagen.study.summary import Study

_AXES: tuple[Callable[[Finding], tuple[float, str]], ...] = (
    lambda each: (0.0, method_name(each.group.method)),
    lambda each: (each.group.learning_rate, f"lr {each.group.learning_rate:g}"),
    lambda each: (each.group.rank, f"rank {each.group.rank}"),
    lambda each: (each.group.explored, f"{each.group.explored} explored"),
    lambda each: (each.steps, steps(each.steps)),
)
"""A budget's level on each axis: a number to sort by, and in words."""


@dataclass(frozen=True)
class Margin:
    """One level of one axis, over those budgets that every setting evaluated."""

    name: str
    found: tuple[tuple[Finding, ...], ...]
    """For each setting of the study the budgets of this level."""
    difference: PairedDifference
    """Over the initial states, each averaged over budgets and settings; p is not corrected."""

    @property
    def error_change(self) -> float:
        return fmean(each.error_change for found in self.found for each in found)

    @property
    def drift(self) -> float:
        return fmean(each.measured("arm_drift") for found in self.found for each in found)

    @property
    def accepted(self) -> float:
        """Share of the budgets that the acceptance rule accepts."""
        return fmean(each.accepted for found in self.found for each in found)

    @property
    def by_setting(self) -> list[float]:
        """Change of success in each setting."""
        return [fmean(each.difference.value for each in found if each.difference) for found in self.found]


def margins(study: Study) -> list[Margin]:
    """Every level of each axis that has several; empty where settings share no budgets."""
    made = []
    for axis in _AXES:
        levels = sorted(dict.fromkeys(axis(budget.found[0]) for budget in study.budgets), key=lambda level: level[0])
        for _, name in levels if len(levels) > 1 else []:
            own = [budget.found for budget in study.budgets if axis(budget.found[0])[1] == name]
            made.append(_margin(name, tuple(zip(*own, strict=True)), study))
    return made


def _margin(name: str, found: tuple[tuple[Finding, ...], ...], study: Study) -> Margin:
    comparisons = [
        Comparison(
            setting.results.suite,
            [arm.outcomes for each in own for arm in each.arms],
            setting.results.control.outcomes,
        )
        for setting, own in zip(study.settings, found, strict=True)
    ]
    return Margin(name, found, compare_over(comparisons))
