"""Is an arm different from the control? Rates, paired differences and what a run of this size can tell at all.

Arms are compared on identical episodes: one counts for a difference only if it ends differently in the two arms.
Episodes that crashed or timed out count as failures: one that dies on every attempt is one that the policy led there.

An arm adapted several times (adaptation seeds) is compared by its average: each episode counts with the share of seeds
that solved it. The seeds are taken as they are; how far they lie apart is for the reader to see beside the average.
"""

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.optimize import brentq
from scipy.stats import binom, bootstrap, norm, permutation_test
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.proportion import proportion_confint

from worldagen.arms import Outcome

ALPHA = 0.05
"""Intervals hold 1 - ALPHA; a difference is distinguishable when its p, corrected for the number of arms, is below."""
_RESAMPLES = 9_999
_BOOTSTRAP_FROM = 10
"""Changed episodes from which on a bootstrap is believed."""


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
    """Episodes that the arm solved and the control did not; with several seeds, that any of them solved."""
    lost: int
    """Episodes that the control solved and the arm did not; with several seeds, that any of them did not."""
    value: float
    low: float
    high: float
    p: float
    """Two-sided: the exact McNemar test, or with several seeds a paired sign-flip permutation test."""
    p_corrected: float
    """Holm's correction over the arms that were compared together; equals p for a single one."""
    seeds: int = 1
    """Adaptations that were averaged."""
    churn: float = 0.0
    """Share of episodes that changed in equal numbers to either side: what a difference has to stand out from."""
    spread: float = 0.0
    """Standard deviation of the changes over episodes: the same for averages."""

    @property
    def distinguishable(self) -> bool:
        return self.p_corrected < ALPHA


def rate(*seeds: Sequence[Outcome]) -> Rate:
    """Success rate over all outcomes with its 95 % Wilson score interval.

    Several seeds that ran the same episodes are no more episodes than one: an episode's share of solving seeds varies
    at most as a yes-or-no outcome of the same mean does, so the interval is that of one seed of the average rate.
    """
    successes, episodes = sum(outcome.success for seed in seeds for outcome in seed), sum(map(len, seeds))
    if not episodes:
        return success_rate(0, 0)
    return success_rate(successes, episodes, pairs=episodes / len(seeds))


def success_rate(successes: int, episodes: int, *, pairs: float = 0) -> Rate:
    """`successes` of `episodes` with the 95 % Wilson score interval of as many `pairs` (0: of all episodes)."""
    if not episodes:
        return Rate(successes=0, episodes=0, value=math.nan, low=math.nan, high=math.nan)
    value, independent = successes / episodes, pairs or episodes
    low, high = proportion_confint(value * independent, independent, alpha=ALPHA, method="wilson")
    return Rate(successes=successes, episodes=episodes, value=value, low=low, high=high)


def holm(differences: Sequence[PairedDifference]) -> list[PairedDifference]:
    """The differences with their p values corrected over all of them (Holm).

    What statsmodels' multipletests gives, which takes a second because it has all garbage collected first.
    """
    order = sorted(range(len(differences)), key=lambda index: differences[index].p)
    corrected, least = [0.0] * len(order), 0.0
    for rank, index in enumerate(order):
        least = max(least, min(1.0, (len(order) - rank) * differences[index].p))
        corrected[index] = least
    return [replace(each, p_corrected=p) for each, p in zip(differences, corrected, strict=True)]


def paired_difference(arm: Sequence[Outcome], control: Sequence[Outcome]) -> PairedDifference:
    """Success of `arm` minus `control`, as `compare` has it for one seed."""
    return compare([arm], control)


def compare(seeds: Sequence[Sequence[Outcome]], control: Sequence[Outcome]) -> PairedDifference:
    """Average success of the adaptation `seeds` of one arm minus that of `control`.

    Raises ValueError unless all hold the same episodes (task, initial state, seed), each once, in any order.
    """
    return difference_of(changes(seeds, control), len(seeds))


def changes(seeds: Sequence[Sequence[Outcome]], control: Sequence[Outcome]) -> np.ndarray:
    """float64 (episodes,) in order of the episodes: share of `seeds` that solved it, minus 1 if `control` did.

    Raises ValueError as `compare` does.
    """
    solved_before = _by_episode(control, "control")
    if not seeds or not solved_before:
        raise ValueError("a paired difference needs at least one episode, got none")
    solved = [_by_episode(arm, "arm") for arm in seeds]
    for each in solved:
        if each.keys() != solved_before.keys():
            differing = sorted(each.keys() ^ solved_before.keys())
            raise ValueError(
                f"arm and control ran different episodes ({len(each)} and {len(solved_before)}; {len(differing)} are "
                f"in one only, e.g. {differing[0]}); a paired difference needs equal (task, init_state, seed) in both"
            )
    episodes = sorted(solved_before)
    shares = np.mean([[each[pair] for pair in episodes] for each in solved], axis=0)
    return shares - np.array([solved_before[pair] for pair in episodes], float)


@dataclass(frozen=True)
class Comparison:
    """Arm and control in one of several settings."""

    suite: str
    seeds: Sequence[Sequence[Outcome]]
    """The arm's episodes, for each adaptation seed."""
    control: Sequence[Outcome]


def compare_over(settings: Sequence[Comparison]) -> PairedDifference:
    """All settings as one comparison of `episodes` initial states, each the average of its changes over the settings.

    Settings share their initial states, and some hardly differ: taken as so many independent episodes they would make
    the interval too narrow. Raises ValueError as `compare` does.
    """
    found = defaultdict[tuple[str, str, int, int], list[float]](list)
    for each in settings:
        episodes = sorted(outcome.pair for outcome in each.control)
        for pair, change in zip(episodes, changes(each.seeds, each.control), strict=True):
            found[each.suite, *pair].append(change)
    averages = np.array([np.mean(found[state]) for state in sorted(found)])
    return difference_of(averages, seeds=sum(len(each.seeds) for each in settings))


def _by_episode(outcomes: Sequence[Outcome], name: str) -> dict[tuple[str, int, int], bool]:
    solved = {outcome.pair: outcome.success for outcome in outcomes}
    if len(solved) != len(outcomes):
        raise ValueError(f"the {name} holds {len(outcomes) - len(solved)} episodes twice; each may be there once")
    return solved


def difference_of(change: np.ndarray, seeds: int = 1) -> PairedDifference:
    """What the changes (episodes,) of episodes say together, averaged over so many adaptation seeds.

    One seed: Tango's 95 % score interval and the exact McNemar test. Several: bootstrap over episodes (BCa) and
    sign-flip permutation test, which for one seed is the McNemar test.
    """
    gained, lost, value = int((change > 0).sum()), int((change < 0).sum()), float(change.mean())
    if seeds == 1:
        p = float(mcnemar([[0, gained], [lost, 0]], exact=True).pvalue) if gained + lost else 1.0
        low, high = paired_interval(gained, lost, len(change))
    else:
        p, (low, high) = _sign_flip(change), _seeds_interval(change)
    return PairedDifference(
        episodes=len(change),
        gained=gained,
        lost=lost,
        value=value,
        low=low,
        high=high,
        p=p,
        p_corrected=p,
        seeds=seeds,
        churn=max(0.0, float(np.mean(change**2)) - abs(value)),
        spread=float(change.std()),
    )


def _sign_flip(change: np.ndarray) -> float:
    """Two-sided p of the sum of `change` when each could as well have had the other sign. Unchanged episodes have no
    say in it. Exact up to 13 changed episodes, by 9,999 draws above."""
    changed = change[change != 0]
    if len(changed) < 2:
        return 1.0
    test = permutation_test(
        (changed,), np.sum, permutation_type="samples", vectorized=True, n_resamples=_RESAMPLES, rng=0
    )
    return float(test.pvalue)


def _seeds_interval(change: np.ndarray) -> tuple[float, float]:
    """95 % interval of the mean. A bootstrap knows nothing that it has not seen, so with few changed episodes it is the
    score interval of as many wholly changed ones: too wide rather than too narrow."""
    if np.count_nonzero(change) < _BOOTSTRAP_FROM or np.ptp(change) == 0:
        return paired_interval(change.clip(min=0).sum(), -change.clip(max=0).sum(), len(change))
    found = bootstrap((change,), np.mean, n_resamples=_RESAMPLES, confidence_level=1 - ALPHA, rng=0)
    return float(found.confidence_interval.low), float(found.confidence_interval.high)


def paired_interval(gained: float, lost: float, pairs: int) -> tuple[float, float]:
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
    """Smallest true difference that the exact McNemar test finds with probability `power`; None if not even 1 would be
    found. No approximation: the test's rejections, summed over what may happen.

    `comparisons` is the number of arms that Holm's correction spans (its first, strictest step is used). `churn` is the
    share of episodes that change in equal numbers to either side, beside the true effect; 0 is the best case.
    """
    alpha = ALPHA / comparisons

    def excess(difference: float) -> float:
        return _power(pairs, difference, min(churn, 1 - difference), alpha) - power

    return float(brentq(excess, 0.0, 1.0, xtol=1e-4)) if excess(1.0) >= 0 else None


def smallest_detectable_average(pairs: int, spread: float, *, comparisons: int = 1, power: float = 0.8) -> float | None:
    """The same where each of `pairs` changes is an average over seeds or settings: what a z test of their mean finds if
    their standard deviation is `spread`. None where the sign-flip test cannot reach so small a p."""
    quantiles = float(norm.isf(ALPHA / comparisons / 2) + norm.ppf(power))
    size = quantiles * spread / math.sqrt(pairs)
    return size if size <= 1 and comparisons * _least_p(pairs) < ALPHA else None


def can_tell(difference: PairedDifference, comparisons: int) -> bool:
    """Whether an average over seeds or settings could be distinguishable at all after Holm over so many comparisons."""
    return comparisons * _least_p(difference.episodes) < ALPHA


def _least_p(pairs: int) -> float:
    """The smallest two-sided p that the sign-flip test of so many pairs gives."""
    return 2.0 * max(0.5**pairs, 1 / (_RESAMPLES + 1))


def _power(pairs: int, difference: float, churn: float, alpha: float) -> float:
    """Probability that the exact McNemar test rejects at `alpha`, summed over the number of changed episodes."""
    changed = np.arange(1, pairs + 1)
    # Largest minority count that is still significant: 2 P(X <= k) < alpha for X ~ Binomial(changed, 1/2); -1 if none.
    minority = binom.ppf(alpha / 2, changed, 0.5)
    minority = np.where(2 * binom.cdf(minority, changed, 0.5) < alpha, minority, minority - 1)
    gain_share = (difference + churn / 2) / (difference + churn) if difference + churn else 0.5
    rejects = binom.cdf(minority, changed, gain_share) + binom.sf(changed - minority - 1, changed, gain_share)
    return float(np.sum(binom.pmf(changed, pairs, difference + churn) * rejects))
