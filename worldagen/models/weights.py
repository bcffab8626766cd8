"""The base weights of a model, whatever adapters are attached: names, exact loading, fingerprint."""

import dataclasses
import hashlib
import json
from collections.abc import Mapping

import torch
from torch import nn

from worldagen.errors import WorldagenError
from worldagen.models.worldagen import WorldAgen


class CheckpointError(WorldagenError, ValueError):
    """Weights that do not fit, or a folder that is no checkpoint. Says which, and what was expected."""


def base_state(model: nn.Module) -> dict[str, torch.Tensor]:
    """Every persistent tensor of the base model under its own name. peft renames a wrapped layer's and adds its own."""
    return {
        name.replace(".base_layer.", "."): tensor for name, tensor in model.state_dict().items() if ".lora_" not in name
    }


def load_exactly(model: nn.Module, tensors: Mapping[str, torch.Tensor], source: str) -> None:
    """Copy `tensors` into the base weights.

    Raises CheckpointError naming all that are missing, unexpected or mis-shaped.
    """
    own = base_state(model)
    problems = [f"missing {name} {tuple(own[name].shape)}" for name in own if name not in tensors]
    problems += [f"unexpected {name} {tuple(tensors[name].shape)}" for name in tensors if name not in own]
    problems += [
        f"{name} has shape {tuple(tensors[name].shape)}, expected {tuple(own[name].shape)}"
        for name in own
        if name in tensors and own[name].shape != tensors[name].shape
    ]
    if problems:
        raise CheckpointError(f"{source} does not fit this model: " + "; ".join(problems))
    with torch.no_grad():
        for name, tensor in own.items():
            tensor.copy_(tensors[name])


def fingerprint(model: WorldAgen, stored: torch.dtype = torch.float32) -> str:
    """Hexadecimal SHA-256 (16 characters) of the configuration and every base weight, bit for bit.

    The weights are those of the model once it was `stored` in that type and loaded again.
    """
    digest = hashlib.sha256(json.dumps(dataclasses.asdict(model.config), sort_keys=True).encode())
    for name, tensor in sorted(base_state(model).items()):
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().to(stored).float().contiguous().numpy().tobytes())
    return digest.hexdigest()[:16]
