"""Joint pretraining of policy and world model in plain torch, on one worker or data-parallel on several.

Windows (data/order.py), learning rate and random numbers of a step are functions of the seed and the step alone. So
a run that was killed and resumed ends with the same bits as one that was not. Several workers, and the micro-batches
of each, split the same global batch and compute the gradient that one would (objective.py).
"""

import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from worldagen.config import PretrainConfig
from worldagen.data.order import Mixture
from worldagen.data.windows import WindowBatch, Windows
from worldagen.models.precision import compute_type
from worldagen.models.worldagen import WorldAgen
from worldagen.tracking.progress import progress
from worldagen.training.average import Average
from worldagen.training.compilation import compile_parts, compiles, not_compiled
from worldagen.training.loading import StepBatches, read_ahead
from worldagen.training.objective import LOSSES, Objective, Worker, backward
from worldagen.training.state import TrainingError, TrainingState, load_state, save_state

Record = dict[str, float]
ALONE = Worker()


def train(
    model: WorldAgen,
    train_set: Windows,
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

    With `settings.ema` it is the moving average of the weights that `validate` receives and that rank 0 ends with.

    Every `settings.validate_every` steps and after the last one, rank 0 calls `validate`, stores the state under
    `identity` (what must not change on resume), and calls `on_record` with the new record of the curve. `mixture` says
    how the sources share `train_set`; None is one source.
    Raises TrainingError when the stored state does not fit, the workers would go on from different steps or the
    gradient is no longer finite.
    """
    device = worker.device
    objective = Objective(model.to(device), compute_type(settings.precision, device), device).train()
    optimizer = torch.optim.AdamW(_trained(model), lr=0.0, weight_decay=settings.weight_decay, fused=True)
    average = Average(model, settings.ema) if settings.ema and worker.rank == 0 else None
    result = average.module if average else model
    done, curve = _restore(state_path, identity, model, optimizer, average)
    _check_step(done, worker, state_path)
    if compiles(settings.compile, device):
        compile_parts(model)
    parallel = DistributedDataParallel(objective) if worker.count > 1 else objective
    weights = torch.tensor([getattr(settings, f"{name}_weight") for name in LOSSES], device=device)
    meter = _Meter(settings.batch_size, worker)
    for step, batches in _batches(train_set, mixture or Mixture((len(train_set),)), settings, seed, done, worker):
        torch.manual_seed(_step_seed(seed, step, worker.rank))
        rate = learning_rate(step, settings)
        optimizer.zero_grad()
        parts = _gradient(parallel, batches, weights, worker, step)
        _update(optimizer, rate, settings.grad_clip, step, (weights * parts).sum())
        if average:
            average.update_parameters(model)
        meter.add(parts)
        if (step + 1) % settings.validate_every and step + 1 < settings.steps:
            continue
        record = {"step": step + 1, "learning_rate": rate, **meter.read()}
        if worker.rank == 0:
            with not_compiled():
                record |= validate(result)
            averaged = average.state_dict() if average else None
            state = TrainingState(step + 1, model.state_dict(), optimizer.state_dict(), [*curve, record], averaged)
            save_state(state_path, state, identity)
            on_record(record)
        curve.append(record)
        objective.train()
        meter = _Meter(settings.batch_size, worker)
    if average:
        model.load_state_dict(result.state_dict())
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
    path: Path,
    identity: Mapping[str, Any],
    model: WorldAgen,
    optimizer: torch.optim.Optimizer,
    average: Average | None,
) -> tuple[int, list[Record]]:
    state = load_state(path, identity)
    if state is None:
        return 0, []
    model.load_state_dict(state.model)
    optimizer.load_state_dict(dict(state.optimizer))
    if average:
        assert state.average is not None, "the identity holds `ema`"
        average.load_state_dict(dict(state.average))
    return state.step, list(state.curve)


def _check_step(done: int, worker: Worker, path: Path) -> None:
    """Raise TrainingError, on every worker, unless all of them go on from the same step."""
    if worker.count == 1:
        return
    steps = torch.zeros(worker.count, dtype=torch.long, device=worker.device)
    steps[worker.rank] = done
    torch.distributed.all_reduce(steps)
    if steps.unique().numel() > 1:
        raise TrainingError(
            f"the workers would go on from different steps, {steps.tolist()} by rank: not all of them read the same "
            f"{path}; put run_dir on storage that all nodes share"
        )


def _batches(
    dataset: Windows, mixture: Mixture, settings: PretrainConfig, seed: int, done: int, worker: Worker
) -> Iterator[tuple[int, list[WindowBatch]]]:
    """This worker's micro-batches of each remaining step."""
    batches = StepBatches(dataset, mixture, settings.batch_size, settings.accumulate, seed, worker.rank, worker.count)
    remaining = range(done, settings.steps)
    steps: Iterable[int] = remaining
    if worker.rank == 0:
        steps = progress(steps, total=settings.steps, description="pretrain", unit="step", initial=done)
    return zip(steps, read_ahead(batches, remaining, settings.loaders, worker.device), strict=True)


def _gradient(
    objective: nn.Module, batches: Sequence[WindowBatch], weights: torch.Tensor, worker: Worker, step: int
) -> torch.Tensor:
    try:
        return backward(objective, batches, weights, worker)
    except ValueError as error:  # the model refuses what is not finite, its own features included
        raise TrainingError(f"step {step + 1} failed: {error}; lower pretrain.learning_rate") from error


def _update(optimizer: torch.optim.Optimizer, rate: float, clip: float, step: int, loss: torch.Tensor) -> None:
    for group in optimizer.param_groups:
        group["lr"] = rate
    norm = nn.utils.clip_grad_norm_([p for group in optimizer.param_groups for p in group["params"]], clip)
    if not norm.isfinite():
        raise TrainingError(
            f"the gradient is {norm.item()} at step {step + 1} (loss {loss.item():.4g}); lower pretrain.learning_rate"
        )
    optimizer.step()


def _step_seed(seed: int, step: int, rank: int) -> int:
    return int(np.random.SeedSequence([seed, step, rank]).generate_state(1)[0])
