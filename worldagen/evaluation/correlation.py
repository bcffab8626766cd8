"""Does one figure of an arm tell another? Rank correlation over arms that are not independent of each other."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import bootstrap, rankdata

from worldagen.evaluation.statistics import ALPHA

_RESAMPLES = 999
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
    snapshots of one adaptation do. Raises ValueError when the three differ in length.
    """
    points = np.column_stack([x, y]) if len(x) == len(y) == len(clusters) else None
    if points is None:
        raise ValueError(f"x, y and clusters differ in length: {len(x)}, {len(y)}, {len(clusters)}")
    names = list(dict.fromkeys(clusters))
    members = [np.flatnonzero([cluster == name for cluster in clusters]) for name in names]
    value, low, high = _spearman(points), np.nan, np.nan
    if len(names) >= FEWEST_CLUSTERS and not np.isnan(value):

        def drawn(chosen: np.ndarray) -> float:
            return _spearman(points[np.concatenate([members[index] for index in chosen])])

        draws = bootstrap(
            (np.arange(len(names)),), drawn, n_resamples=_RESAMPLES, vectorized=False, method="percentile", rng=0
        ).bootstrap_distribution
        low, high = np.nanquantile(draws, [ALPHA / 2, 1 - ALPHA / 2])  # a draw of one and the same cluster has no value
    return Correlation(arms=len(points), clusters=len(names), value=value, low=float(low), high=float(high))


def _spearman(points: np.ndarray) -> float:
    if len(points) < 2:
        return float("nan")
    ranks = rankdata(points, axis=0)
    return float("nan") if np.any(np.ptp(ranks, axis=0) == 0) else float(np.corrcoef(ranks.T)[0, 1])
