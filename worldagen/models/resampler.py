"""Perceiver resampler (Flamingo; Alayrac et al., 2022): a few learned latents read what matters from many tokens."""

import torch
from torch import nn
from torch.nn import functional as F


class LatentAttention(nn.Module):
    """Latents (N, Q, width) attend to tokens (N, T, width) and to each other."""

    def __init__(self, width: int, heads: int, head_dim: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm_tokens = nn.LayerNorm(width)
        self.norm_latents = nn.LayerNorm(width)
        self.to_q = nn.Linear(width, heads * head_dim, bias=False)
        self.to_kv = nn.Linear(width, 2 * heads * head_dim, bias=False)
        self.to_out = nn.Linear(heads * head_dim, width, bias=False)

    def forward(self, latents: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
        latents = self.norm_latents(latents)
        seen = torch.cat([self.norm_tokens(tokens), latents], dim=1)
        q = self.to_q(latents).unflatten(-1, (self.heads, -1)).transpose(1, 2)
        k, v = self.to_kv(seen).unflatten(-1, (2, self.heads, -1)).permute(2, 0, 3, 1, 4)
        return self.to_out(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(-2))


class ResamplerLayer(nn.Module):
    def __init__(self, width: int, heads: int, head_dim: int) -> None:
        super().__init__()
        self.attention = LatentAttention(width, heads, head_dim)
        self.mlp = nn.Sequential(
            nn.LayerNorm(width),
            nn.Linear(width, 4 * width, bias=False),
            nn.GELU(),
            nn.Linear(4 * width, width, bias=False),
        )

    def forward(self, latents: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
        latents = latents + self.attention(latents, tokens)
        return latents + self.mlp(latents)


class Resampler(nn.Module):
    """Tokens (N, T, width) -> (N, queries, width), whatever the order of the tokens."""

    def __init__(self, width: int, queries: int, depth: int, heads: int, head_dim: int) -> None:
        super().__init__()
        self.latents = nn.Parameter(torch.randn(queries, width))
        self.layers = nn.ModuleList(ResamplerLayer(width, heads, head_dim) for _ in range(depth))
        self.norm = nn.LayerNorm(width)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        latents = self.latents.expand(len(tokens), -1, -1)
        for layer in self.layers:
            latents = layer(latents, tokens)
        return self.norm(latents)
