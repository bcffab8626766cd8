"""Does one figure of an arm tell its change of success? Rank correlation over arms that share initial states."""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import rankdata

from worldagen.evaluation.statistics import ALPHA

_RESAMPLES = 1_999
FEWEST = 4
"""With fewer clusters or initial states than this a bootstrap has too little to draw from for an interval."""


@dataclass(frozen=True, kw_only=True)
class Correlation:
    """Spearman's rank correlation. NaN where one of the two never varies, or there are too few clusters or states. What
    is counted are the arms of settings where both vary."""

    arms: int
    clusters: int
    states: int
    """Initial states that the changes of success were measured on."""
    value: float
    low: float
    high: float

    @property
    def distinguishable(self) -> bool:
        """Whether the interval leaves out zero."""
        return self.low > 0 or self.high < 0


def rank_correlation(
    x: Sequence[float],
    changes: Sequence[Mapping[Any, float]],
    clusters: Sequence[Hashable],
    settings: Sequence[Hashable] = (),
) -> Correlation:
    """Spearman's correlation, over arms, of `x` with the average of `changes` (one for each initial state of the arm),
    and a 95 % percentile interval.

    With `settings` (a name for each arm) ranks are those among the arms of a setting, as shares of their number: a
    setting in which all arms have a low error and little success would tell nothing about a choice among its arms.
    Settings in which one of the two never varies are left out.

    The interval is that of a pigeonhole bootstrap (Owen 2007, Annals of Applied Statistics 1:386-411): initial states
    and `clusters` (a name for each arm) are drawn with replacement, each by itself. Arms that were measured on the same
    initial states err together, and arms of one cluster resemble each other: the snapshots of one adaptation do. It is
    rather too wide than too narrow. Raises ValueError if these differ in length or an arm has no initial states.
    """
    settings = settings or [0] * len(x)
    lengths = [len(x), len(changes), len(clusters), len(settings)]
    if len(set(lengths)) > 1:
        raise ValueError(f"x, changes, clusters and settings differ in length: {', '.join(map(str, lengths))}")
    if not all(changes):
        raise ValueError("an arm without initial states has no change of success to correlate")
    success = np.array([np.mean(list(own.values())) for own in changes])
    kept = np.flatnonzero(_varying(np.asarray(x), success, settings)).tolist()
    return _correlation(
        np.asarray(x)[kept],
        [changes[index] for index in kept],
        [clusters[index] for index in kept],
        [settings[index] for index in kept],
    )


def _correlation(
    x: np.ndarray, changes: list[Mapping[Any, float]], clusters: list[Hashable], settings: list[Hashable]
) -> Correlation:
    """Of arms in whose settings both vary."""
    names, states = list(dict.fromkeys(clusters)), list(dict.fromkeys(state for own in changes for state in own))
    value = low = high = np.nan
    if names:
        measured = np.array([[state in own for state in states] for own in changes], float)
        change = np.array([[own.get(state, 0.0) for state in states] for own in changes])
        a, success = _ranks(x[None], settings)[0], change.sum(1) / measured.sum(1)
        value = _pearson(a, _ranks(success[None], settings), np.ones((1, len(a))))[0]
    if min(len(names), len(states)) >= FEWEST:
        rng = np.random.default_rng(0)
        drawn = _draw(rng, len(states))
        count = drawn @ measured.T
        success = drawn @ change.T / np.maximum(count, 1.0)
        weights = _draw(rng, len(names))[:, [names.index(cluster) for cluster in clusters]] * (count > 0)
        low, high = np.quantile(_pearson(a, _ranks(success, settings), weights), [ALPHA / 2, 1 - ALPHA / 2])
    return Correlation(
        arms=len(x), clusters=len(names), states=len(states), value=float(value), low=float(low), high=float(high)
    )


def _varying(x: np.ndarray, success: np.ndarray, settings: Sequence[Hashable]) -> np.ndarray:
    """bool (arms,): whether both vary over the arms of its setting."""
    own = {name: np.array([each == name for each in settings]) for name in settings}
    varies = {name: all(np.ptp(_fine(each[among])) > 0 for each in (x, success)) for name, among in own.items()}
    return np.array([varies[name] for name in settings], bool)


def _ranks(values: np.ndarray, settings: Sequence[Hashable]) -> np.ndarray:
    """Ranks along each row of `values` (n, arms) among the arms of a setting: shares of their number, around zero."""
    ranks = np.empty(values.shape)
    for name in dict.fromkeys(settings):
        among = np.array([each == name for each in settings])
        ranks[:, among] = rankdata(_fine(values[:, among]), axis=1) / (among.sum() + 1) - 0.5
    return ranks


def _fine(values: np.ndarray) -> np.ndarray:
    """Without the last digits, in which averages of the same shares may differ by the order of their sums."""
    return np.round(values, 9)


def _draw(rng: np.random.Generator, size: int) -> np.ndarray:
    """float64 (resamples, size): how often each of `size` was drawn."""
    return rng.multinomial(size, np.full(size, 1 / size), _RESAMPLES).astype(float)


def _pearson(a: np.ndarray, b: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Pearson's of `a` (arms,) with each row of `b` (n, arms) under `weights` (n, arms); 0 where one does not vary."""
    total = np.maximum(weights.sum(1, keepdims=True), 1.0)
    da = a - weights @ a[:, None] / total
    db = b - (weights * b).sum(1, keepdims=True) / total
    spread = np.sqrt((weights * da**2).sum(1) * (weights * db**2).sum(1))
    return np.where(spread > 1e-9, (weights * da * db).sum(1) / np.where(spread > 1e-9, spread, 1.0), 0.0)
