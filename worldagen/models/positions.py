"""Fixed two-dimensional sine-cosine positions."""

import torch


def grid_positions(width: int, side: int) -> torch.Tensor:
    """float32 (side * side, width): half of the channels encode the column, half the row (MAE's order, column first).

    Each half holds sin, then cos, of the coordinate over wavelengths 2 pi * 10000^(i / (width / 4)).
    """
    if width % 4:
        raise ValueError(f"two-dimensional positions need a width divisible by 4, got {width}")
    frequency = 10000.0 ** -(torch.arange(width // 4, dtype=torch.float64) / (width // 4))
    angle = torch.arange(side, dtype=torch.float64)[:, None] * frequency
    line = torch.cat([angle.sin(), angle.cos()], dim=1).float()
    row, column = line[:, None].expand(-1, side, -1), line[None].expand(side, -1, -1)
    return torch.cat([column, row], dim=-1).flatten(0, 1)
