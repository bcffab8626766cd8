"""Our checkpoint format: a folder with `model.safetensors` (base weights) and `config.json` (all the rest).

config.json holds format_version, config (ModelConfig), conventions (units and signs that the weights expect),
fingerprint (of config and weights, verified on loading) and provenance (whatever the trainer tells). Adapters are not
part of it. The weights may be stored in half precision (shipping.py); loaded, they are float32 again.
"""

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from worldagen.atomic import fresh_folder
from worldagen.config import ModelConfig
from worldagen.models import weights
from worldagen.models.conventions import Conventions
from worldagen.models.weights import CheckpointError, base_state, load_exactly
from worldagen.models.worldagen import WorldAgen

FORMAT_VERSION = 1


def save(
    model: WorldAgen, folder: str | Path, provenance: Mapping[str, Any], dtype: torch.dtype = torch.float32
) -> Path:
    """Write the checkpoint, atomically: a reader finds the old one, or the new one. Weights are stored in `dtype`.

    Raises CheckpointError when it cannot be written, or when a weight is not finite in `dtype` (float16 ends at 65504).
    """
    stored = {name: tensor.to(dtype).contiguous() for name, tensor in base_state(model).items()}
    if bad := [name for name, tensor in stored.items() if not tensor.isfinite().all()]:
        raise CheckpointError(f"cannot save {folder}: not finite as {dtype}: {', '.join(bad)}")
    about = {
        "format_version": FORMAT_VERSION,
        "config": dataclasses.asdict(model.config),
        "conventions": model.conventions.to_dict(),
        "fingerprint": weights.fingerprint(model, dtype),
        "provenance": dict(provenance),
    }
    try:
        with fresh_folder(folder) as new:
            save_file(stored, new / "model.safetensors")
            (new / "config.json").write_text(json.dumps(about, indent=2) + "\n")
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"cannot write {folder}: {error}; what was there before is kept") from error
    return Path(folder)


def load(folder: str | Path) -> WorldAgen:
    """The model of a checkpoint folder, in evaluation mode, on the CPU.

    Raises CheckpointError when there is none, when it is damaged, or when weights and configuration do not fit.
    """
    folder = Path(folder)
    about = describe(folder)
    model = WorldAgen(model_config(about["config"], folder))
    model.conventions = conventions(folder)
    try:
        tensors = load_file(folder / "model.safetensors")
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"{folder / 'model.safetensors'} cannot be read: {error}") from error
    load_exactly(model, tensors, str(folder))
    if weights.fingerprint(model) != about["fingerprint"]:
        raise CheckpointError(f"{folder}: config.json and model.safetensors do not belong together, or were changed")
    return model.eval()


def describe(folder: str | Path) -> dict[str, Any]:
    """The content of a checkpoint's config.json. Raises CheckpointError when there is none that we can read."""
    path = Path(folder) / "config.json"
    try:
        about = json.loads(path.read_text())
    except FileNotFoundError as error:
        raise CheckpointError(f"{folder} is not a checkpoint folder: it holds no config.json") from error
    except NotADirectoryError as error:
        raise CheckpointError(f"{folder} is a file; name the checkpoint's folder") from error
    except json.JSONDecodeError as error:
        raise CheckpointError(f"{path} is damaged: {error}") from error
    if about.get("format_version") != FORMAT_VERSION:
        raise CheckpointError(
            f"{path} has format version {about.get('format_version')}, this worldagen reads {FORMAT_VERSION}"
        )
    return about


def differing(folder: str | Path, config: ModelConfig) -> dict[str, tuple[Any, Any]]:
    """What a model of `config` has otherwise than the one in `folder`, by setting: (there, here). Empty if it fits.

    Raises CheckpointError as `describe` does.
    """
    there, here = describe(folder)["config"], dataclasses.asdict(config)
    names = [name for name in here if name != "preset" and there.get(name) != here[name]]
    return {name: (there.get(name), here[name]) for name in names}


def fingerprint(source: WorldAgen | str | Path) -> str:
    """Fingerprint of a model, or the recorded one of a checkpoint folder."""
    return weights.fingerprint(source) if isinstance(source, WorldAgen) else describe(source)["fingerprint"]


def conventions(folder: str | Path) -> Conventions:
    """What the weights in `folder` were trained with. Raises CheckpointError as `describe`, or for what is unknown."""
    settings = describe(folder)["conventions"]
    try:
        return Conventions(**settings)
    except (TypeError, ValueError) as error:
        raise CheckpointError(f"{Path(folder) / 'config.json'}: {error}") from error


def model_config(settings: Mapping[str, Any], folder: Path) -> ModelConfig:
    """ModelConfig of a saved dict. Raises CheckpointError naming settings that are missing or unknown."""
    known = {field.name for field in dataclasses.fields(ModelConfig)}
    if wrong := known.symmetric_difference(settings):
        raise CheckpointError(f"{folder / 'config.json'}: settings missing or unknown: {', '.join(sorted(wrong))}")
    return ModelConfig(**settings)
