"""The order in which windows are seen: a pure function of (seed, step), so a resumed run continues exactly."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

_FIRST = 2
"""Windows of an episode that count as its beginning."""


@dataclass(frozen=True)
class Mixture:
    """Windows of one or more sources that lie one after the other, and how often each source is drawn."""

    windows: tuple[int, ...]
    """How many each source has."""
    weights: tuple[float, ...] = (1.0,)
    """Their shares of all draws, up to a common factor."""
    beginnings: float = 0.0
    """Share of each source's draws that is taken from its episodes' first two windows alone."""
    lengths: tuple[int, ...] = ()
    """Windows of each episode of all sources in order; `beginnings` needs them."""

    @property
    def draws(self) -> tuple[int, ...]:
        """Windows that an epoch takes from each source: as many in all as there are, in the ratio of the weights."""
        total = sum(self.windows) / sum(self.weights)
        return tuple(max(1, round(total * weight)) for weight in self.weights)

    def first_windows(self) -> np.ndarray:
        """int64: the first two windows of every episode (one where there are no more)."""
        starts = np.cumsum((0, *self.lengths[:-1]))
        both = starts[:, None] + np.arange(_FIRST)
        return both[np.arange(_FIRST) < np.array(self.lengths)[:, None]]


def batch_indices(mixture: Mixture, batch_size: int, step: int, seed: int) -> np.ndarray:
    """Indices (batch_size,) int64 of the windows in the global batch of optimiser step `step`.

    Batches are consecutive pieces of an endless sequence of epochs, each shuffled anew; no tail is dropped, and a batch
    may span two epochs. Each epoch goes on in each source where the one before stopped: every window of one source is
    seen equally often (the counts differ by one at most), and of a single source once per epoch.
    """
    length = sum(mixture.draws)
    positions = np.arange(step * batch_size, (step + 1) * batch_size)
    return np.array([_epoch(mixture, position // length, seed)[position % length] for position in positions.tolist()])


def worker_share(indices: np.ndarray, rank: int, workers: int) -> np.ndarray:
    """The part of a global batch that data-parallel worker `rank` of `workers` computes."""
    return indices[rank::workers]


@lru_cache(maxsize=2)  # a batch may span two epochs
def _epoch(mixture: Mixture, epoch: int, seed: int) -> np.ndarray:
    beginnings = mixture.first_windows() if mixture.beginnings else np.array([], np.int64)
    ends = np.cumsum(mixture.windows)
    drawn = []
    for end, windows, draws in zip(ends, mixture.windows, mixture.draws, strict=True):
        early = round(draws * mixture.beginnings)
        first = beginnings[(beginnings >= end - windows) & (beginnings < end)]
        drawn += [_turn(np.arange(end - windows, end), draws - early, epoch), _turn(first, early, epoch)]
    return np.random.default_rng([seed, epoch]).permutation(np.concatenate(drawn))


def _turn(members: np.ndarray, draws: int, epoch: int) -> np.ndarray:
    """The `draws` of `members` whose turn it is in an epoch, going round and round."""
    return members[np.arange(epoch * draws, (epoch + 1) * draws) % max(1, len(members))]
