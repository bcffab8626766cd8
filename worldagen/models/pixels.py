"""Between stored images and what the model reads and predicts: normalised pixels, cut into patches."""

import torch
from torch.nn import functional as F

MEAN = (0.48145466, 0.4578275, 0.40821073)
STD = (0.26862954, 0.26130258, 0.27577711)
"""Channel statistics of CLIP's image transform (Radford et al., 2021), which the published weights expect."""


def normalise(images: torch.Tensor, size: int) -> torch.Tensor:
    """uint8 (..., H, H, 3) -> float32 (..., 3, size, size), scaled to [0, 1] and standardised per channel.

    Raises ValueError for images of another type or shape.
    """
    scaled = resize(images, size).movedim(-1, -3).float() / 255.0
    return (scaled - _per_channel(MEAN, scaled)) / _per_channel(STD, scaled)


def resize(images: torch.Tensor, size: int) -> torch.Tensor:
    """uint8 (..., H, H, 3) -> uint8 (..., size, size, 3): bicubic and antialiased, as CLIP's transform resizes."""
    if images.dtype != torch.uint8 or images.shape[-1] != 3 or images.shape[-2] != images.shape[-3]:
        raise ValueError(f"expected square uint8 images (..., H, H, 3), got {images.dtype} {tuple(images.shape)}")
    if images.shape[-2] == size:
        return images
    planes = images.movedim(-1, -3).reshape(-1, 3, *images.shape[-3:-1]).float()
    scaled = F.interpolate(planes, (size, size), mode="bicubic", antialias=True).round().clamp(0, 255).to(torch.uint8)
    return scaled.reshape(*images.shape[:-3], 3, size, size).movedim(-3, -1)


def to_uint8(pixels: torch.Tensor) -> torch.Tensor:
    """Inverse of `normalise`, rounded and clipped: float (..., 3, H, W) -> uint8 (..., H, W, 3)."""
    scaled = pixels * _per_channel(STD, pixels) + _per_channel(MEAN, pixels)
    return (scaled * 255.0).round().clamp(0, 255).to(torch.uint8).movedim(-3, -1)


def patchify(pixels: torch.Tensor, patch: int) -> torch.Tensor:
    """(..., 3, H, W) -> (..., patches, patch * patch * 3); patches row by row, elements (row, column, channel).

    Raises ValueError when an edge is not a multiple of the patch.
    """
    *lead, channels, height, width = pixels.shape
    if height % patch or width % patch:
        raise ValueError(f"an image of {height} x {width} pixels does not divide into patches of {patch}")
    cut = pixels.reshape(-1, channels, height // patch, patch, width // patch, patch)
    return cut.permute(0, 2, 4, 3, 5, 1).reshape(*lead, -1, patch * patch * channels)


def unpatchify(patches: torch.Tensor, patch: int) -> torch.Tensor:
    """Inverse of `patchify` for square images: (..., patches, patch * patch * 3) -> (..., 3, H, H)."""
    *lead, count, _ = patches.shape
    side = round(count**0.5)
    if side * side != count:
        raise ValueError(f"{count} patches do not form a square image")
    cut = patches.reshape(-1, side, side, patch, patch, 3)
    return cut.permute(0, 5, 1, 3, 2, 4).reshape(*lead, 3, side * patch, side * patch)


def _per_channel(values: tuple[float, ...], like: torch.Tensor) -> torch.Tensor:
    return torch.tensor(values, dtype=like.dtype, device=like.device).view(3, 1, 1)
