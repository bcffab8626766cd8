"""Named model sizes: `tiny` is `ModelConfig()` itself, the others are the published ones."""

from typing import Any

_PAPER: dict[str, Any] = {
    "image_size": 224,
    "patch_size": 16,
    "vision_width": 768,
    "vision_depth": 12,
    "vision_heads": 12,
    "vision_frozen": True,
    "resampler_depth": 3,
    "resampler_heads": 8,
    "resampler_head_dim": 64,
    "resampler_queries": 6,
    "hidden": 384,
    "layers": 24,
    "heads": 12,
    "head_dim": 128,
    "mlp": 1536,
    "decoder_depth": 2,
    "decoder_heads": 16,
    "observation_queries": 9,
    "text": "clip",
    "unused_parameters": True,
}

PRESETS: dict[str, dict[str, Any]] = {
    "tiny": {},
    "paper_calvin": {**_PAPER, "chunks": 3, "actions_per_chunk": 5},
    "paper_libero": {**_PAPER, "chunks": 2, "actions_per_chunk": 3},
}
