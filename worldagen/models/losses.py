"""The joint loss, and the world model's error beside the cheapest guess there is: copy the last frame.

Padding is never counted: an action counts when it was executed, an observation when its chunk was executed in full (the
target of a chunk that was cut short shows what fewer actions did).
"""

from typing import NamedTuple

import torch
from torch.nn import functional as F

from worldagen.config import ModelConfig
from worldagen.models.pixels import normalise, patchify
from worldagen.models.worldagen import Output


class Losses(NamedTuple):
    """Scalars. `image` is 0 when the output holds no image."""

    arm: torch.Tensor
    gripper: torch.Tensor
    image: torch.Tensor


def losses(output: Output, intended: torch.Tensor, counts: torch.Tensor, target: torch.Tensor) -> Losses:
    """Arm: SmoothL1; gripper: cross-entropy; image: half the sum of both cameras' mean squared pixel errors. Training
    weighs them by `pretrain.gripper_weight` and `pretrain.image_weight`.

    intended (B, K, a, 7): the actions to imitate, gripper open iff >= 1; counts (B, K): real actions in each chunk;
    target (B, K, 2, patches, values): the next frames (`frame_patches` of frames 1..K).
    """
    real = _real_actions(counts, intended.shape[2])
    arm = F.smooth_l1_loss(output.arm, intended[..., :6], reduction="none").mean(-1)
    gripper = F.binary_cross_entropy(output.gripper[..., 0], (intended[..., 6] >= 1).float(), reduction="none")
    arm, gripper = masked_mean(arm, real), masked_mean(gripper, real)
    full = counts == intended.shape[2]
    image = arm.new_zeros(()) if output.image is None else image_loss(output.image, target, full)
    return Losses(arm, gripper, image)


def image_loss(predicted: torch.Tensor, target: torch.Tensor, full: torch.Tensor) -> torch.Tensor:
    """0.5 * (MSE primary + MSE wrist) over the chunks where `full` (B, K) is True: all that test-time training uses.

    predicted (B * K, 2, patches, values), target (B, K, 2, patches, values), both in normalised pixels.
    """
    return masked_mean((predicted.view_as(target) - target).square().mean((-3, -2, -1)), full)


def frame_patches(primary: torch.Tensor, wrist: torch.Tensor, config: ModelConfig) -> torch.Tensor:
    """uint8 frames (..., H, H, 3) of both cameras -> normalised patches (..., 2, patches, patch * patch * 3)."""
    pixels = [normalise(frames, config.image_size) for frames in (primary, wrist)]
    return patchify(torch.stack(pixels, dim=-4), config.patch_size)


class ObservationErrors(NamedTuple):
    """Mean squared errors in normalised pixels, of the model and of copying the last frame (scalars)."""

    all: torch.Tensor
    """Over all patches."""
    changed: torch.Tensor
    """Over the patches that differ from the last frame; 0 where none does."""
    copy_all: torch.Tensor
    copy_changed: torch.Tensor
    changed_fraction: torch.Tensor


def observation_errors(
    predicted: torch.Tensor, target: torch.Tensor, last: torch.Tensor, full: torch.Tensor, threshold: float
) -> ObservationErrors:
    """World-model errors over the chunks where `full` (B, K) is True.

    predicted (B * K, 2, patches, values); target and last frame (B, K, 2, patches, values). A patch has changed when
    its mean squared difference to the last frame exceeds `threshold`.
    """
    valid = full[:, :, None, None].expand(target.shape[:-1])
    error = (predicted.view_as(target) - target).square().mean(-1)
    copy = (last - target).square().mean(-1)
    changed = valid & (copy > threshold)
    return ObservationErrors(
        all=masked_mean(error, valid),
        changed=masked_mean(error, changed),
        copy_all=masked_mean(copy, valid),
        copy_changed=masked_mean(copy, changed),
        changed_fraction=masked_mean(changed.float(), valid),
    )


def masked_mean(values: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Mean of `values` where `mask` is True; 0 if nowhere."""
    return (values * mask).sum() / mask.sum().clamp(min=1)


def _real_actions(counts: torch.Tensor, actions: int) -> torch.Tensor:
    return torch.arange(actions, device=counts.device) < counts[..., None]
