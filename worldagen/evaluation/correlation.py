"""Does one figure of an arm tell another? Rank correlation over arms that are not independent of each other."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import bootstrap, rankdata

from worldagen.evaluation.statistics import ALPHA

_RESAMPLES = 1_999
FEWEST_CLUSTERS = 4
"""Below this a bootstrap over clusters has too little to draw from for an interval."""


@dataclass(frozen=True, kw_only=True)
class Correlation:
    """Spearman's rank correlation. NaN where one of the two never varies, or there are too few clusters."""

    arms: int
    clusters: int
    value: float
    low: float
    high: float

    @property
    def distinguishable(self) -> bool:
        """Whether the interval leaves out zero."""
        return self.low > 0 or self.high < 0


def rank_correlation(x: Sequence[float], y: Sequence[float], clusters: Sequence[Hashable]) -> Correlation:
    """Spearman's correlation of `x` and `y` with a 95 % percentile bootstrap interval.

    What is drawn are whole `clusters` (one name per point), because points of one cluster resemble each other: the
    snapshots of one adaptation do. Ranks stay those among all points. Raises ValueError if the three differ in length.
    """
    if not len(x) == len(y) == len(clusters):
        raise ValueError(f"x, y and clusters differ in length: {len(x)}, {len(y)}, {len(clusters)}")
    names = list(dict.fromkeys(clusters))
    own = np.array([[cluster == name for cluster in clusters] for name in names], float)
    a, b = rankdata(x), rankdata(y)
    sums = own @ np.stack([np.ones_like(a), a, b, a * a, b * b, a * b], axis=1)  # all that a correlation is made of
    varies = len(x) > 1 and np.ptp(a) > 0 and np.ptp(b) > 0
    value = float(_correlation(sums.sum(0))) if varies else np.nan
    low, high = np.nan, np.nan
    if len(names) >= FEWEST_CLUSTERS and varies:
        found = bootstrap(
            (np.arange(len(names)),),
            lambda drawn, axis: _correlation(sums[drawn].sum(axis - 1)),
            n_resamples=_RESAMPLES,
            method="percentile",
            confidence_level=1 - ALPHA,
            rng=0,
        ).confidence_interval
        low, high = found.low, found.high
    return Correlation(arms=len(x), clusters=len(names), value=value, low=float(low), high=float(high))


def _correlation(sums: np.ndarray) -> np.ndarray:
    """Pearson's from (..., 6) sums of 1, a, b, a², b², ab; 0 where one of the two does not vary."""
    count, a, b, aa, bb, ab = np.moveaxis(sums, -1, 0)
    spread = np.sqrt(np.maximum((count * aa - a * a) * (count * bb - b * b), 0.0))
    return np.where(spread > 0, (count * ab - a * b) / np.where(spread > 0, spread, 1.0), 0.0)
