"""Pretraining through Ray Train: same result as the plain loop, goes on when a worker dies, tracked in MLflow."""

import dataclasses
import os
import signal
import threading
import time
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch
from mlflow.tracking import MlflowClient
from ray.train import FailureConfig
from ray.train.v2.api.exceptions import WorkerGroupError

from tests.small import small_config
from tests.synthetic import make_curtain
from worldagen.config import Config, EnvConfig, PretrainConfig
from worldagen.data.trajectories import DataError, save
from worldagen.models import checkpoint
from worldagen.tracking.mlflow_log import open_sweep
from worldagen.training import ray_train
from worldagen.training.failures import FailurePolicy
from worldagen.training.objective import Worker
from worldagen.training.pretraining import plan, work
from worldagen.training.ray_train import pretrain
from worldagen.training.state import TrainingError

SETTINGS = PretrainConfig(
    steps=60, batch_size=8, warmup_steps=4, validate_every=20, threads=1, worker_cpus=0.5, precision="float32"
)


@pytest.fixture(scope="module")
def demos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("demos")
    for index in range(8):
        save(make_curtain(index), folder / f"{index}.parquet")
    return folder


@pytest.fixture(scope="module")
def reference(demos: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, torch.Tensor]:
    """The weights that the plain loop reaches in this process."""
    torch.set_num_threads(1)
    run = plan(make_config(demos, tmp_path_factory.mktemp("plain")))
    work(run)
    return checkpoint.load(run.checkpoint).state_dict()


def make_config(demos: Path, folder: Path, **changes: object) -> Config:
    return Config(
        run_dir=str(folder),
        demos_dir=str(demos),
        env=EnvConfig(image_size=32),
        model=small_config(image_size=32),
        pretrain=dataclasses.replace(SETTINGS, **changes),  # type: ignore[arg-type]
    )


def test_one_worker_gives_the_bits_of_the_plain_loop(
    ray_cluster: None, demos: Path, reference: dict[str, torch.Tensor], tmp_path: Path
) -> None:
    config = make_config(demos, tmp_path)
    sweep = open_sweep(config, "test")
    handler = signal.getsignal(signal.SIGINT)
    folder = pretrain(config, sweep)
    assert signal.getsignal(signal.SIGINT) is handler
    for name, value in checkpoint.load(folder).state_dict().items():
        assert torch.equal(value, reference[name]), name

    client = MlflowClient(sweep.uri)
    child = next(run for run in client.search_runs([sweep.experiment_id]) if run.info.run_name == "pretrain")
    assert child.info.status == "FINISHED"
    history = client.get_metric_history(child.info.run_id, "validation/image_changed")
    assert [metric.step for metric in history] == [20, 40, 60]
    assert {file.path for file in client.list_artifacts(child.info.run_id, "pretrain")} == {
        "pretrain/curve.json",
        "pretrain/predictions.png",
    }

    pictures = [file.path for file in client.list_artifacts(child.info.run_id, "images")]
    shown = sorted(path.split("+")[2] for path in pictures if path.endswith(".png"))
    assert shown == ["20", "40", "60"] and all("predictions+step+" in path for path in pictures)

    began = time.monotonic()
    assert pretrain(config) == folder
    assert time.monotonic() - began < 1.0


class Killed(Exception):
    """Stands for the end of the process."""


def test_two_workers_go_on_with_what_one_began_though_one_of_them_is_killed(
    ray_cluster: None, demos: Path, reference: dict[str, torch.Tensor], tmp_path: Path
) -> None:
    """And compute their shares in micro-batches, which other processes read: the weights differ by rounding only."""

    def dies(record: dict[str, float]) -> None:
        raise Killed

    with pytest.raises(Killed):
        work(plan(make_config(demos, tmp_path)), log=dies)
    config = make_config(demos, tmp_path, workers=2, accumulate=3, loaders=1)
    state = plan(config).state
    begun = state.stat().st_mtime
    killed: list[int] = []

    def kill_one() -> None:
        while state.stat().st_mtime == begun:
            time.sleep(0.05)
        worker = next(p for p in psutil.Process().children(recursive=True) if "RayTrainWorker" in p.name())
        os.kill(worker.pid, signal.SIGKILL)
        killed.append(worker.pid)

    killer = threading.Thread(target=kill_one, daemon=True)
    killer.start()
    folder = pretrain(config)
    assert killed
    for name, value in checkpoint.load(folder).state_dict().items():
        torch.testing.assert_close(value, reference[name], atol=2e-3, rtol=0, msg=name)


def test_workers_that_died_are_started_again_but_not_for_an_error_of_our_own() -> None:
    """Which another worker may accompany with what it met when the first one left it alone."""
    policy = FailurePolicy(FailureConfig(max_failures=1))
    alone, bad = RuntimeError("connection closed by peer"), DataError("episode 7 is damaged")
    failures = [{0: alone}, {0: alone, 1: bad}, {0: alone}]
    decisions = [policy.make_decision(WorkerGroupError("failed", failure)).name for failure in failures]
    assert decisions == ["RETRY", "RAISE", "RAISE"], "the third for having failed once too often"


def test_an_error_of_one_worker_ends_the_run_at_once_and_is_not_repeated(
    ray_cluster: None, demos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the other one waits for it."""
    starts = tmp_path / "starts"

    def with_bad_data_on_rank_1(settings: dict[str, Any]) -> None:
        def bad(run: object, worker: Worker, log: object) -> None:
            if worker.rank == 1:
                with starts.open("a") as file:
                    file.write(f"{time.time()}\n")
                raise DataError("episode 7 is damaged")
            torch.distributed.barrier()

        ray_train.work = bad  # in the worker's process
        ray_train._work(settings)

    monkeypatch.setattr(ray_train, "_work", with_bad_data_on_rank_1)
    with pytest.raises(DataError, match=r"^episode 7 is damaged$"):
        pretrain(make_config(demos, tmp_path / "run", workers=2, failures=3))
    (began,) = map(float, starts.read_text().split())
    assert time.time() - began < 60


def test_more_than_the_cluster_has_is_refused(ray_cluster: None, demos: Path, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"hold 0 of 2 pretraining workers of 32 CPU each; lower"):
        pretrain(make_config(demos, tmp_path, workers=2, worker_cpus=32))


def test_workers_that_reserve_nothing_fit_anywhere(ray_cluster: None) -> None:
    ray_train._check_resources(Config(pretrain=PretrainConfig(workers=2, worker_cpus=0)))
