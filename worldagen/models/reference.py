"""The authors' checkpoints (github w4nanch1/WorldAgen): names and shapes of their tensors in terms of ours.

A model file holds the trained tensors and the attention mask; the vision transformer comes in a public MAE file. A file
of test-time training holds all of it, with LoRA factors in peft's naming.
"""

import pickle
import re
from collections.abc import Mapping
from pathlib import Path

import torch

from worldagen.config import PRESETS, ModelConfig
from worldagen.models import adapter
from worldagen.models.weights import CheckpointError, load_exactly
from worldagen.models.worldagen import WorldAgen

TTT_ADAPTER = "ttt"
"""Name under which the LoRA factors of a test-time-trained file are loaded."""

MODULES = {
    "perceiver_resampler.": "resampler.",
    "image_primary_projector.": "primary_projector.",
    "image_wrist_projector.": "wrist_projector.",
    "cls_token_primary_projector.": "primary_cls_projector.",
    "cls_token_wrist_projector.": "wrist_cls_projector.",
    "text_projector.": "text_projector.",
    "arm_state_encoder.": "state_embedding.arm.",
    "gripper_state_encoder.": "state_embedding.gripper.",
    "state_projector.": "state_embedding.out.",
    "action_pose_encoder.": "action_embedding.arm.",
    "action_gripper_position_encoder.": "action_embedding.gripper.",
    "action_projector.": "action_embedding.out.",
    "embedding_layer_norm.": "input_norm.",
    "transformer_backbone.": "backbone.",
    "action_decoder.": "action_head.trunk.",
    "arm_action_decoder.0.": "action_head.arm.",
    "gripper_action_decoder.0.": "action_head.gripper.",
    "state_decoder.": "state_head.trunk.",
    "arm_state_decoder.0.": "state_head.arm.",
    "gripper_state_decoder.0.": "state_head.gripper.",
    "image_decoder_obs_pred_projector.": "image_decoder.project.",
    "image_decoder.": "image_decoder.blocks.",
    "image_decoder_norm.": "image_decoder.norm.",
    "image_decoder_pred.": "image_decoder.pixels.",
}
"""Their module -> ours."""

TOKENS = {
    "obs_tokens": "observation_queries",
    "action_pred_token": "policy_query",
    "state_pred_token": "state_query",
    "transformer_backbone_position_embedding": "offset",
    "mask_token": "image_decoder.mask_token",
}
"""Their learned token (1, 1, n, hidden) -> ours (n, hidden), or the shape of ours."""

RESAMPLER = {
    r"^(resampler\.layers\.\d+)\.0\.norm_media\.": r"\1.attention.norm_tokens.",
    r"^(resampler\.layers\.\d+)\.0\.": r"\1.attention.",
    r"^(resampler\.layers\.\d+)\.1\.": r"\1.mlp.",
}
"""Their layers are anonymous lists; ours have names."""

VISION = "vision_encoder."
SKIPPED = ("attention_mask", "image_decoder_position_embedding", "clip_model.", VISION)
"""Derived from the configuration, frozen CLIP, and what is handled apart."""
MAE_UNUSED = ("decoder", "mask_token")
"""Parts of an MAE file that only its pretraining needs."""


def load(
    state: Mapping[str, torch.Tensor],
    mae: Mapping[str, torch.Tensor] | None,
    config: ModelConfig,
    lora_alpha: float = 32.0,
) -> WorldAgen:
    """The model of `config` with the authors' weights; a test-time-trained file's adapter is loaded, but not in use.

    `mae` may be None when `state` holds the vision transformer. Their files do not tell the scale of an adapter:
    alpha is 32 in all of their scripts. Raises CheckpointError listing every tensor that does not fit.
    """
    model = WorldAgen(config)
    load_exactly(model, convert(state, mae or {}), "the reference checkpoint")
    if factors := lora(state):
        rank = next(len(tensor) for name, tensor in factors.items() if "lora_A" in name)
        adapter.add(model, TTT_ADAPTER, rank, lora_alpha)
        adapter.set_state(model, TTT_ADAPTER, factors)
        adapter.use(model, None)
    return model.eval()


def load_vision(model: WorldAgen, path: str | Path) -> None:
    """Load a public MAE file into the model's vision transformer. Raises CheckpointError listing what does not fit."""
    tensors = {name: tensor for name, tensor in read(path).items() if not name.startswith(MAE_UNUSED)}
    load_exactly(model.vision, tensors, str(path))


def paper_config(preset: str = "paper_calvin") -> ModelConfig:
    """A published configuration, with the published mask."""
    return ModelConfig(**PRESETS[preset], preset=preset, mask="compat")


def read(path: str | Path) -> dict[str, torch.Tensor]:
    """Tensors of a `.pth` file, which may hold nothing that runs code. Raises CheckpointError."""
    if not Path(path).is_file():
        raise CheckpointError(f"no checkpoint at {path}")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError) as error:
        raise CheckpointError(f"{path} is damaged, or holds more than tensors and plain values: {error}") from error
    content = content.get("model_state_dict", content.get("model", content))
    return {name: value for name, value in content.items() if isinstance(value, torch.Tensor)}


def convert(state: Mapping[str, torch.Tensor], mae: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Base weights of a WorldAgen from their model's and MAE's tensors. A name that we do not know keeps its own."""
    named = {plain(name): tensor for name, tensor in state.items() if ".lora_" not in name}
    tensors = {
        our_name(name): tensor.reshape(our_shape(name, tensor))
        for name, tensor in named.items()
        if not name.startswith(SKIPPED)
    }
    within = {name.removeprefix(VISION): tensor for name, tensor in named.items() if name.startswith(VISION)}
    vision = {name: tensor for name, tensor in {**within, **mae}.items() if not name.startswith(MAE_UNUSED)}
    return {**tensors, **{f"vision.{name}": tensor for name, tensor in vision.items()}}


def lora(state: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The LoRA factors of a test-time-trained checkpoint, named as in `adapter.state`; empty for any other."""
    found = {}
    for name, tensor in state.items():
        if match := re.fullmatch(r"transformer_backbone\.(.+\.lora_[AB])\.\w+\.weight", plain(name)):
            found[f"{match[1]}.weight"] = tensor
    return found


def plain(name: str) -> str:
    """A tensor's name without the wrappers of data-parallel training and of peft."""
    for wrapper in ("module.", "base_model.model.", "base_layer."):
        name = name.replace(wrapper, "")
    return name


def our_name(name: str) -> str:
    """`text_projector.weight` and so on, in our module tree."""
    if name in TOKENS:
        return TOKENS[name]
    prefix = next((prefix for prefix in MODULES if name.startswith(prefix)), None)
    if prefix is None:
        return name
    name = MODULES[prefix] + name.removeprefix(prefix)
    for pattern, replacement in RESAMPLER.items():
        name = re.sub(pattern, replacement, name)
    return name


def our_shape(name: str, tensor: torch.Tensor) -> tuple[int, ...]:
    """Learned tokens lose the leading axes that ours do not have."""
    if name not in TOKENS or name == "mask_token":
        return tuple(tensor.shape)
    return tuple(tensor.shape[-1:] if name == "transformer_backbone_position_embedding" else tensor.shape[-2:])
