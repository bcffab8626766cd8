"""The run folder: one folder, one configuration, so that whatever is found in it can be trusted and resumed."""

import json
import os
from pathlib import Path
from typing import Any

from worldagen.atomic import write_text
from worldagen.config import PRETRAIN_FREE, Config, ConfigError, differences, run_path, to_dict

CONFIG_FILE = "config.json"
HARMLESS = (
    "run_dir",
    "ray_address",
    "pool",
    *(f"pretrain.{name}" for name in PRETRAIN_FREE),
    "inference.servers",
    "inference.max_wait_ms",
    "inference.max_adapters",
    "inference.gpus",
    "ttt.windows_at_once",
    "evaluation.retry_failed",
    "ttt.max_concurrent_trials",
    "tracking",
)
"""Settings, or groups of them, that a resumed run may change: they decide where and how fast, not what comes out.

More workers or other parts of a pretraining step, or of a TTT step, change the weights by rounding only.
"""
SHARES = ("pool.worker_gpus", "ttt.gpus")
"""Shares of a GPU that may change, but not to none or from none: without one, other hardware draws the simulators'
frames, and adapters are learnt in another arithmetic."""


def open_run_folder(config: Config) -> Path:
    """Create the run folder (or enter it again) and return its absolute path.

    Raises ConfigError when it cannot be written, or when a run with other settings has left anything there.
    """
    folder = run_path(config)
    written = folder / CONFIG_FILE
    try:
        folder.mkdir(parents=True, exist_ok=True)
        begun = any(path != written for path in folder.iterdir())  # a run that was refused at once binds nobody
        if not begun or not written.exists():
            _write(written, to_dict(config))
        if not os.access(folder, os.W_OK):
            raise PermissionError("it is read-only")
    except OSError as error:
        raise ConfigError(f"run_dir={config.run_dir}: cannot write there ({error}); choose another run_dir") from error
    _check_same(written, to_dict(config))
    return folder


def _write(path: Path, settings: dict[str, Any]) -> None:
    write_text(path, json.dumps(settings, indent=2))


def _check_same(path: Path, given: dict[str, Any]) -> None:
    try:
        earlier = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path} cannot be read ({error}); choose another run_dir") from error
    found = differences(earlier, json.loads(json.dumps(given)))
    changed = [
        f"{name} ({old} there, {new} now)" for name, (old, new) in sorted(found.items()) if _matters(name, old, new)
    ]
    if changed:
        raise ConfigError(
            f"{path.parent} holds a run with other settings: {', '.join(changed)}; choose another run_dir"
        )


def _matters(key: str, old: Any, new: Any) -> bool:
    if key in SHARES:
        return bool(old) != bool(new)
    return not any(key == name or key.startswith(f"{name}.") for name in HARMLESS)
