"""Exponential moving average of the weights: less noisy than the last ones, it may be what is measured and kept."""

from collections.abc import Callable

import torch
from torch.optim.swa_utils import AveragedModel

from worldagen.models.worldagen import WorldAgen


class Average(AveragedModel):
    """A second model, `module`, that follows the given one with each `update_parameters`."""

    module: WorldAgen

    def __init__(self, model: WorldAgen, decay: float) -> None:
        super().__init__(model, multi_avg_fn=_follow(decay))


def _follow(decay: float) -> Callable[..., None]:
    @torch.no_grad()
    def follow(averaged: list[torch.Tensor], current: list[torch.Tensor], updates: torch.Tensor) -> None:
        torch._foreach_lerp_(averaged, current, 1.0 - _decay(decay, int(updates)))

    return follow


def _decay(decay: float, updates: int) -> float:
    """Less in the beginning, so that the first weights are soon forgotten, however short the run."""
    return min(decay, (1 + updates) / (10 + updates))
