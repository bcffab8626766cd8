"""The losses of a global batch and their gradient, however many workers and micro-batches compute it."""

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from worldagen.data.windows import WindowBatch
from worldagen.models.losses import frame_patches, losses
from worldagen.models.precision import computing
from worldagen.models.worldagen import Output, WorldAgen
from worldagen.training.predict import predict

LOSSES = ("arm", "gripper", "image")


@dataclass(frozen=True)
class Worker:
    """This process among the data-parallel ones; torch.distributed is initialised when there are several."""

    rank: int = 0
    count: int = 1
    device: str = "cpu"


class Objective(nn.Module):
    """The model with its losses: the module that is made data-parallel, since all parameters act inside its forward.

    Freezes the parameters that no loss reaches: data-parallel workers would wait for their gradients in vain.
    """

    def __init__(self, model: WorldAgen, dtype: torch.dtype, device: str) -> None:
        super().__init__()
        self.model, self.dtype, self.device = model, dtype, device
        for unused in (model.state_query, model.state_head, model.backbone.embed_tokens):
            if unused is not None:
                unused.requires_grad_(False)

    def forward(self, batch: WindowBatch) -> torch.Tensor:
        """Mean losses (3,) in the order of LOSSES."""
        with computing(self.dtype, self.device):
            output = predict(self.model, batch)
        assert output.image is not None
        output = Output(output.arm.float(), output.gripper.float(), output.image.float())
        target = frame_patches(batch.primary[:, 1:], batch.wrist[:, 1:], self.model.config)
        parts = losses(output, batch.intended, batch.counts, target)
        return torch.stack([getattr(parts, name) for name in LOSSES])


def backward(
    objective: nn.Module, batches: Sequence[WindowBatch], weights: torch.Tensor, worker: Worker
) -> torch.Tensor:
    """Add up the gradient of the losses (3,), weighted by `weights`, over `batches`: this worker's micro-batches.

    Averaged over the workers, as DistributedDataParallel does, the gradient is that of the whole global batch, and the
    losses (3,) that are returned are its losses. Workers exchange gradients once, with the last micro-batch.
    Raises ValueError for inputs or features that are not finite.
    """
    sums = torch.zeros_like(weights)
    for number, (batch, share) in enumerate(zip(batches, _shares(batches, worker), strict=True), start=1):
        with _exchange(objective, now=number == len(batches)):
            parts = objective(batch) * share
            (weights * parts).sum().backward()
        sums += parts.detach()
    return sums


def _shares(batches: Sequence[WindowBatch], worker: Worker) -> torch.Tensor:
    """Factors (micro-batches, 3) on mean losses that make their sum, averaged over workers, that of the global batch.

    The losses are means over what counts, real actions and chunks that were executed in full, and at the ends of
    episodes there are fewer of these: each part weighs as much as it has of them.
    """
    here = torch.stack([_counted(batch) for batch in batches])
    everywhere = here.sum(0)
    if worker.count > 1:
        torch.distributed.all_reduce(everywhere)
    return (here * worker.count / everywhere.clamp(min=1)).float()


def _counted(batch: WindowBatch) -> torch.Tensor:
    actions, full = batch.counts.sum(), (batch.counts == batch.action.shape[2]).sum()
    return torch.stack([actions, actions, full]).double()


def _exchange(objective: nn.Module, now: bool) -> AbstractContextManager[None]:
    return nullcontext() if now or not isinstance(objective, DistributedDataParallel) else objective.no_sync()
