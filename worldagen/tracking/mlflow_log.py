"""MLflow: one parent run per sweep, one child per trial, metrics over TTT steps, artifacts.

`open_sweep` (driver, once) creates the store and the parent run, or finds both again when a run is resumed; what it
returns is plain data that travels to the pretraining workers; of trials the driver tells. Nothing is logged twice on
resume: the parent's id is kept in the run folder, a child is found by its tag, a metric is skipped at steps that it
already has.
"""

import json
import logging
import os
import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # read at import; a training job should not phone home

from mlflow.entities import Metric, Param, Run, RunTag
from mlflow.environment_variables import MLFLOW_HTTP_REQUEST_MAX_RETRIES
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient
from PIL import Image

from worldagen.atomic import write_text
from worldagen.config import Config, run_path, to_dict
from worldagen.config.content import flat

logger = logging.getLogger(__name__)
PARENT_TAG = "mlflow.parentRunId"
TRIAL_TAG = "worldagen.trial"
_PARENT_FILE = "mlflow.json"
_PARAMS_PER_BATCH, _METRICS_PER_BATCH = 100, 1000  # the server's limits


@dataclass(frozen=True)
class TrackedSweep:
    """Where a sweep is tracked."""

    uri: str
    experiment_id: str
    run_id: str
    """The parent run."""


def tracking_uri(config: Config) -> str:
    """The configured MLflow URI, or the sqlite store of the run folder."""
    return config.tracking.mlflow_uri or f"sqlite:///{run_path(config) / 'mlflow.db'}"


def open_sweep(config: Config, name: str) -> TrackedSweep:
    """Create (or, in a run folder that has one, reopen) the parent run `name`; the config becomes its parameters.

    Call it once, in the driver, before any trial logs: the first use of a store creates its tables (some 9 s).
    """
    uri = tracking_uri(config)
    _quiet()
    client = MlflowClient(uri)
    record = run_path(config) / _PARENT_FILE
    earlier = _find_run(client, json.loads(record.read_text())["run_id"]) if record.exists() else None
    if earlier:
        run = earlier
        client.update_run(run.info.run_id, status="RUNNING")
    else:
        run = client.create_run(_experiment(client, uri, config.tracking.experiment), run_name=name)
        write_text(record, json.dumps({"run_id": run.info.run_id}))
    sweep = TrackedSweep(uri, run.info.experiment_id, run.info.run_id)
    with ending_if_it_fails(sweep, sweep.run_id):
        _log_params(client, sweep.run_id, to_dict(config), known=run.data.params)
    return sweep


@contextmanager
def tracked(config: Config, name: str) -> Iterator[TrackedSweep]:
    """`open_sweep`, whose parent run ends with this context: finished, failed, or killed by Ctrl-C."""
    sweep = open_sweep(config, name)
    with ending_if_it_fails(sweep, sweep.run_id):
        yield sweep
    close_run(sweep, sweep.run_id)


@contextmanager
def ending_if_it_fails(sweep: TrackedSweep, run_id: str) -> Iterator[None]:
    """Mark the run failed, or killed, by an error on its way through here. That error is the one to be seen: a store
    that cannot be told either is warned of, after one more request."""
    try:
        yield
    except BaseException as error:
        try:
            with _few_requests():
                _end(sweep, run_id, "KILLED" if isinstance(error, KeyboardInterrupt) else "FAILED")
        except Exception as unreachable:
            logger.warning("%s was not told that run %s ended: %s", sweep.uri, run_id, unreachable)
        raise


def open_trial(sweep: TrackedSweep, name: str, params: Mapping[str, Any]) -> str:
    """Id of the child run of trial `name` under `sweep`, created with `params` if it does not exist yet."""
    client = _client(sweep)
    found = client.search_runs(
        [sweep.experiment_id], f"tags.`{PARENT_TAG}` = '{sweep.run_id}' and tags.`{TRIAL_TAG}` = '{name}'"
    )
    if found:
        client.update_run(found[0].info.run_id, status="RUNNING")
        return found[0].info.run_id
    run = client.create_run(sweep.experiment_id, run_name=name, tags={PARENT_TAG: sweep.run_id, TRIAL_TAG: name})
    _log_params(client, run.info.run_id, params)
    return run.info.run_id


def log_metrics(sweep: TrackedSweep, run_id: str, metrics: Mapping[str, float], step: int) -> None:
    """Log all `metrics` at TTT step `step` in one request; those that already have a value there are left alone."""
    log_curves(sweep, run_id, {step: metrics})


def log_curves(sweep: TrackedSweep, run_id: str, curves: Mapping[int, Mapping[str, float]]) -> None:
    """Log metrics at many steps, in as few requests as can be; values that are there already are left alone."""
    client, now = _client(sweep), int(time.time() * 1000)
    names = {name for metrics in curves.values() for name in metrics}
    known = {name: {value.step for value in client.get_metric_history(run_id, name)} for name in names}
    fresh = [
        Metric(name, float(value), now, step)
        for step, metrics in curves.items()
        for name, value in metrics.items()
        if step not in known[name]
    ]
    for first in range(0, len(fresh), _METRICS_PER_BATCH):
        client.log_batch(run_id, metrics=fresh[first : first + _METRICS_PER_BATCH])


def log_artifacts(sweep: TrackedSweep, run_id: str, path: Path, folder: str = "") -> None:
    """Copy a file, or all of a folder, to `folder` among the artifacts of a run; the same names are overwritten."""
    client = _client(sweep)
    if path.is_dir():
        client.log_artifacts(run_id, str(path), folder or None)
    else:
        client.log_artifact(run_id, str(path), folder or None)


def log_picture(sweep: TrackedSweep, run_id: str, name: str, path: Path, step: int) -> None:
    """Log a picture as the one that `name` shows at `step`: MLflow puts the steps side by side."""
    with Image.open(path) as picture:
        _client(sweep).log_image(run_id, picture, key=name, step=step)


def set_tags(sweep: TrackedSweep, run_id: str, tags: Mapping[str, str]) -> None:
    """Set tags of a run, e.g. why a trial failed."""
    _client(sweep).log_batch(run_id, tags=[RunTag(key, value) for key, value in tags.items()])


def close_run(sweep: TrackedSweep, run_id: str, failed: bool = False) -> None:
    """Mark a run finished or failed."""
    _end(sweep, run_id, "FAILED" if failed else "FINISHED")


def _end(sweep: TrackedSweep, run_id: str, status: str) -> None:
    _client(sweep).set_terminated(run_id, status)


@contextmanager
def _few_requests() -> Iterator[None]:
    """Ask a server that does not answer once more, not for minutes; MLflow reads this at each request."""
    given = MLFLOW_HTTP_REQUEST_MAX_RETRIES.get_raw()
    MLFLOW_HTTP_REQUEST_MAX_RETRIES.set(1)
    try:
        yield
    finally:
        if given is None:
            MLFLOW_HTTP_REQUEST_MAX_RETRIES.unset()
        else:
            MLFLOW_HTTP_REQUEST_MAX_RETRIES.set(given)


def _find_run(client: MlflowClient, run_id: str) -> Run | None:
    """The run, or None if this store does not know it (the URI changed, or the store was deleted)."""
    try:
        return client.get_run(run_id)
    except MlflowException as error:
        if error.error_code == "RESOURCE_DOES_NOT_EXIST":
            return None
        raise


def _client(sweep: TrackedSweep) -> MlflowClient:
    return MlflowClient(sweep.uri)


def _experiment(client: MlflowClient, uri: str, name: str) -> str:
    """Id of the experiment `name`. Artifacts of a sqlite store go beside its file, a server decides for itself."""
    known = client.get_experiment_by_name(name)
    if known:
        return known.experiment_id
    beside = (
        Path(uri.removeprefix("sqlite:///")).resolve().parent / "mlartifacts" if uri.startswith("sqlite:///") else None
    )
    return client.create_experiment(name, artifact_location=beside.as_uri() if beside else None)


def _log_params(client: MlflowClient, run_id: str, params: Mapping[str, Any], known: Collection[str] = ()) -> None:
    """All but the `known`, which stay what they were: MLflow lets nobody change a parameter."""
    given = [Param(name, str(value)) for name, value in _named(params).items() if name not in known]
    for first in range(0, len(given), _PARAMS_PER_BATCH):
        client.log_batch(run_id, params=given[first : first + _PARAMS_PER_BATCH])


def _named(params: Mapping[str, Any]) -> dict[str, Any]:
    """By dotted names, as `flat` makes them; a mapping whose keys MLflow may refuse, such as folders, is one value."""
    plain = {
        name: json.dumps(value)
        if isinstance(value, Mapping) and not all(str(key).isidentifier() for key in value)
        else _named(value)
        if isinstance(value, Mapping)
        else value
        for name, value in params.items()
    }
    return flat(plain)


def _quiet() -> None:
    """The creation of the tables is worth no forty log lines."""
    for name in ("alembic", "mlflow.store.db.utils"):
        logging.getLogger(name).setLevel(logging.WARNING)
