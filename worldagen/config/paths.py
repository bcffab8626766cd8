"""Where a run keeps its files."""

import os
from pathlib import Path

from worldagen.config.schema import Config


def in_ray_job() -> bool:
    """Whether this process is the driver of a job submitted with `ray job submit`."""
    return "RAY_JOB_CONFIG_JSON_ENV_VAR" in os.environ


def run_path(config: Config) -> Path:
    """The run folder, absolute.

    A relative one lies in the current folder, but in a submitted job, whose current folder Ray deletes afterwards,
    under $WORLDAGEN_HOME (default ~/worldagen).
    """
    base = Path(os.environ.get("WORLDAGEN_HOME") or "~/worldagen") if in_ray_job() else Path()
    return (base.expanduser() / Path(config.run_dir).expanduser()).absolute()
