"""MLflow on a real sqlite store. One store for the whole module: creating its tables takes seconds."""

import contextlib
import json
import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from mlflow.tracking import MlflowClient

from worldagen.config import Config, EnvConfig
from worldagen.tracking import mlflow_log
from worldagen.tracking.mlflow_log import TrackedSweep


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Config:
    return Config(run_dir=str(tmp_path_factory.mktemp("run")), env=EnvConfig(shifts={"camera": 0.5}))


@pytest.fixture(scope="module")
def sweep(config: Config) -> TrackedSweep:
    return mlflow_log.open_sweep(config, "sweep of a test")


@pytest.fixture
def client(sweep: TrackedSweep) -> MlflowClient:
    return MlflowClient(sweep.uri)


def test_store_lies_in_the_run_folder(config: Config, sweep: TrackedSweep, client: MlflowClient) -> None:
    assert (Path(config.run_dir) / "mlflow.db").is_file()
    run = client.get_run(sweep.run_id)
    assert run.info.run_name == "sweep of a test"
    assert run.data.params["ttt.learning_rate"] == "[0.0003, 0.003]"
    assert run.data.params["env.shifts.camera"] == "0.5"
    assert len(run.data.params) > 80
    assert run.info.artifact_uri.startswith((Path(config.run_dir) / "mlartifacts").as_uri())


def test_resumed_run_reuses_parent_and_child(config: Config, sweep: TrackedSweep, client: MlflowClient) -> None:
    child = mlflow_log.open_trial(sweep, "lr 0.001", {"learning_rate": 1e-3, "rank": 8})
    mlflow_log.log_metrics(sweep, child, {"heldout_all": 0.2, "success_rate": 0.5}, step=4)
    mlflow_log.close_run(sweep, child)
    mlflow_log.close_run(sweep, sweep.run_id)

    again = mlflow_log.open_sweep(config, "sweep of a test")
    assert again == sweep
    assert client.get_run(sweep.run_id).info.status == "RUNNING"
    assert mlflow_log.open_trial(again, "lr 0.001", {"learning_rate": 1e-3, "rank": 8}) == child
    mlflow_log.log_metrics(again, child, {"heldout_all": 0.2, "success_rate": 0.5}, step=4)
    mlflow_log.log_metrics(again, child, {"heldout_all": 0.1}, step=16)

    history = client.get_metric_history(child, "heldout_all")
    assert sorted((metric.step, metric.value) for metric in history) == [(4, 0.2), (16, 0.1)]
    assert len(client.get_metric_history(child, "success_rate")) == 1
    run = client.get_run(child)
    assert run.data.tags["mlflow.parentRunId"] == sweep.run_id
    assert run.data.params == {"learning_rate": "0.001", "rank": "8"}


def test_every_trial_is_its_own_child(sweep: TrackedSweep) -> None:
    first = mlflow_log.open_trial(sweep, "trial a", {})
    assert mlflow_log.open_trial(sweep, "trial b", {}) != first


def test_trials_log_at_the_same_time(sweep: TrackedSweep, client: MlflowClient) -> None:
    def trial(number: int) -> str:
        run_id = mlflow_log.open_trial(sweep, f"parallel {number}", {"number": number})
        for step in (1, 2):
            mlflow_log.log_metrics(sweep, run_id, {"value": number}, step)
        return run_id

    with ThreadPoolExecutor(4) as threads:
        runs = list(threads.map(trial, range(4)))
    for number, run_id in enumerate(runs):
        assert [metric.value for metric in client.get_metric_history(run_id, "value")] == [number, number]


def test_artifacts_of_a_file_and_a_folder(sweep: TrackedSweep, client: MlflowClient, tmp_path: Path) -> None:
    (tmp_path / "adapter").mkdir()
    (tmp_path / "adapter" / "adapter.json").write_text("{}")
    (tmp_path / "note.txt").write_text("a note")
    run_id = mlflow_log.open_trial(sweep, "with artifacts", {})
    mlflow_log.log_artifacts(sweep, run_id, tmp_path / "adapter", "adapters/v1")
    mlflow_log.log_artifacts(sweep, run_id, tmp_path / "note.txt")
    assert [item.path for item in client.list_artifacts(run_id, "adapters/v1")] == ["adapters/v1/adapter.json"]
    assert Path(client.download_artifacts(run_id, "note.txt")).read_text() == "a note"


def test_failed_trial_is_marked(sweep: TrackedSweep, client: MlflowClient) -> None:
    run_id = mlflow_log.open_trial(sweep, "failing", {})
    mlflow_log.set_tags(sweep, run_id, {"error": "the adaptation moved nothing"})
    mlflow_log.close_run(sweep, run_id, failed=True)
    run = client.get_run(run_id)
    assert run.info.status == "FAILED" and run.data.tags["error"] == "the adaptation moved nothing"


def test_store_without_the_earlier_parent_gets_a_new_one(config: Config, sweep: TrackedSweep) -> None:
    record = Path(config.run_dir) / "mlflow.json"
    kept = record.read_text()
    record.write_text(json.dumps({"run_id": "0" * 32}))
    try:
        assert mlflow_log.open_sweep(config, "another").run_id != sweep.run_id
    finally:
        record.write_text(kept)


def test_settings_named_by_whoever_runs_are_logged_whatever_their_names(config: Config, sweep: TrackedSweep) -> None:
    params = {"data": {"datasets/goal/": 1.0, "~/x": 2.0}, "shifts": {"camera": 0.5}}
    run = MlflowClient(sweep.uri).get_run(mlflow_log.open_trial(sweep, "odd names", params))
    assert run.data.params == {"data": '{"datasets/goal/": 1.0, "~/x": 2.0}', "shifts.camera": "0.5"}


@pytest.mark.parametrize(
    ("error", "status"), [(None, "FINISHED"), (ValueError("no"), "FAILED"), (KeyboardInterrupt(), "KILLED")]
)
def test_a_parent_run_ends_with_its_sweep(config: Config, error: BaseException | None, status: str) -> None:
    with contextlib.suppress(ValueError, KeyboardInterrupt), mlflow_log.tracked(config, "ends") as sweep:
        if error:
            raise error
    assert MlflowClient(sweep.uri).get_run(sweep.run_id).info.status == status


def test_a_server_that_is_away_does_not_hide_the_error(caplog: pytest.LogCaptureFixture) -> None:
    """And is not asked for minutes."""
    nobody = TrackedSweep("http://127.0.0.1:9", "0", "a")
    before = dict(os.environ)
    with pytest.raises(ValueError, match="the simulators broke"), mlflow_log.ending_if_it_fails(nobody, "a run"):
        raise ValueError("the simulators broke")
    assert "http://127.0.0.1:9 was not told that run a run ended" in caplog.text
    assert dict(os.environ) == before


def test_settings_that_could_not_be_logged_are_logged_by_the_next_start(
    tmp_path: Path, config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copy(Path(config.run_dir) / "mlflow.db", tmp_path)
    here = replace(config, run_dir=str(tmp_path))
    with monkeypatch.context() as patched, pytest.raises(ConnectionError):
        patched.setattr(MlflowClient, "log_batch", lambda *arguments, **settings: raise_(ConnectionError("away")))
        mlflow_log.open_sweep(here, "interrupted")
    again = mlflow_log.open_sweep(replace(here, pool=replace(here.pool, workers=7)), "interrupted")
    assert again.run_id == json.loads((tmp_path / "mlflow.json").read_text())["run_id"]
    params = MlflowClient(again.uri).get_run(again.run_id).data.params
    assert len(params) > 80 and params["pool.workers"] == "7"
    mlflow_log.open_sweep(here, "with another pool")  # MLflow would refuse to change the 7


def raise_(error: Exception) -> None:
    raise error
