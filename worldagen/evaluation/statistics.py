"""Is an arm different from the control? Rates, paired differences and what a run of this size can tell at all.

Arms are compared on identical episodes: one counts for a difference only if it ends differently in the two arms.
Episodes that crashed or timed out count as failures: one that dies on every attempt is one that the policy led there.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.optimize import brentq
from scipy.stats import binom, norm
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import proportion_confint

from worldagen.results import Outcome

ALPHA = 0.05
"""Intervals hold 1 - ALPHA; a difference is distinguishable when its p, corrected for the number of arms, is below."""


@dataclass(frozen=True, kw_only=True)
class Rate:
    """A success rate with its Wilson score interval. All NaN when there were no episodes."""

    successes: int
    episodes: int
    value: float
    low: float
    high: float


@dataclass(frozen=True, kw_only=True)
class PairedDifference:
    """Success rate of an arm minus that of the control, on the same episodes."""

    episodes: int
    """Pairs."""
    gained: int
    """Episodes that only the arm solved."""
    lost: int
    """Episodes that only the control solved."""
    value: float
    low: float
    high: float
    p: float
    """Exact McNemar test, two-sided."""
    p_corrected: float
    """Holm's correction over the arms that were compared together; equals p for a single one."""

    @property
    def distinguishable(self) -> bool:
        return self.p_corrected < ALPHA


def rate(outcomes: Sequence[Outcome]) -> Rate:
    """Success rate of `outcomes` with its 95 % Wilson score interval."""
    return success_rate(sum(outcome.success for outcome in outcomes), len(outcomes))


def success_rate(successes: int, episodes: int) -> Rate:
    """`successes` of `episodes` with the 95 % Wilson score interval."""
    if not episodes:
        return Rate(successes=0, episodes=0, value=math.nan, low=math.nan, high=math.nan)
    low, high = proportion_confint(successes, episodes, alpha=ALPHA, method="wilson")
    return Rate(successes=successes, episodes=episodes, value=successes / episodes, low=low, high=high)


def compare(arms: Sequence[Sequence[Outcome]], control: Sequence[Outcome]) -> list[PairedDifference]:
    """Paired difference of each arm to the control, p values corrected over all of them (Holm)."""
    differences = [paired_difference(arm, control) for arm in arms]
    if not differences:
        return []
    corrected = multipletests([difference.p for difference in differences], alpha=ALPHA, method="holm")[1]
    return [replace(each, p_corrected=float(p)) for each, p in zip(differences, corrected, strict=True)]


def paired_difference(arm: Sequence[Outcome], control: Sequence[Outcome]) -> PairedDifference:
    """Success of `arm` minus `control` with Tango's 95 % score interval and the exact McNemar test.

    Raises ValueError unless both hold the same episodes (task, initial state, seed), each once, in any order.
    """
    solved, solved_before = _by_episode(arm, "arm"), _by_episode(control, "control")
    if solved.keys() != solved_before.keys():
        differing = sorted(solved.keys() ^ solved_before.keys())
        raise ValueError(
            f"arm and control ran different episodes ({len(solved)} and {len(solved_before)}; {len(differing)} are in "
            f"one only, e.g. {differing[0]}); a paired difference needs the same (task, init_state, seed) in both"
        )
    if not solved:
        raise ValueError("a paired difference needs at least one episode, got none")
    gained = sum(solved[pair] and not solved_before[pair] for pair in solved)
    lost = sum(solved_before[pair] and not solved[pair] for pair in solved)
    p = float(mcnemar([[0, gained], [lost, 0]], exact=True).pvalue) if gained + lost else 1.0
    low, high = paired_interval(gained, lost, len(solved))
    return PairedDifference(
        episodes=len(solved),
        gained=gained,
        lost=lost,
        value=(gained - lost) / len(solved),
        low=low,
        high=high,
        p=p,
        p_corrected=p,
    )


def _by_episode(outcomes: Sequence[Outcome], name: str) -> dict[tuple[str, int, int], bool]:
    solved = {outcome.pair: outcome.success for outcome in outcomes}
    if len(solved) != len(outcomes):
        raise ValueError(f"the {name} holds {len(outcomes) - len(solved)} episodes twice; each may be there once")
    return solved


def paired_interval(gained: int, lost: int, pairs: int) -> tuple[float, float]:
    """95 % score interval of a difference of paired rates (Tango 1998, Statistics in Medicine 17:891-908).

    Unlike a bootstrap it keeps a width when few or no episodes changed: 12 unchanged pairs are no proof of no effect.
    """
    z = float(norm.isf(ALPHA / 2))

    def score(difference: float) -> float:
        """The test statistic of "the true difference is `difference`", from the constrained likelihood estimate."""
        b = -gained - lost + (2 * pairs - gained + lost) * difference
        c = -lost * difference * (1 - difference)
        lost_share = (math.sqrt(max(b * b - 8 * pairs * c, 0.0)) - b) / (4 * pairs)
        variance = pairs * (2 * lost_share + difference * (1 - difference))
        return (gained - lost - pairs * difference) / math.sqrt(max(variance, 1e-12))

    estimate, edge = (gained - lost) / pairs, 1 - 1e-9
    low = -1.0 if estimate == -1 else brentq(lambda d: score(d) - z, -edge, min(estimate, edge))
    high = 1.0 if estimate == 1 else brentq(lambda d: score(d) + z, max(estimate, -edge), edge)
    return float(low), float(high)


def smallest_detectable_difference(
    pairs: int, *, comparisons: int = 1, churn: float = 0.0, power: float = 0.8
) -> float | None:
    """Smallest true difference that the test above finds with probability `power`; None if not even 1 would be found.

    `comparisons` is the number of arms that Holm's correction spans (its first, strictest step is used). `churn` is the
    share of episodes that change in equal numbers to either side, beside the true effect; 0 is the best case.
    """
    alpha = ALPHA / comparisons

    def excess(difference: float) -> float:
        return _power(pairs, difference, min(churn, 1 - difference), alpha) - power

    return float(brentq(excess, 0.0, 1.0, xtol=1e-4)) if excess(1.0) >= 0 else None


def _power(pairs: int, difference: float, churn: float, alpha: float) -> float:
    """Probability that the exact McNemar test rejects at `alpha`, summed over the number of changed episodes."""
    changed = np.arange(1, pairs + 1)
    # Largest minority count that is still significant: 2 P(X <= k) < alpha for X ~ Binomial(changed, 1/2); -1 if none.
    minority = binom.ppf(alpha / 2, changed, 0.5)
    minority = np.where(2 * binom.cdf(minority, changed, 0.5) < alpha, minority, minority - 1)
    gain_share = (difference + churn / 2) / (difference + churn) if difference + churn else 0.5
    rejects = binom.cdf(minority, changed, gain_share) + binom.sf(changed - minority - 1, changed, gain_share)
    return float(np.sum(binom.pmf(changed, pairs, difference + churn) * rejects))
