"""What could a comparison of this size have found? Said beside every result: nothing seen is not no effect."""

from collections.abc import Sequence
from statistics import fmean

import numpy as np
from scipy.optimize import brentq
from scipy.stats import binom

from worldagen.evaluation.statistics import ALPHA, PairedDifference


def smallest_difference(differences: Sequence[PairedDifference], comparisons: int = 0) -> float | None:
    """What comparisons of this size would find, corrected for so many (0: for each other), with as many episodes
    changing to and fro as was seen in them, and by as much. None if nothing."""
    if not differences:
        return None
    size, churn = fmean(each.size for each in differences), fmean(each.churn for each in differences)
    found = smallest_detectable_difference(
        differences[0].episodes, comparisons=comparisons or len(differences), churn=churn
    )
    return None if found is None else size * found


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


def can_tell(difference: PairedDifference, comparisons: int) -> bool:
    """Whether so many initial states could tell anything from zero at all, after Holm over so many comparisons."""
    return comparisons * 2 * 0.5**difference.episodes < ALPHA


def _power(pairs: int, difference: float, churn: float, alpha: float) -> float:
    """Probability that the exact McNemar test rejects at `alpha`, summed over the number of changed episodes."""
    changed = np.arange(1, pairs + 1)
    # Largest minority count that is still significant: 2 P(X <= k) < alpha for X ~ Binomial(changed, 1/2); -1 if none.
    minority = binom.ppf(alpha / 2, changed, 0.5)
    minority = np.where(2 * binom.cdf(minority, changed, 0.5) < alpha, minority, minority - 1)
    gain_share = (difference + churn / 2) / (difference + churn) if difference + churn else 0.5
    rejects = binom.cdf(minority, changed, gain_share) + binom.sf(changed - minority - 1, changed, gain_share)
    return float(np.sum(binom.pmf(changed, pairs, difference + churn) * rejects))
