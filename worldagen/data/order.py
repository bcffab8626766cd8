"""The order in which windows are seen: a pure function of (seed, step), so a resumed run continues exactly."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np


@dataclass(frozen=True)
class Mixture:
    """Windows of one or more sources that lie one after the other, and how often each source is drawn."""

    windows: tuple[int, ...]
    """How many each source has."""
    weights: tuple[float, ...] = (1.0,)
    """Their shares of all draws, up to a common factor."""

    @property
    def draws(self) -> tuple[int, ...]:
        """Windows that an epoch takes from each source: as many in all as there are, in the ratio of the weights."""
        total = sum(self.windows) / sum(self.weights)
        return tuple(max(1, round(total * weight)) for weight in self.weights)


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
    firsts = np.cumsum((0, *mixture.windows[:-1]))
    drawn = [
        first + np.arange(epoch * draw, (epoch + 1) * draw) % windows
        for first, windows, draw in zip(firsts, mixture.windows, mixture.draws, strict=True)
    ]
    return np.random.default_rng([seed, epoch]).permutation(np.concatenate(drawn))
