"""Joint pretraining of policy and world model in plain torch, on one worker or data-parallel on several.

Windows (data/order.py), learning rate and random numbers of a step are functions of the seed and the step alone. So
a run that was killed and resumed ends with the same bits as one that was not. Several workers split the same global
batch and weight their losses by how much each counted, so that they compute the gradient that one would.
"""

import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from worldagen.config import PretrainConfig
from worldagen.data.order import Mixture, batch_indices, worker_share
from worldagen.data.windows import WindowBatch, WindowDataset
from worldagen.models.losses import LossWeights, frame_patches, losses
from worldagen.models.precision import compute_type, computing
from worldagen.models.worldagen import Output, WorldAgen
from worldagen.tracking.progress import progress
from worldagen.training.predict import predict
from worldagen.training.state import TrainingError, TrainingState, load_state, save_state

LOSSES = ("arm", "gripper", "image")
Record = dict[str, float]


@dataclass(frozen=True)
class Worker:
    """This process among the data-parallel ones; torch.distributed is initialised when there are several."""

    rank: int = 0
    count: int = 1
    device: str = "cpu"


ALONE = Worker()


class Objective(nn.Module):
    """The model with its losses: the module that is made data-parallel, since all parameters act inside its forward."""

    def __init__(self, model: WorldAgen, dtype: torch.dtype, device: str) -> None:
        super().__init__()
        self.model, self.dtype, self.device = model, dtype, device

    def forward(self, batch: WindowBatch) -> torch.Tensor:
        """Mean losses (3,) in the order of LOSSES."""
        with computing(self.dtype, self.device):
            output = predict(self.model, batch)
        assert output.image is not None
        output = Output(output.arm.float(), output.gripper.float(), output.image.float())
        target = frame_patches(batch.primary[:, 1:], batch.wrist[:, 1:], self.model.config)
        parts = losses(output, batch.intended, batch.counts, target, LossWeights())
        return torch.stack([getattr(parts, name) for name in LOSSES])


def train(
    model: WorldAgen,
    train_set: WindowDataset,
    settings: PretrainConfig,
    *,
    seed: int,
    state_path: Path,
    identity: Mapping[str, Any],
    validate: Callable[[WorldAgen], Record],
    on_record: Callable[[Record], None] = lambda record: None,
    mixture: Mixture | None = None,
    worker: Worker = ALONE,
) -> list[Record]:
    """Train `model` in place up to `settings.steps` steps, continuing from `state_path`; returns the curve.

    Every `settings.validate_every` steps and after the last one, rank 0 calls `validate`, stores the state under
    `identity` (what must not change on resume), and calls `on_record` with the new record of the curve. `mixture` says
    how the sources share `train_set`; None is one source.
    Raises TrainingError when the stored state does not fit or the gradient is no longer finite.
    """
    dtype = compute_type(settings.precision, worker.device)
    objective = Objective(model.to(worker.device), dtype, worker.device).train()
    optimizer = torch.optim.AdamW(_trained(model), lr=0.0, weight_decay=settings.weight_decay, fused=True)
    done, curve = _restore(state_path, identity, model, optimizer)
    parallel = DistributedDataParallel(objective) if worker.count > 1 else objective
    weights = torch.tensor([getattr(settings, f"{name}_weight") for name in LOSSES], device=worker.device)
    meter = _Meter(settings.batch_size, worker)
    for step, batch in _batches(train_set, mixture or Mixture((len(train_set),)), settings, seed, done, worker):
        torch.manual_seed(_step_seed(seed, step, worker.rank))
        rate = learning_rate(step, settings)
        parts = _losses(parallel, batch, step) * _share(batch, worker)
        _update(optimizer, (weights * parts).sum(), rate, settings.grad_clip, step)
        meter.add(parts)
        if (step + 1) % settings.validate_every and step + 1 < settings.steps:
            continue
        record = {"step": step + 1, "learning_rate": rate, **meter.read()}
        if worker.rank == 0:
            record |= validate(model)
            state = TrainingState(step + 1, model.state_dict(), optimizer.state_dict(), [*curve, record])
            save_state(state_path, state, identity)
            on_record(record)
        curve.append(record)
        objective.train()
        meter = _Meter(settings.batch_size, worker)
    return curve


def learning_rate(step: int, settings: PretrainConfig) -> float:
    """Linear warm-up to the peak, then half a cosine that is exactly 0 at the last step; `step` counts from 0."""
    if step < settings.warmup_steps:
        return settings.learning_rate * (step + 1) / settings.warmup_steps
    progressed = (step + 1 - settings.warmup_steps) / (settings.steps - settings.warmup_steps)
    return settings.learning_rate * 0.5 * (1.0 + math.cos(math.pi * progressed))


class _Meter:
    """Mean losses and speed since it was made."""

    def __init__(self, batch_size: int, worker: Worker) -> None:
        self.batch_size, self.worker = batch_size, worker
        self.sums, self.steps, self.began = torch.zeros(len(LOSSES), device=worker.device), 0, time.perf_counter()

    def add(self, parts: torch.Tensor) -> None:
        self.sums += parts.detach()
        self.steps += 1

    def read(self) -> Record:
        means = self.sums / self.steps
        if self.worker.count > 1:
            torch.distributed.all_reduce(means)
            means /= self.worker.count
        seconds = time.perf_counter() - self.began
        speed = {"windows_per_second": self.steps * self.batch_size / seconds}
        return speed | {f"train/{name}": value for name, value in zip(LOSSES, means.tolist(), strict=True)}


def _trained(model: WorldAgen) -> list[nn.Parameter]:
    return [parameter for parameter in model.parameters() if parameter.requires_grad]


def _restore(
    path: Path, identity: Mapping[str, Any], model: WorldAgen, optimizer: torch.optim.Optimizer
) -> tuple[int, list[Record]]:
    state = load_state(path, identity)
    if state is None:
        return 0, []
    model.load_state_dict(state.model)
    optimizer.load_state_dict(dict(state.optimizer))
    return state.step, list(state.curve)


def _batches(
    dataset: WindowDataset, mixture: Mixture, settings: PretrainConfig, seed: int, done: int, worker: Worker
) -> Iterator[tuple[int, WindowBatch]]:
    """This worker's share of each remaining step's batch, the next one loaded while a step is computed."""

    def load(step: int) -> WindowBatch:
        indices = batch_indices(mixture, settings.batch_size, step, seed)
        return dataset.batch(worker_share(indices, worker.rank, worker.count)).to(worker.device)

    steps: Iterable[int] = range(done, settings.steps)
    if worker.rank == 0:
        steps = progress(steps, total=settings.steps, description="pretrain", unit="step", initial=done)
    with ThreadPoolExecutor(1) as loader:
        coming = loader.submit(load, done)
        for step in steps:
            batch = coming.result()
            if step + 1 < settings.steps:
                coming = loader.submit(load, step + 1)
            yield step, batch


def _share(batch: WindowBatch, worker: Worker) -> torch.Tensor | float:
    """Factors (3,) on this worker's mean losses that make their average over workers the mean of the global batch."""
    if worker.count == 1:
        return 1.0
    actions, full = batch.counts.sum(), (batch.counts == batch.action.shape[2]).sum()
    here = torch.stack([actions, actions, full]).double()
    everywhere = here.clone()
    torch.distributed.all_reduce(everywhere)
    return (here * worker.count / everywhere.clamp(min=1)).float()


def _losses(objective: nn.Module, batch: WindowBatch, step: int) -> torch.Tensor:
    try:
        return objective(batch)
    except ValueError as error:  # the model refuses what is not finite, its own features included
        raise TrainingError(f"step {step + 1} failed: {error}; lower pretrain.learning_rate") from error


def _update(optimizer: torch.optim.Optimizer, loss: torch.Tensor, rate: float, clip: float, step: int) -> None:
    for group in optimizer.param_groups:
        group["lr"] = rate
    optimizer.zero_grad()
    loss.backward()
    norm = nn.utils.clip_grad_norm_([p for group in optimizer.param_groups for p in group["params"]], clip)
    if not norm.isfinite():
        raise TrainingError(
            f"the gradient is {norm.item()} at step {step + 1} (loss {loss.item():.4g}); lower pretrain.learning_rate"
        )
    optimizer.step()


def _step_seed(seed: int, step: int, rank: int) -> int:
    return int(np.random.SeedSequence([seed, step, rank]).generate_state(1)[0])
