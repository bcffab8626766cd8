"""Exact tests of paired changes: how often would chance alone move success as far? No draws, so no least p but 2^-n.

With one adaptation seed both are the exact McNemar test. With several, a change counts the seeds together, and chance
may mean two things: the seeds agree in what they change (`sign_flip`), or each run scatters by itself (`relabelled`).
Near a rate of 0 or 1 the first alone would find too much, where seeds agree the second would: take the larger p.
"""

from functools import reduce

import numpy as np
from scipy.signal import convolve
from scipy.stats import binom


def sign_flip(change: np.ndarray) -> float:
    """Two-sided p of the sum of `change` (episodes,), whole numbers, if each could as well have the other sign."""
    sizes, counts = np.unique(np.abs(change[change != 0]), return_counts=True)
    sums = [_spread_out(binom.pmf(np.arange(n + 1), n, 0.5), 2 * size) for size, n in zip(sizes, counts, strict=True)]
    distances = np.arange(-sum(sizes * counts), sum(sizes * counts) + 1)
    return _tail(_together(sums), distances, change.sum())


def relabelled(change: np.ndarray, control: np.ndarray, seeds: np.ndarray, weight: np.ndarray) -> float:
    """Two-sided p of the sum of `weight * change` if the control could as well be any of an episode's seeds + 1 runs.

    All are whole numbers (episodes,), `control` 0 or 1. `change` is how many of the `seeds` solved an episode, less
    `seeds` where the control did; `weight` is what one of them counts.
    """
    solved, runs = change + (seeds + 1) * control, seeds + 1
    split = (solved > 0) & (solved < runs)  # where all runs end alike it does not matter which is the control
    step = weight * runs  # by how much the sum is lower if the control is one that solved the episode
    sums = [_spread_out(_controls(solved, runs, split & (step == each)), each) for each in np.unique(step[split])]
    distances = (weight * solved)[split].sum() - np.arange(step[split].sum() + 1)
    return _tail(_together(sums), distances, (weight * change).sum())


def _controls(solved: np.ndarray, runs: np.ndarray, among: np.ndarray) -> np.ndarray:
    """Probabilities of how many of the episodes `among` the control solves if it is any of their runs."""
    shares, counts = np.unique(solved[among] / runs[among], return_counts=True)
    return _together([binom.pmf(np.arange(n + 1), n, share) for share, n in zip(shares, counts, strict=True)])


def _spread_out(pmf: np.ndarray, step: int) -> np.ndarray:
    """The same probabilities, of values `step` apart."""
    spread = np.zeros(step * (len(pmf) - 1) + 1)
    spread[::step] = pmf
    return spread


def _together(pmfs: list[np.ndarray]) -> np.ndarray:
    """Probabilities of the sum of independent variables."""
    return reduce(convolve, pmfs, np.ones(1))


def _tail(pmf: np.ndarray, distances: np.ndarray, seen: float) -> float:
    """Probability of a distance from zero no smaller than that `seen`."""
    return float(min(1.0, pmf[np.abs(distances) >= abs(seen)].sum()))
