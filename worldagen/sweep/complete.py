"""A configuration's sweep from beginning to end: whatever an earlier run of its folder finished is read back."""

from dataclasses import replace
from pathlib import Path

from worldagen.cluster import connect, warn_of_gpus
from worldagen.config import Config, ConfigError, run_path
from worldagen.data.trajectories import info
from worldagen.envs.suites import in_words, prepare_env
from worldagen.models.checkpoint import fingerprint
from worldagen.models.given import given_checkpoint
from worldagen.report.page import write_report
from worldagen.results import SweepResults
from worldagen.rollout.demos import collect, demos_folder
from worldagen.run_folder import open_run_folder
from worldagen.sweep.plan import Unit, check_inputs, plan_unit
from worldagen.sweep.run import run_sweep
from worldagen.sweep.tracking import log_results
from worldagen.tracking.mlflow_log import TrackedSweep, tracked
from worldagen.training.ray_train import pretrain
from worldagen.types import EnvSpec

RESULTS, REPORT = "results.json", Path("report") / "index.html"
"""In the run folder."""


def complete_sweep(config: Config) -> SweepResults:
    """The sweep's results: read back if nothing is missing or failed, else with what is missing run. A report that is
    not there is written. Raises ConfigError as `look_up` does."""
    unit, folder, results = look_up(config)
    if results is None or results.failed:
        return run_missing(config, folder, unit)
    if not (folder / REPORT).exists():
        write_report(results, folder)
    return results


def look_up(config: Config) -> tuple[Unit, Path, SweepResults | None]:
    """What the sweep is of, its run folder (entered, or made), and the results there if it was completed. Raises
    ConfigError for whatever would stop the sweep and can be known before."""
    unit, file = plan_unit(config), run_path(config) / RESULTS
    if not file.exists():  # a finished sweep is read back without what it was run from
        check_inputs(config)
    folder = open_run_folder(config)
    return unit, folder, _read_back(config, file) if file.exists() else None


def _read_back(config: Config, file: Path) -> SweepResults:
    results = SweepResults.load(file)
    if config.checkpoint and results.checkpoint != (given := fingerprint(given_checkpoint(config))):
        raise ConfigError(
            f"{file} is of other base weights ({results.checkpoint}) than checkpoint={config.checkpoint} ({given}); "
            "choose another run_dir"
        )
    return results


def run_missing(config: Config, folder: Path, unit: Unit) -> SweepResults:
    """Run what is missing, on Ray; write results and report; tell MLflow."""
    env = prepare_env(config.env)
    connect(config)
    warn_of_gpus(config)
    print(f"{in_words(env)}; results in {folder}")
    with tracked(config, folder.name) as sweep:
        checkpoint = given_checkpoint(config) if config.checkpoint else _pretrained(config, env, unit, sweep)
        results = run_sweep(config, folder, unit, env, checkpoint, sweep)
        write_report(results, folder)
        log_results(sweep, folder, results)
        results.save(folder / RESULTS)  # last: with it the sweep counts as complete
    return results


def _pretrained(config: Config, env: EnvSpec, unit: Unit, sweep: TrackedSweep) -> Path:
    """A checkpoint of our own. The demonstrations know none of the shifts: the world changes after the training."""
    if not (config.demos_dir or config.pretrain.data):
        _refuse_shifted(demos_folder(config))
        collect(config, replace(env, shifts=()), tuple(unit.instructions))
    return pretrain(config, sweep)


def _refuse_shifted(folder: Path) -> None:
    """Training reads all that lies there, and another command may have recorded shifted ones."""
    shifted = [spec for path in folder.rglob("*.parquet") if (spec := info(path).spec).env.shifts]
    if shifted:
        raise ConfigError(
            f"{folder} holds {len(shifted)} demonstrations of a shifted world ({in_words(shifted[0].env)}), but a "
            "sweep shifts the world after the training; use another run_dir, or train with pipelines/pretrain.py"
        )
