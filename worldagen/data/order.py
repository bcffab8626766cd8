"""The order in which windows are seen: a pure function of (seed, step), so a resumed run continues exactly."""

import numpy as np


def batch_indices(windows: int, batch_size: int, step: int, seed: int) -> np.ndarray:
    """Indices (batch_size,) int64 of the windows in the global batch of optimiser step `step`.

    Batches are consecutive pieces of an endless sequence of epochs, each a fresh permutation of all windows: every
    window is seen once per epoch and no tail is dropped; a batch may span two epochs.
    """
    first = step * batch_size
    positions = np.arange(first, first + batch_size)
    epochs = positions // windows
    orders = {epoch: np.random.default_rng([seed, epoch]).permutation(windows) for epoch in np.unique(epochs)}
    return np.array([orders[epoch][position % windows] for epoch, position in zip(epochs, positions, strict=True)])


def worker_share(indices: np.ndarray, rank: int, workers: int) -> np.ndarray:
    """The part of a global batch that data-parallel worker `rank` of `workers` computes."""
    return indices[rank::workers]
