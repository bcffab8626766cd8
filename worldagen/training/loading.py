"""A worker's micro-batches, read ahead while a step is computed: by a thread, or by processes of their own.

Not by several threads: two read CALVIN's files at 1.2 times the speed of one and LIBERO's at 0.7, where two processes
make 1.7 and 1.2 (2 cores). Between the calls that decompress, both hold the interpreter.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from worldagen.data.order import Mixture, batch_indices, worker_share
from worldagen.data.windows import WindowBatch, Windows
from worldagen.errors import WorldagenError

Batches = list[WindowBatch]
"""The micro-batches of one step."""


@dataclass(frozen=True)
class StepBatches(Dataset[Batches | WorldagenError]):
    """The micro-batches of one worker, by step."""

    windows: Windows
    mixture: Mixture
    batch_size: int
    """Of all workers together."""
    accumulate: int
    seed: int
    rank: int = 0
    workers: int = 1

    def __getitem__(self, step: int) -> Batches | WorldagenError:
        """The micro-batches of a step, or the error in reading them: another process could not raise it as it is."""
        indices = worker_share(batch_indices(self.mixture, self.batch_size, step, self.seed), self.rank, self.workers)
        try:
            return [self.windows.batch(part) for part in np.array_split(indices, self.accumulate)]
        except WorldagenError as error:
            return error


def read_ahead(batches: StepBatches, steps: range, loaders: int, device: torch.device | str) -> Iterator[Batches]:
    """The micro-batches of `steps`, in order and on `device`, read by `loaders` processes; 0 are this one.

    Raises what reading them raised.
    """
    # The processes are forked: they share what was opened and indexed, and neither use a GPU nor outlive this process.
    loader = DataLoader(
        batches,
        batch_size=None,
        sampler=steps,
        num_workers=loaders,
        multiprocessing_context="fork" if loaders else None,
    )
    source = iter(loader)

    def following() -> Batches | None:
        read = next(source, None)
        if isinstance(read, WorldagenError):
            raise read
        return read and [batch.to(device) for batch in read]

    with ThreadPoolExecutor(1) as thread:
        coming = thread.submit(following)
        while (ready := coming.result()) is not None:
            coming = thread.submit(following)
            yield ready
