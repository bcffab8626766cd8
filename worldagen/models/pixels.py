"""Between stored images and what the model reads and predicts: normalised pixels, cut into patches."""

import torch

MEAN = (0.48145466, 0.4578275, 0.40821073)
STD = (0.26862954, 0.26130258, 0.27577711)
"""Channel statistics of CLIP's image transform (Radford et al., 2021), which the published weights expect."""


def normalise(images: torch.Tensor) -> torch.Tensor:
    """uint8 (..., H, W, 3) -> float32 (..., 3, H, W), scaled to [0, 1] and standardised per channel."""
    if images.dtype != torch.uint8 or images.shape[-1] != 3:
        raise ValueError(f"expected uint8 images (..., H, W, 3), got {images.dtype} {tuple(images.shape)}")
    scaled = images.movedim(-1, -3).float() / 255.0
    return (scaled - _per_channel(MEAN, scaled)) / _per_channel(STD, scaled)


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
