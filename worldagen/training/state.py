"""What a killed training run leaves behind to continue from: weights and their average, optimiser, step and curve.

Learning rate, random numbers and data order are functions of the seed and the step, so nothing else is needed.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from worldagen.atomic import fresh_file
from worldagen.config import differences
from worldagen.errors import WorldagenError

FORMAT_VERSION = 1
FILES = "files"
"""Where settings hold [digest, file name] of each episode, by its key."""
_NAMED = 5
"""So many episodes of a kind are named in an error, the others counted."""


class TrainingError(WorldagenError, RuntimeError):
    """A training run that cannot start, continue or resume. The message says why and what to do."""


@dataclass(frozen=True)
class TrainingState:
    step: int
    """Optimiser steps done."""
    model: Mapping[str, Any]
    optimizer: Mapping[str, Any]
    curve: list[dict[str, float]] = field(default_factory=list)
    """One record of metrics per validation so far."""
    average: Mapping[str, Any] | None = None
    """The moving average of the weights, where there is one."""


def save_state(path: Path, state: TrainingState, settings: Mapping[str, Any]) -> None:
    """Write `state` atomically: whatever happens meanwhile, `path` holds either this state or the one before.

    Raises TrainingError when it cannot be written, e.g. on a full disk.
    """
    for left in path.parent.glob(f".{path.name}.*"):  # by a process that was killed while it wrote
        left.unlink(missing_ok=True)
    content = {"format_version": FORMAT_VERSION, "settings": dict(settings), **vars(state)}
    try:
        with fresh_file(path) as temporary, temporary.open("wb") as file:
            torch.save(content, file)
            file.flush()
            os.fsync(file.fileno())
    except (OSError, RuntimeError) as error:  # torch.save has a RuntimeError for the system's error
        raise TrainingError(
            f"cannot write {path}: {_first_line(error)}; what was there before is kept. Is the disk full? Make room "
            "and run the same command again: it goes on from there"
        ) from error


def load_state(path: Path, settings: Mapping[str, Any]) -> TrainingState | None:
    """The state at `path` on the CPU, None where there is none yet.

    Raises TrainingError when the file is damaged or belongs to a run with other settings (it names those that differ).
    """
    if not path.exists():
        return None
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
        version, before = content.pop("format_version"), content.pop("settings")
    except Exception as error:  # torch.load has no error type of its own for damaged files
        raise TrainingError(f"{path} is damaged ({_first_line(error)}); delete it to start again") from error
    if version != FORMAT_VERSION:
        raise TrainingError(
            f"{path} has format {version}, expected {FORMAT_VERSION}; delete it to train from the start"
        )
    check_settings(path, before, settings)
    return TrainingState(**content)


def check_settings(path: Path, before: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Raise TrainingError when what was made under settings `before` cannot be continued or reused under `now`.

    Settings of before runs kept the digests of their episodes have none: then only the episodes' keys are compared.
    """
    episodes = _changed_episodes(before[FILES], now[FILES]) if FILES in before and FILES in now else []
    changed = differences(_without_files(before), _without_files(now))
    found = [f"{name} was {old}, now {new}" for name, (old, new) in changed.items()] + episodes
    if found:
        listed = "; ".join(found)
        raise TrainingError(f"{path} belongs to another training run: {listed}; use another run_dir, or delete it")


def _without_files(settings: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in settings.items() if name != FILES}


def _changed_episodes(before: Mapping[str, Sequence[str]], now: Mapping[str, Sequence[str]]) -> list[str]:
    """Which episode files are not what they were, in words; empty if all are."""
    names = {key: name for files in (before, now) for key, (_, name) in files.items()}
    kinds = {
        "missing": before.keys() - now.keys(),
        "added": now.keys() - before.keys(),
        "changed": {key for key in before.keys() & now.keys() if before[key][0] != now[key][0]},
    }
    return [f"{kind} episodes: {_listed(sorted(names[key] for key in keys))}" for kind, keys in kinds.items() if keys]


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]
