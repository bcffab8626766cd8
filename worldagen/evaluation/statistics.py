"""Is an arm different from the control? Rates, and paired differences with their intervals and p values.

Arms are compared on identical episodes: one counts for a difference only if it ends differently in the two arms.
Episodes that crashed or timed out count as failures: one that dies on every attempt is one that the policy led there.

An arm adapted several times (adaptation seeds) is compared by its average: each episode counts with the share of seeds
that solved it. The seeds are taken as they are; how far they lie apart is for the reader to see beside the average.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.optimize import brentq
from scipy.stats import bootstrap, norm
from statsmodels.stats.proportion import proportion_confint

from worldagen.arms import Outcome
from worldagen.evaluation.exact import relabelled, sign_flip

ALPHA = 0.05
"""Intervals hold 1 - ALPHA; a difference is distinguishable when its p, corrected for the number of arms, is below."""
_FINEST, _COARSE = 1_000, 50
"""Exact tests are of whole numbers: averages over settings are multiples of one over so many, or are rounded to such;
weights of settings are at most so many, or are rounded to such, by which a test stays as exact as it was."""
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
    """Two-sided and exact: McNemar's test, or what stands for it with several seeds or settings (see exact.py)."""
    p_corrected: float
    """Holm's correction over the arms that were compared together; equals p for a single one."""
    seeds: int = 1
    """Adaptations that were averaged."""
    churn: float = 0.0
    """Share of episodes that changed in equal numbers to either side: what a difference has to stand out from."""
    size: float = 1.0
    """How much a change counts where settings are averaged: 1, wholly, if all change together."""

    @property
    def distinguishable(self) -> bool:
        """The interval must exclude zero too: with several seeds it may include it although p is small."""
        return self.p_corrected < ALPHA and not self.low <= 0 <= self.high


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
    change, before = changes(seeds, control), _solved(control)
    ones = np.ones(len(change), int)
    p = max(sign_flip(change), relabelled(change, before, len(seeds) * ones, ones))
    return _difference(change, len(seeds), p, len(seeds), size=1.0)


def changes(seeds: Sequence[Sequence[Outcome]], control: Sequence[Outcome]) -> np.ndarray:
    """int64 (episodes,) in order of the episodes: how many of `seeds` solved it, less all of them if `control` did.

    Whole numbers, for shares of seeds do not add up to nothing where they should. Raises ValueError as `compare` does.
    """
    solved_before = _by_episode(control, "control")
    if not seeds or not solved_before:
        raise ValueError("a paired difference needs at least one episode, got none")
    for each in (_by_episode(arm, "arm") for arm in seeds):
        if each.keys() != solved_before.keys():
            differing = sorted(each.keys() ^ solved_before.keys())
            raise ValueError(
                f"arm and control ran different episodes ({len(each)} and {len(solved_before)}; {len(differing)} are "
                f"in one only, e.g. {differing[0]}); a paired difference needs equal (task, init_state, seed) in both"
            )
    return np.sum([_solved(arm) for arm in seeds], axis=0) - len(seeds) * _solved(control)


def _solved(outcomes: Sequence[Outcome]) -> np.ndarray:
    """int64 (episodes,) in order of the episodes: 1 where it was solved."""
    return np.array([outcome.success for outcome in sorted(outcomes, key=lambda each: each.pair)], int)


@dataclass(frozen=True)
class Comparison:
    """Arm and control in one of several settings."""

    suite: str
    seeds: Sequence[Sequence[Outcome]]
    """The arm's episodes, for each adaptation seed."""
    control: Sequence[Outcome]


def compare_over(settings: Sequence[Comparison]) -> PairedDifference:
    """All settings as one comparison of `episodes` initial states, each the average of its changes over the settings.

    Settings share their initial states, whatever their seeds, and some hardly differ: taken as so many independent
    episodes they would make the interval too narrow. Raises ValueError as `compare` does.
    """
    states = [(each.suite, *pair[:2]) for each in settings for pair in sorted(one.pair for one in each.control)]
    place = {state: number for number, state in enumerate(dict.fromkeys(states))}
    where = np.array([place[state] for state in states])
    change = np.concatenate([changes(each.seeds, each.control) for each in settings])
    before = np.concatenate([_solved(each.control) for each in settings])
    seeds = np.concatenate([np.full(len(each.control), len(each.seeds)) for each in settings])
    times = np.bincount(where)
    parts = math.lcm(*set(times.tolist())) * math.lcm(*set(seeds.tolist()))
    weight = parts // (times[where] * seeds)
    whole = np.zeros(len(place), int)
    np.add.at(whole, where, weight * change)
    coarse = np.rint(min(1.0, _FINEST / parts) * whole).astype(int)
    p = max(sign_flip(coarse), relabelled(change, before, seeds, _reduced(weight)))
    moved = float(np.abs(whole).sum())
    size = float((whole.astype(float) ** 2).sum()) / moved / parts if moved else 1.0
    return _difference(whole, parts, p, seeds=sum(len(each.seeds) for each in settings), size=size)


def _reduced(weight: np.ndarray) -> np.ndarray:
    """Whole numbers in the same proportions, as small as may be, or rounded to at most _COARSE."""
    least = weight // np.gcd.reduce(weight)
    return np.maximum(1, np.rint(least * min(1.0, _COARSE / least.max()))).astype(int)


def _by_episode(outcomes: Sequence[Outcome], name: str) -> dict[tuple[str, int, int], bool]:
    solved = {outcome.pair: outcome.success for outcome in outcomes}
    if len(solved) != len(outcomes):
        raise ValueError(f"the {name} holds {len(outcomes) - len(solved)} episodes twice; each may be there once")
    return solved


def _difference(whole: np.ndarray, parts: int, p: float, seeds: int, size: float) -> PairedDifference:
    """What the changes of episodes, `whole / parts` (episodes,), say together.

    One seed: Tango's 95 % score interval. Several: bootstrap over episodes (BCa). Either is widened to zero where p
    does not exclude it, for the exact tests ask for a little more than they do.
    """
    gained, lost, value = int((whole > 0).sum()), int((whole < 0).sum()), int(whole.sum()) / (parts * len(whole))
    change = whole / parts
    low, high = paired_interval(gained, lost, len(change)) if seeds == 1 else _seeds_interval(change)
    if p >= ALPHA:
        low, high = min(low, 0.0), max(high, 0.0)
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
        churn=max(0.0, float(np.mean(change**2)) / size**2 - abs(value) / size),
        size=size,
    )


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
