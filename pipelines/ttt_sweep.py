"""The main job: explore with the pretrained policy, adapt the world model in many ways, measure each, write the report.

Without a checkpoint, demonstrations are collected and a model is pretrained first. Whatever an earlier run of the same
folder finished is read back, so the same command resumes; a finished run prints its report's path.
"""

import sys
from pathlib import Path

from worldagen.cli import main
from worldagen.cluster import connect
from worldagen.config import Config
from worldagen.envs.suites import in_words, prepare_env
from worldagen.report.page import write_report
from worldagen.results import SweepResults
from worldagen.rollout.demos import collect
from worldagen.run_folder import open_run_folder
from worldagen.sweep.plan import Unit, describe, given_checkpoint, plan_unit
from worldagen.sweep.run import run_sweep
from worldagen.sweep.tracking import log_results
from worldagen.tracking import mlflow_log
from worldagen.training.ray_train import pretrain


def run(config: Config) -> None:
    unit = plan_unit(config)
    folder = open_run_folder(config)
    file, page = folder / "results.json", folder / "report" / "index.html"
    results = SweepResults.load(file) if file.exists() and page.exists() else None
    if results is None or results.failed:
        results = sweep(config, folder, unit, file)
    print(f"report: {page}")
    if results.failed:
        lines = [f"  {arm.name}: {arm.error}" for arm in results.failed]
        sys.exit("\n".join([f"error: {len(lines)} arms failed; the report shows the others", *lines]))


def sweep(config: Config, folder: Path, unit: Unit, file: Path) -> SweepResults:
    """Run what is missing, on Ray; write results and report; tell MLflow."""
    env = prepare_env(config.env)
    connect(config)
    print(f"{in_words(env)}; results in {folder}")
    tracked = mlflow_log.open_sweep(config, folder.name)
    if config.checkpoint:
        checkpoint = given_checkpoint(config)
    else:
        if not (config.demos_dir or config.pretrain.data):
            collect(config, env, tuple(unit.instructions))
        checkpoint = pretrain(config, tracked)
    results = run_sweep(config, folder, unit, env, checkpoint, tracked)
    results.save(file)
    write_report(results, folder)
    log_results(tracked, folder, results)
    return results


if __name__ == "__main__":
    main(run, doc=__doc__, dry_run=describe)
