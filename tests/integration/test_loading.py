"""Windows are read ahead in the order of the steps, by a thread or by processes; errors arrive as they are."""

import multiprocessing
import os
import signal
import traceback
from collections.abc import Sequence

import numpy as np
import pytest
import torch

from tests.synthetic import make_trajectory
from worldagen.data.order import Mixture, batch_indices
from worldagen.data.trajectories import DataError
from worldagen.data.windows import WindowBatch, WindowDataset
from worldagen.training.loading import StepBatches, read_ahead


class Readers(WindowDataset):
    """Its batches tell which process read them; window `damaged` cannot be read."""

    damaged = -1

    def batch(self, indices: Sequence[int] | np.ndarray) -> WindowBatch:
        if self.damaged in np.asarray(indices):
            raise DataError(f"window {self.damaged} is damaged")
        read = super().batch(indices)
        read.instruction.append(str(os.getpid()))
        return read


def steps_of(windows: WindowDataset, accumulate: int = 1) -> StepBatches:
    return StepBatches(windows, Mixture((len(windows),)), 4, accumulate, seed=3)


@pytest.fixture
def windows() -> Readers:
    return Readers([make_trajectory(index, chunks=5) for index in range(3)], chunks=2)


@pytest.mark.parametrize("loaders", [0, 1, 2])
def test_every_step_gets_its_micro_batches_whoever_reads_them(windows: Readers, loaders: int) -> None:
    batches, steps = steps_of(windows, accumulate=2), range(3, 10)
    found = list(read_ahead(batches, steps, loaders, "cpu"))
    readers = {batch.instruction.pop() for each in found for batch in each}
    assert len(readers) == max(1, loaders) and (str(os.getpid()) in readers) == (loaders == 0)
    assert len(found) == len(steps)
    for step, each in zip(steps, found, strict=True):
        expected = batches[step]
        assert not isinstance(expected, DataError) and len(each) == len(expected) == 2
        for one, other in zip(each, expected, strict=True):
            assert torch.equal(one.action, other.action) and torch.equal(one.primary, other.primary)


@pytest.mark.parametrize("loaders", [0, 2])
def test_an_error_comes_with_its_step_and_unchanged(windows: Readers, loaders: int) -> None:
    second, third = (batch_indices(Mixture((len(windows),)), 4, step, seed=3) for step in (1, 2))
    windows.damaged = next(index for index in third if index not in second)
    coming = read_ahead(steps_of(windows), range(1, 6), loaders, "cpu")
    next(coming)
    with pytest.raises(DataError, match=f"^window {windows.damaged} is damaged$"):
        next(coming)


def test_whoever_stops_early_leaves_no_process(windows: Readers) -> None:
    before = set(multiprocessing.active_children())
    coming = read_ahead(steps_of(windows), range(100), 2, "cpu")
    next(coming)
    readers = set(multiprocessing.active_children()) - before
    assert len(readers) == 2
    del coming
    assert not any(reader.is_alive() for reader in readers)


def test_nothing_is_left_to_read(windows: Readers) -> None:
    assert not list(read_ahead(steps_of(windows), range(7, 7), 0, "cpu"))


def test_a_reader_that_is_killed_ends_the_reading(windows: Readers) -> None:
    before = set(multiprocessing.active_children())
    coming = read_ahead(steps_of(windows), range(100), 2, "cpu")
    next(coming)
    reader = next(iter(set(multiprocessing.active_children()) - before))
    with pytest.raises(RuntimeError, match=r"DataLoader worker \(pid.*") as ended:
        os.kill(reader.pid, signal.SIGKILL)
        list(coming)
    # The traceback keeps the loader alive, and while it lives torch raises again at the end of any child process.
    traceback.clear_frames(ended.tb)
