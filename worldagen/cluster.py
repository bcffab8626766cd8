"""Joining a Ray cluster, or starting one on this machine."""

import logging
import os
from pathlib import Path

import ray

from worldagen.config import Config, ConfigError, in_ray_job

logger = logging.getLogger(__name__)


def warn_of_gpus(config: Config) -> None:
    """Announce that servers, learners and simulators reserve more of the GPUs than the nodes that are up have together:
    unless more come they wait for each other, without an error. Ray must be connected."""
    parts = {
        "inference.servers x inference.gpus": config.inference.servers * config.inference.gpus,
        "ttt.max_concurrent_trials x ttt.gpus": config.ttt.max_concurrent_trials * config.ttt.gpus,
        "pool.workers x pool.worker_gpus": max(1, config.pool.workers) * config.pool.worker_gpus,
    }
    wanted, there = sum(parts.values()), ray.cluster_resources().get("GPU", 0.0)
    if wanted > there + 1e-9:
        listed = ", ".join(f"{name} = {amount:g}" for name, amount in parts.items() if amount)
        logger.warning(
            "%s: together %g GPUs, and the nodes that are up have %g; unless more come, these wait for each other",
            listed, wanted, there,
        )  # fmt: skip


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
