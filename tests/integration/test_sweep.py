"""A whole sweep with a very small model: killed, resumed, with a trial that explodes; nothing finished runs twice."""

import json
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
import ray
import torch

from tests.fake_suite import SUITE
from worldagen.config import Config, load
from worldagen.envs.suites import prepare_env
from worldagen.models import checkpoint
from worldagen.models.worldagen import WorldAgen
from worldagen.results import SweepResults
from worldagen.sweep.plan import plan_unit
from worldagen.sweep.run import run_sweep
from worldagen.tracking.mlflow_log import open_sweep

pytestmark = [pytest.mark.usefixtures("ray_cluster"), pytest.mark.timeout(240)]

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
    "ttt.learning_rate=[3e-3,1e30]",
    "ttt.rank=[2]",
    "ttt.batch_size=4",
    "ttt.max_concurrent_trials=1",
    "evaluation.episodes_per_task=2",
    "evaluation.step_limit=20",
    "pool.workers=2",
]  # fmt: skip


def configure(folder: Path) -> Config:
    return load(overrides=[*SETTINGS, f"run_dir={folder}", f"checkpoint={folder / 'given'}"])


def sweep(folder: Path) -> SweepResults:
    config = configure(folder)
    tracked = open_sweep(config, "test")
    return run_sweep(config, folder, plan_unit(config), prepare_env(config.env), Path(config.checkpoint), tracked)


def finished_episodes(folder: Path, stage: str) -> Counter[str]:
    """How often each episode was run to its end, by key."""
    log = folder / stage / "episodes.jsonl"
    lines = log.read_text().splitlines() if log.exists() else []
    return Counter(json.loads(line)["key"] for line in lines if line.endswith("}"))


def start_and_kill_after_the_first_arm(folder: Path) -> None:
    """Run the sweep in a process of its own; end it, without warning, once one adapted arm is finished."""
    code = f"import ray; ray.init({ray.get_runtime_context().gcs_address!r}, log_to_driver=False)\n"
    code += f"from pathlib import Path; from tests.integration.test_sweep import sweep; sweep(Path({str(folder)!r}))"
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    try:
        deadline = time.monotonic() + 150
        while len(list(folder.glob("arms/*.json"))) < 2:  # the control is one of them
            if process.poll() is not None or time.monotonic() > deadline:
                process.kill()
                pytest.fail(f"the sweep ended early or is too slow:\n{process.communicate()[0].decode()}")
            time.sleep(0.05)
    finally:
        process.kill()
        process.wait()


def test_a_killed_sweep_resumes_and_shows_every_arm(tmp_path: Path) -> None:
    torch.manual_seed(0)
    checkpoint.save(WorldAgen(configure(tmp_path).model), tmp_path / "given", {})
    start_and_kill_after_the_first_arm(tmp_path)
    explored, evaluated = finished_episodes(tmp_path, "exploration"), finished_episodes(tmp_path, "evaluation")
    adapters = {path: path.stat().st_mtime_ns for path in tmp_path.glob("adapters/*/snapshot.json")}
    assert sum(explored.values()) == 4 and 8 <= sum(evaluated.values()) < 14
    assert len(adapters) >= 2

    results = sweep(tmp_path)

    assert finished_episodes(tmp_path, "exploration") == explored
    again = finished_episodes(tmp_path, "evaluation")
    assert set(again.values()) == {1} and len(again) == 3 * 4 + 2 * 1  # three sound arms, and one video of two arms
    assert all(path.stat().st_mtime_ns == before for path, before in adapters.items())
    check(results, tmp_path)
    results.save(tmp_path / "results.json")
    assert SweepResults.load(tmp_path / "results.json") == results


def check(results: SweepResults, folder: Path) -> None:
    one, three, exploded, never = results.arms
    assert [arm.steps for arm in results.arms] == [1, 3, 1, 3]
    for arm in (results.control, one, three):
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
    assert results.best in (one, three)
    assert len(results.best.videos) == len(results.control.videos) == 1
    assert all((folder / video).stat().st_size for video in (*results.best.videos, *results.control.videos))
    assert results.exploration.windows == 12 and results.exploration.heldout_windows == 4
    assert results.exploration.environment_steps == 80
    assert set(results.seconds) == {"reset", "simulate", "render", "wait", "learn"}
