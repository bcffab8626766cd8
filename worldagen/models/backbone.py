"""The backbone: transformers' Qwen3 decoder, fed embeddings and our own attention mask."""

import torch
from transformers import Qwen3Config, Qwen3Model

from worldagen.config import ModelConfig


def make_backbone(config: ModelConfig) -> Qwen3Model:
    """A Qwen3 decoder of the published form: rotary positions (theta 1e4), no biases, per-head query and key norms."""
    backbone = Qwen3Model(
        Qwen3Config(
            vocab_size=1,
            hidden_size=config.hidden,
            intermediate_size=config.mlp,
            num_hidden_layers=config.layers,
            num_attention_heads=config.heads,
            num_key_value_heads=config.heads,
            head_dim=config.head_dim,
            rms_norm_eps=1e-6,
            rope_parameters={"rope_type": "default", "rope_theta": 1e4},
            pad_token_id=None,
            use_cache=False,
        )
    )
    backbone.set_attn_implementation("sdpa")
    # Everything enters as embeddings: the vocabulary is dead weight that only the published files carry.
    if not config.unused_parameters:
        backbone.embed_tokens = None  # type: ignore[assignment]
    return backbone


def run(backbone: Qwen3Model, x: torch.Tensor, mask: torch.Tensor, positions: torch.Tensor) -> torch.Tensor:
    """Tokens (B, L, hidden) -> (B, L, hidden) under a bool mask (L, L) at sequence positions (L,)."""
    # A dict is transformers' way of saying that the mask is ready; anything else it may combine with its own.
    masks = {"full_attention": additive(mask, x.dtype)}
    return backbone(inputs_embeds=x, attention_mask=masks, position_ids=positions[None]).last_hidden_state


def additive(mask: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """The mask as transformers wants it, (1, 1, L, L): 0 where visible, the lowest number where hidden.

    Not boolean, which transformers' eager attention adds to the scores as it is, so that nothing is hidden; not -inf,
    which turns a fully hidden row into NaN. The lowest number vanishes exactly in the softmax.
    """
    hidden = torch.zeros(mask.shape, dtype=dtype, device=mask.device).masked_fill_(~mask, torch.finfo(dtype).min)
    return hidden[None, None]
