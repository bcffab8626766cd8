"""A whole sweep with a very small model: killed, resumed, with a trial that explodes and one that ASHA ends, confirmed
on fresh states; nothing finished runs twice."""

import json
import os
import re
import subprocess
import sys
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
import ray
import torch
from mlflow.tracking import MlflowClient

from pipelines import evaluate, ttt_sweep
from tests.conftest import ROOT
from tests.fake_suite import SUITE
from worldagen.arms import Arm
from worldagen.config import load
from worldagen.models import checkpoint
from worldagen.models.worldagen import WorldAgen
from worldagen.results import SweepResults

pytestmark = [pytest.mark.usefixtures("ray_cluster"), pytest.mark.timeout(900)]

SETTINGS = [
    f"env.suite={SUITE}",
    "env.tasks=[push,pull]",
    "env.image_size=16",
    *(
        f"model.{name}={value}"
        for name, value in {
            "image_size": 16, "vision_width": 16, "vision_depth": 1, "vision_heads": 2, "resampler_heads": 2,
            "resampler_head_dim": 8, "resampler_queries": 2, "hidden": 16, "layers": 2, "heads": 2, "head_dim": 8,
            "mlp": 32, "decoder_depth": 1, "decoder_heads": 2, "observation_queries": 1,
        }.items()
    ),
    "explore.episodes=3",
    "explore.heldout_episodes=1",
    "explore.step_limit=20",
    "ttt.steps=[1,3]",
    "ttt.learning_rate=[3e-3,1e-2,1e30]",
    "ttt.rank=[2]",
    "ttt.batch_size=4",
    "ttt.asha=drift",
    "ttt.max_concurrent_trials=1",
    "evaluation.episodes_per_task=2",
    "evaluation.confirm_episodes=1",
    "evaluation.step_limit=20",
    "pool.workers=2",
]  # fmt: skip


def settings(folder: Path) -> list[str]:
    return [*SETTINGS, f"run_dir={folder}", f"checkpoint={folder.parent / 'given'}"]


def finished_episodes(folder: Path, stage: str) -> Counter[str]:
    """How often each episode was run to its end, by key."""
    log = folder / stage / "episodes.jsonl"
    lines = log.read_text().splitlines() if log.exists() else []
    return Counter(json.loads(line)["key"] for line in lines if line.endswith("}"))


def start_and_kill_after_the_first_arm(folder: Path) -> None:
    """Run the command on this cluster; end it, without warning, once one adapted arm is finished."""
    process = subprocess.Popen(
        [sys.executable, str(ROOT / "pipelines" / "ttt_sweep.py"), *settings(folder)],
        env={**os.environ, "RAY_ADDRESS": ray.get_runtime_context().gcs_address},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    try:
        deadline = time.monotonic() + 400
        while len(list(folder.glob("arms/*.json"))) < 2:  # the control is one of them
            if process.poll() is not None or time.monotonic() > deadline:
                process.kill()
                pytest.fail(f"the sweep ended early or is too slow:\n{process.communicate()[0].decode()}")
            time.sleep(0.05)
    finally:
        process.kill()
        process.wait()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    checkpoint.save(WorldAgen(load(overrides=settings(tmp_path)[:-1]).model), tmp_path / "given", {})
    return tmp_path / "run"


def test_a_killed_sweep_resumes_and_shows_every_arm(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    start_and_kill_after_the_first_arm(folder)
    explored, evaluated = finished_episodes(folder, "exploration"), finished_episodes(folder, "evaluation")
    adapters = {path: path.stat().st_mtime_ns for path in folder.glob("adapters/*/snapshot.json")}
    assert sum(explored.values()) == 4 and 8 <= sum(evaluated.values()) < 22
    assert len(adapters) >= 2

    config = load(overrides=settings(folder))
    with pytest.raises(SystemExit, match="2 arms failed"):
        ttt_sweep.run(config)

    assert finished_episodes(folder, "exploration") == explored
    again = finished_episodes(folder, "evaluation")
    results = SweepResults.load(folder / "results.json")
    # Four sound arms, two videos, and the confirmation of the control and of one arm or two; none of them twice.
    confirmed = {arm.adapter for confirmation in results.confirmations for arm in confirmation.arms}
    assert set(again.values()) == {1} and len(again) == 4 * 4 + 2 * 1 + 2 * (1 + len(confirmed))
    assert all(path.stat().st_mtime_ns == before for path, before in adapters.items())
    check(results, folder)
    check_tracking(folder, results)

    replace(results, arms=results.arms[:2]).save(folder / "results.json")
    monkeypatch.setattr(
        "worldagen.sweep.complete.run_missing", lambda *_: pytest.fail("a finished run must do nothing")
    )
    capsys.readouterr()
    ttt_sweep.run(config)
    assert capsys.readouterr().out == f"report: {folder / 'report' / 'index.html'}\n"

    check_evaluation(folder, results.arms[1], capsys, tmp_path)


def check(results: SweepResults, folder: Path) -> None:
    one, three, drifted, ended, exploded, never = results.arms
    assert [arm.steps for arm in results.arms] == [1, 3, 1, 3, 1, 3]
    for arm in (results.control, one, three, drifted):
        assert not arm.failed and arm.measurement and len(arm.training_loss) == arm.steps
        assert [outcome.pair for outcome in arm.outcomes] == [outcome.pair for outcome in results.control.outcomes]
        assert (folder / arm.predictions).exists()
        assert arm.seconds["simulate"] > 0
    assert len(results.control.outcomes) == 4
    assert one.training_loss == three.training_loss[:1]
    assert results.control.measurement and results.control.measurement.arm_drift == 0.0
    assert three.measurement and three.measurement.arm_drift > 0 and three.measurement.update_norm > 0
    for arm in (exploded, never):
        assert "use a smaller ttt.learning_rate" in arm.error and not arm.outcomes
    assert ended.ended == "ASHA ended its trial after 1 steps (ttt.asha=drift)"
    assert not ended.outcomes and not ended.failed and len(results.failed) == 2
    assert results.best in (one, three, drifted)
    assert results.confirmation and results.confirmation.arms[0].adapter == results.best.adapter
    assert {outcome.init_state for outcome in results.confirmation.control} == {2}
    chosen = results.chosen.arms if results.chosen else ()
    assert [arm.adapter for arm in chosen] == [arm.adapter for arm in results.chosen_group]
    assert len(results.best.videos) == len(results.control.videos) == 1
    assert all((folder / video).stat().st_size for video in (*results.best.videos, *results.control.videos))
    assert results.exploration.windows == 12 and results.exploration.heldout_windows == 4
    assert results.exploration.environment_steps == 80
    assert set(results.seconds) == {"reset", "simulate", "render", "wait", "learn"}


def check_tracking(folder: Path, results: SweepResults) -> None:
    """MLflow holds one parent and a child for each trial, with a value at each step count."""
    client = MlflowClient(f"sqlite:///{folder / 'mlflow.db'}")
    runs = {run.info.run_name: run for run in client.search_runs([client.search_experiments()[0].experiment_id])}
    assert {name: run.info.status for name, run in runs.items()} == {
        "run": "FINISHED", trial_name(3e-3): "FINISHED", trial_name(1e-2): "FINISHED", trial_name(1e30): "FAILED"
    }  # fmt: skip
    assert runs[trial_name(1e-2)].data.tags["ended_after"] == "1"
    assert "smaller ttt.learning_rate" in runs[trial_name(1e30)].data.tags["error"]
    run_id = runs[trial_name(3e-3)].info.run_id
    curve = client.get_metric_history(run_id, "curve/changed")
    points = results.arms[1].curve
    assert [(point.step, point.value) for point in curve] == [
        (point.step, point.measurement.changed) for point in points
    ]
    assert [point.step for point in points] == [1, 2, 3]
    assert {file.path for file in client.list_artifacts(run_id, "adapters")} == {
        f"adapters/{arm.adapter}" for arm in results.arms[:2]
    }
    history = client.get_metric_history(run_id, "changed")
    arms = [results.control, *results.arms[:2]]
    expected = [(arm.steps, arm.measurement.changed) for arm in arms if arm.measurement]
    assert [(point.step, point.value) for point in history] == expected
    assert {file.path for file in client.list_artifacts(runs["run"].info.run_id)} == {"report", "videos"}


def check_evaluation(folder: Path, arm: Arm, capsys: pytest.CaptureFixture[str], downloads: Path) -> None:
    """pipelines/evaluate.py finds for the sweep's adapter, as MLflow keeps it, what the sweep found."""
    client = MlflowClient(f"sqlite:///{folder / 'mlflow.db'}")
    run = client.search_runs([client.search_experiments()[0].experiment_id], f"tags.adapter_{arm.steps} != ''")[-1]
    version = run.data.tags[f"adapter_{arm.steps}"]
    adapter = client.download_artifacts(run.info.run_id, f"adapters/{arm.adapter}", str(downloads))
    assert run.info.run_name == trial_name(3e-3) and Path(adapter).name == version == arm.adapter
    evaluate.run(
        load(overrides=[*settings(folder), f"evaluation.adapter={adapter}", f"run_dir={folder.parent / 'eval'}"])
    )
    successes = sum(outcome.success for outcome in arm.outcomes)
    assert re.search(rf"^adapted +{successes}/4 ", capsys.readouterr().out, re.MULTILINE)
    assert len(finished_episodes(folder.parent / "eval", "evaluation")) == 8


def trial_name(learning_rate: float) -> str:
    return f"plain, lr {learning_rate:g}, rank 2, 3 episodes"
