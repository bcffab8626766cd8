"""The anchor: on explored states, under known instructions, the adapted policy stays close to the base. No labels.

What is held are the outputs, not the weights: LoRA may move the backbone wherever the policy does not feel it.
"""

import numpy as np
import torch

from worldagen.models.losses import masked_mean
from worldagen.models.worldagen import Output

GRIPPER_SHARE = 0.1
"""Weight of the gripper probability's term beside the arm's, as of the two losses in pretraining."""


def anchor_loss(adapted: Output, base: Output, real: torch.Tensor) -> torch.Tensor:
    """mean |arm - base arm|^2 + 0.1 mean |p - base p|^2 (p: gripper is open), over the chunks where `real` (B, K)."""
    arm = (adapted.arm.float() - base.arm.float()).square().mean((-2, -1))
    gripper = (adapted.gripper.float() - base.gripper.float()).square().mean((-2, -1))
    return masked_mean(arm, real) + GRIPPER_SHARE * masked_mean(gripper, real)


def drawn_instructions(instructions: torch.Tensor, batch_size: int, step: int, seed: int) -> torch.Tensor:
    """One of the sentence embeddings `instructions` (n, 512) for each window of a step's batch: (batch_size, 512)."""
    chosen = np.random.default_rng([seed, step, 1]).integers(len(instructions), size=batch_size)
    return instructions[torch.from_numpy(chosen)]
