"""The Ray Train shell around `pretraining.work`: workers, data parallelism, restarts. Training itself is not here."""

import logging
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import ray
import ray.train
import torch
from ray.train import FailureConfig, RunConfig, ScalingConfig
from ray.train.torch import TorchConfig, TorchTrainer, get_device
from ray.train.v2._internal.callbacks.placement_group_callback import PlacementGroupCleanerCallback
from ray.train.v2.api.config import LoggingConfig
from ray.train.v2.api.exceptions import TrainingFailedError

from worldagen.config import Config
from worldagen.tracking.mlflow_log import (
    TrackedSweep,
    close_run,
    ending_if_it_fails,
    log_artifacts,
    log_metrics,
    log_picture,
    open_trial,
)
from worldagen.training.failures import FailurePolicy, causes, own_error
from worldagen.training.loop import Record
from worldagen.training.objective import Worker
from worldagen.training.pretraining import Plan, finished, plan, work
from worldagen.training.sources import check_episodes
from worldagen.training.state import TrainingError

logger = logging.getLogger(__name__)
Log = Callable[[Record], None]
ENVIRONMENT = {"OMP_WAIT_POLICY": "PASSIVE"}
"""Threads that wait must sleep: by default they spin, which makes two of them slower than one on a busy machine."""


def pretrain(config: Config, sweep: TrackedSweep | None = None) -> Path:
    """Pretrain the model of `config` on its demonstrations and return the checkpoint folder.

    Continues where an earlier run in the same folder stopped, and returns at once when that one finished. With a
    `sweep`, its child run `pretrain` receives metrics and a picture of each validation, and the curve.
    Ray must be initialised. Raises a WorldagenError when the run cannot start, go on or resume.
    """
    run = plan(config)
    if finished(run):
        return run.checkpoint
    check_episodes(run.sources, alike=run.config.pretrain.cache_vision)
    _check_resources(config)
    with _tracked(run, sweep) as log:
        _fit(_trainer(run, log))
    return run.checkpoint


@contextmanager
def _tracked(run: Plan, sweep: TrackedSweep | None) -> Iterator[Log]:
    """Where the metrics go: to the sweep's child run `pretrain`, if there is a sweep."""
    if sweep is None:
        yield lambda record: None
        return
    run_id = open_trial(sweep, "pretrain", asdict(run.config.pretrain))
    with ending_if_it_fails(sweep, run_id):
        yield partial(_log_record, sweep, run_id, run.picture)
    for path in (run.curve, run.picture):
        log_artifacts(sweep, run_id, path, "pretrain")
    close_run(sweep, run_id)


def _log_record(sweep: TrackedSweep, run_id: str, picture: Path, record: Record) -> None:
    step = int(record["step"])
    log_metrics(sweep, run_id, record, step)
    log_picture(sweep, run_id, "predictions", picture, step)


ENCODING_SECONDS = 24 * 3600
"""Longest that workers wait for the first one to encode the frames (`pretrain.cache_vision`)."""


class _Trainer(TorchTrainer):
    """Ray Train's trainer with our failure policy, and without its cleaner of placement groups.

    The cleaner asks Ray's dashboard every second whether the controller lives; where there is no dashboard it logs a
    warning each time. Placement groups end with the job anyway.
    """

    def _initialize_and_run_controller(self, **settings: Any) -> Any:
        settings["failure_policy"] = FailurePolicy(settings["failure_policy"].failure_config)
        return super()._initialize_and_run_controller(**settings)  # type: ignore[misc]

    def _create_default_callbacks(self) -> list[Any]:
        callbacks: list[Any] = super()._create_default_callbacks()  # type: ignore[misc]
        return [callback for callback in callbacks if not isinstance(callback, PlacementGroupCleanerCallback)]


def _trainer(run: Plan, log: Log) -> TorchTrainer:
    settings = run.config.pretrain
    # Ray annotates its arguments for the first version of Train, but builds the second: hence the Any.
    run_config: Any = RunConfig(
        name="ray",
        storage_path=str(run.folder / "pretrain"),
        failure_config=FailureConfig(max_failures=settings.failures),
        logging_config=LoggingConfig(log_level="ERROR"),  # type: ignore[call-arg]
        worker_runtime_env={"env_vars": ENVIRONMENT},  # type: ignore[call-arg]
    )
    worker_function: Any = _work
    return _Trainer(
        worker_function,
        train_loop_config={"plan": run, "log": log},
        scaling_config=ScalingConfig(
            num_workers=settings.workers, use_gpu=settings.gpu, resources_per_worker=_resources(run.config)
        ),
        run_config=run_config,
        torch_config=TorchConfig(timeout_s=ENCODING_SECONDS) if settings.cache_vision else None,
    )


def _work(settings: dict[str, Any]) -> None:
    """What each Ray Train worker runs."""
    context = ray.train.get_context()
    run: Plan = settings["plan"]
    torch.set_num_threads(run.config.pretrain.threads)
    work(run, Worker(context.get_world_rank(), context.get_world_size(), str(get_device())), settings["log"])


def _fit(trainer: Any) -> None:
    """`trainer.fit()` that raises what a worker raised, and leaves Ctrl-C a KeyboardInterrupt.

    Ray Train installs a SIGINT handler that ends the process with status 0, and leaves it installed afterwards.
    """
    handler = signal.getsignal(signal.SIGINT)
    try:
        trainer.fit()
    except TrainingFailedError as failed:
        if own := own_error(failed):
            raise own from failed
        first = next(iter(causes(failed)), failed)
        raise TrainingError(f"training failed: {first}") from failed
    except SystemExit as stopped:
        raise KeyboardInterrupt from stopped
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGINT, handler)


def _resources(config: Config) -> dict[str, float]:
    gpus = {"GPU": 1.0} if config.pretrain.gpu else {}
    return {"CPU": config.pretrain.worker_cpus, **gpus}


def _check_resources(config: Config) -> None:
    """Refuse, or with `pretrain.wait` announce, what the nodes do not hold: Ray Train would wait for it in silence."""
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    wanted = {name: amount for name, amount in _resources(config).items() if amount}
    room = sum(min(int(has.get(name, 0.0) / each) for name, each in wanted.items()) for has in nodes) if wanted else 0
    if not wanted or room >= config.pretrain.workers:
        return
    each = " and ".join(f"{amount:g} {name}" for name, amount in wanted.items())
    told = f"the nodes that are up hold {room} of {config.pretrain.workers} pretraining workers of {each} each"
    if not config.pretrain.wait:
        raise TrainingError(
            f"{told}; lower pretrain.workers or pretrain.worker_cpus, unset pretrain.gpu, or, where an autoscaler will "
            "bring nodes, set pretrain.wait=true"
        )
    logger.warning("%s: pretraining waits for more (pretrain.wait)", told)
