"""Small heads around the backbone: poses (arm and gripper) in, poses out, and the image decoder."""

import torch
from torch import nn
from torch.nn import functional as F

from worldagen.models.positions import grid_positions
from worldagen.models.vision import Block


class PoseEmbedding(nn.Module):
    """A state or an action (..., 7) -> (..., hidden). The gripper enters as one of two classes: open iff value >= 1."""

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.arm = nn.Linear(6, hidden)
        self.gripper = nn.Linear(2, hidden)
        self.out = nn.Linear(2 * hidden, hidden)

    def forward(self, pose: torch.Tensor) -> torch.Tensor:
        gripper = F.one_hot((pose[..., 6] >= 1).long(), 2).to(pose.dtype)
        return self.out(torch.cat([self.arm(pose[..., :6].contiguous()), self.gripper(gripper)], dim=-1))


class PoseHead(nn.Module):
    """Backbone outputs (..., hidden) -> arm (..., 6) in (-1, 1) and the probability (..., 1) of an open gripper."""

    def __init__(self, hidden: int) -> None:
        super().__init__()
        half = hidden // 2
        self.trunk = nn.Sequential(nn.Linear(hidden, half), nn.ReLU(), nn.Linear(half, half), nn.ReLU())
        self.arm = nn.Linear(half, 6)
        self.gripper = nn.Linear(half, 1)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        x = self.trunk(x)
        return self.arm(x).tanh(), self.gripper(x).sigmoid()


class ImageDecoder(nn.Module):
    """Backbone outputs of one camera's world-model queries (N, queries, hidden) -> patches (N, patches, values).

    Copies of one learned mask token, told apart by their fixed positions, read the image from the queries.
    """

    def __init__(self, hidden: int, queries: int, patches_per_side: int, values: int, depth: int, heads: int) -> None:
        super().__init__()
        self.queries = queries
        self.project = nn.Linear(hidden, hidden)
        self.mask_token = nn.Parameter(torch.randn(1, 1, hidden) * 0.02)
        positions = [grid_positions(hidden, round(queries**0.5)), grid_positions(hidden, patches_per_side)]
        self.positions = nn.Buffer(torch.cat(positions), persistent=False)
        self.blocks = nn.ModuleList(Block(hidden, heads, eps=1e-5) for _ in range(depth))
        self.norm = nn.LayerNorm(hidden)
        self.pixels = nn.Linear(hidden, values)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        masks = self.mask_token.expand(len(x), len(self.positions) - self.queries, -1)
        x = torch.cat([self.project(x), masks], dim=1) + self.positions
        for block in self.blocks:
            x = block(x)
        return self.pixels(self.norm(x[:, self.queries :]))
