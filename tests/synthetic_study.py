"""A study of three made-up settings."""

import dataclasses
from pathlib import Path

from tests.synthetic_results import make_results
from worldagen.results import SweepResults

EFFECTS = {"unshifted": 0.0, "camera_half": 0.3, "friction": -0.3}
"""Of the confirmed arm."""
CHOSEN = {"unshifted": None, "camera_half": -0.2, "friction": 0.0}
"""Of the acceptance rule's choice."""


def setting(folder: Path, name: str) -> SweepResults:
    shifts = {"camera_half": {"camera": 0.5}, "friction": {"friction": 1.0}}.get(name, {})
    results = make_results(
        folder,
        effect=-0.4,
        media=False,
        failed=name == "friction",
        methods=("plain", "anchored"),
        confirmed=EFFECTS[name],
        chosen=CHOSEN[name],
    )
    config = {**results.config, "env": {**results.config["env"], "shifts": shifts}}
    return dataclasses.replace(results, config=config)
