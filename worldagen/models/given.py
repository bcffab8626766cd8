"""The weights that a configuration names, found and checked before anything starts."""

import hashlib
import logging
from dataclasses import asdict
from functools import cache
from pathlib import Path

from worldagen.atomic import first_folder
from worldagen.config import PRESETS, Config, ConfigError, ModelConfig
from worldagen.models import adapter, checkpoint
from worldagen.models.weights import CheckpointError

logger = logging.getLogger(__name__)


def given_checkpoint(config: Config) -> Path:
    """The checkpoint folder that `config` names. Raises ConfigError when it holds none, or a model of another size."""
    if not config.checkpoint:
        raise ConfigError("checkpoint is not set; name a checkpoint folder, e.g. checkpoint=checkpoints/calvin")
    folder = Path(config.checkpoint).expanduser().absolute()
    try:
        differing = checkpoint.differing(folder, config.model)
    except CheckpointError as error:
        raise ConfigError(f"checkpoint={config.checkpoint}: {error}") from error
    if differing:
        sizes = ", ".join(f"{name} ({there}, here {here})" for name, (there, here) in differing.items())
        preset, mask = _preset(folder)
        if preset and (preset != config.model.preset or set(differing) == {"mask"}):
            told = f"a model of another size or mask; set model.preset={preset} model.mask={mask}"
        else:
            told = f"another model: {sizes}; set model.* as it was trained"
        raise ConfigError(f"checkpoint={config.checkpoint} holds {told}")
    _note_suite(folder, config.env.suite)
    return folder


def _preset(folder: Path) -> tuple[str, str]:
    """Which preset the model in `folder` is, empty if none, and its mask."""
    there = checkpoint.describe(folder)["config"]
    for name, sizes in PRESETS.items():
        preset = asdict(ModelConfig(**sizes))
        if all(there.get(key) == value for key, value in preset.items() if key not in ("preset", "mask")):
            return name, there["mask"]
    return "", there["mask"]


@cache
def _note_suite(folder: Path, suite: str) -> None:
    """Say, once, that a checkpoint is of the other benchmark, as far as its training settings tell."""
    trained_for = checkpoint.describe(folder)["provenance"].get("config", {}).get("env", {}).get("suite", "")
    if trained_for and trained_for.partition("_")[0] != suite.partition("_")[0]:
        logger.warning("%s was trained with env.suite=%s, and here it is %s", folder, trained_for, suite)


def given_adapter(config: Config, base: str) -> Path | None:
    """The adapter folder that `config` names, if any.

    Raises ConfigError when it holds no adapter, or one of other weights than those with fingerprint `base`.
    """
    if not config.evaluation.adapter:
        return None
    folder = Path(config.evaluation.adapter).expanduser().absolute()
    try:
        made_for = adapter.describe(folder)["base"]
    except adapter.AdapterError as error:
        raise ConfigError(f"evaluation.adapter={error}") from error
    if made_for != base:
        raise ConfigError(f"evaluation.adapter={folder} was made for other weights ({made_for}, here {base})")
    return folder


def keep_adapter(given: Path, folder: Path) -> str:
    """Copy the adapter into `folder` under a name that is a key of its content; returns that name.

    Episodes are known by it: another adapter in the same place gets episodes of its own.
    """
    content = {name: (given / name).read_bytes() for name in adapter.FILES}
    version = hashlib.sha256(b"".join(content.values())).hexdigest()[:12]
    with first_folder(folder / version) as new:
        for name, data in content.items():
            (new / name).write_bytes(data)
    return version
