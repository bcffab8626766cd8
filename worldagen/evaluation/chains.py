"""Chains of tasks, each from where the one before it succeeded: how far they got."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import ttest_rel
from statsmodels.stats.proportion import proportion_confint

from worldagen.arms import Outcome
from worldagen.evaluation.statistics import ALPHA, Rate, success_rate


@dataclass(frozen=True, kw_only=True)
class ChainSummary:
    """CALVIN's table: the share of chains that solved at least 1, 2 ... tasks in a row, and how many on average."""

    in_a_row: tuple[Rate, ...]
    length: float
    low: float
    """95 % interval of the average length. A chain's share of solved tasks varies at most as a yes-or-no outcome of the
    same mean does, so Wilson's interval over the chains holds for it too: wider than need be, and never empty."""
    high: float


@dataclass(frozen=True, kw_only=True)
class ChainDifference:
    """Average length of one policy minus another's, on the same chains."""

    value: float
    low: float
    high: float
    p: float
    """Paired t test, two-sided. It and the 95 % interval are NaN when every chain changed alike (or none did)."""
    further: int
    """Chains that got further with the first."""
    less_far: int


def summarise(outcomes: Sequence[Outcome], tasks: int) -> ChainSummary:
    """How far chains of `tasks` tasks got. Raises ValueError when there are none."""
    if not outcomes:
        raise ValueError("a summary of chains needs at least one, got none")
    completed, count = np.array([outcome.completed for outcome in outcomes]), len(outcomes)
    low, high = proportion_confint(completed.sum() / tasks, count, alpha=ALPHA, method="wilson")
    return ChainSummary(
        in_a_row=tuple(success_rate(int((completed >= number).sum()), count) for number in range(1, tasks + 1)),
        length=float(completed.mean()),
        low=tasks * low,
        high=tasks * high,
    )


def compare_lengths(first: Sequence[Outcome], second: Sequence[Outcome]) -> ChainDifference:
    """Average length of `first` minus `second`. Raises ValueError unless both ran the same chains in the same order."""
    if [outcome.pair for outcome in first] != [outcome.pair for outcome in second]:
        raise ValueError("a paired difference needs the same chains, in the same order, in both")
    lengths = [np.array([outcome.completed for outcome in outcomes], float) for outcomes in (first, second)]
    change = lengths[0] - lengths[1]
    low, high, p = (np.nan,) * 3
    if len(set(change)) > 1:
        test = ttest_rel(*lengths)
        p, (low, high) = test.pvalue, test.confidence_interval(1 - ALPHA)
    return ChainDifference(
        value=float(change.mean()),
        low=float(low),
        high=float(high),
        p=float(p),
        further=int((change > 0).sum()),
        less_far=int((change < 0).sum()),
    )
