"""Small models and inputs for tests: every part of the real one, in milliseconds."""

from typing import Any

import torch

from worldagen.config import ModelConfig
from worldagen.models.worldagen import WorldAgen


def small_config(**changes: Any) -> ModelConfig:
    sizes: dict[str, Any] = {
        "image_size": 16,
        "patch_size": 8,
        "vision_width": 16,
        "vision_depth": 1,
        "vision_heads": 2,
        "resampler_heads": 2,
        "resampler_head_dim": 8,
        "resampler_queries": 2,
        "hidden": 32,
        "layers": 2,
        "heads": 2,
        "head_dim": 16,
        "mlp": 64,
        "decoder_depth": 1,
        "observation_queries": 4,
    }
    return ModelConfig(**{**sizes, **changes})


def small_model(seed: int = 0, **changes: Any) -> WorldAgen:
    """Randomly initialised, with query tokens that are not zero, as after some training."""
    torch.manual_seed(seed)
    model = WorldAgen(small_config(**changes))
    for query in (model.observation_queries, model.policy_query):
        torch.nn.init.normal_(query)
    return model.eval()


def small_inputs(model: WorldAgen, batch: int = 2, seed: int = 0) -> dict[str, torch.Tensor]:
    """Random arguments of the model's forward."""
    generator = torch.Generator().manual_seed(seed)
    config = model.config
    chunks, size = config.chunks, config.image_size

    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(shape, generator=generator)

    return {
        "image_primary": normal(batch, chunks, 3, size, size),
        "image_wrist": normal(batch, chunks, 3, size, size),
        "state": normal(batch, chunks, 7),
        "text_embedding": normal(batch, 1, 512).expand(-1, chunks, -1),
        "action": normal(batch, chunks * config.actions_per_chunk, 7),
    }
