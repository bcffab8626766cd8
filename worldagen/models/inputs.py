"""What the model refuses, and how it says so."""

import torch

from worldagen.config import ModelConfig
from worldagen.models.text import TEXT_WIDTH
from worldagen.models.tokens import Layout


def check_frames(config: ModelConfig, image_primary: torch.Tensor, image_wrist: torch.Tensor) -> None:
    """Raise ValueError unless both are finite float images (N, 3, size, size) of the model's size."""
    size = (3, config.image_size, config.image_size)
    for name, images in (("image_primary", image_primary), ("image_wrist", image_wrist)):
        _check(name, images, (len(image_primary), *size))


def check_decode(
    layout: Layout,
    features: torch.Tensor,
    state: torch.Tensor,
    text_embedding: torch.Tensor,
    action: torch.Tensor,
) -> None:
    """Raise ValueError unless all have the shapes of one window batch of `layout` and are finite."""
    batch, chunks = len(features), layout.chunks
    if features.shape[1] != chunks:
        raise ValueError(f"the window holds {features.shape[1]} chunks, the model was built for {chunks}")
    _check("features", features, (batch, chunks, layout.features, features.shape[-1]))
    _check("state", state, (batch, chunks, 7))
    _check("text_embedding", text_embedding, (batch, chunks, TEXT_WIDTH))
    _check("action", action, (batch, chunks * layout.actions, 7))


def _check(name: str, tensor: torch.Tensor, shape: tuple[int, ...]) -> None:
    if tuple(tensor.shape) != shape:
        raise ValueError(f"{name} has shape {tuple(tensor.shape)}, expected {shape}")
    if not tensor.isfinite().all():
        count = int((~tensor.isfinite()).sum())
        raise ValueError(f"{name} holds {count} values that are not finite (NaN or infinity)")
