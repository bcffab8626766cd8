"""Joining a Ray cluster, or starting one on this machine."""

import logging
import os
from pathlib import Path

import ray

from worldagen.config import Config, ConfigError, in_ray_job


def connect(config: Config) -> None:
    """Connect this process to Ray; does nothing when it already is.

    A job submitted with `ray job submit` joins its own cluster. Otherwise the cluster at `ray_address` (or at
    $RAY_ADDRESS) is joined and this code sent there, without what .rayignore names; with no address a local Ray starts.
    Raises ConfigError when there is no cluster at the address.
    """
    if ray.is_initialized():
        return
    address = config.ray_address or os.environ.get("RAY_ADDRESS", "")
    if in_ray_job():
        ray.init(logging_level=logging.WARNING)
    elif address:
        project = Path(__file__).resolve().parent.parent
        try:
            ray.init(address, logging_level=logging.WARNING, runtime_env={"working_dir": str(project)})
        except ConnectionError as error:
            raise ConfigError(
                f"no Ray cluster answers at {address}: start one, or set neither ray_address nor RAY_ADDRESS"
            ) from error
    else:
        ray.init("local", include_dashboard=False, logging_level=logging.WARNING)
