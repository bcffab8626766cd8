"""A finished sweep is read back from its results file alone, without Ray."""

from dataclasses import replace
from pathlib import Path

import pytest

from tests.synthetic import make_trajectory
from tests.synthetic_results import make_results
from worldagen.config import Config, ConfigError, load
from worldagen.data.trajectories import save
from worldagen.envs.suites import configured_shifts
from worldagen.models.checkpoint import fingerprint
from worldagen.sweep import complete
from worldagen.sweep.plan import plan_unit
from worldagen.tracking.mlflow_log import TrackedSweep
from worldagen.types import EnvSpec, Shift

SHIPPED = "checkpoints/calvin"


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Config:
    """Of a run folder that holds a finished sweep's results and nothing else; connecting to Ray is an error."""

    def connect(config: Config) -> None:
        raise AssertionError("the sweep was run again")

    monkeypatch.setattr(complete, "connect", connect)
    run = tmp_path / "run"
    finished = make_results(tmp_path, failed=False, media=False)
    replace(finished, checkpoint=fingerprint(SHIPPED)).save(run / "results.json")
    return load(["configs/calvin.yaml"], [f"run_dir={run}", f"checkpoint={SHIPPED}"])


def test_a_report_that_is_not_there_is_written(config: Config) -> None:
    report = Path(config.run_dir) / complete.REPORT
    results = complete.complete_sweep(config)
    assert results.arms and "<html" in report.read_text()
    report.write_text("kept")
    assert complete.complete_sweep(config) == results and report.read_text() == "kept"


def test_a_report_is_written_from_results_kept_alone(
    config: Config, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Without adapters and films there is less to show, and that is said."""
    run = Path(config.run_dir)
    pictured = replace(make_results(tmp_path, failed=False), checkpoint=fingerprint(SHIPPED))
    assert pictured.control.videos
    pictured.save(run / "results.json")
    complete.complete_sweep(config)
    assert (run / complete.REPORT).exists()
    assert "no picture of predicted frames" in caplog.text and "no films: " in caplog.text


def test_results_of_another_base_are_refused(config: Config) -> None:
    file = Path(config.run_dir) / "results.json"
    replace(complete.SweepResults.load(file), checkpoint="other").save(file)
    with pytest.raises(ConfigError, match=r"other base weights \(other\) than checkpoint=.*choose another run_dir"):
        complete.complete_sweep(config)


def test_a_sweep_with_a_failed_arm_is_run_again(config: Config, tmp_path: Path) -> None:
    failed = make_results(tmp_path, media=False)
    replace(failed, checkpoint=fingerprint(SHIPPED)).save(Path(config.run_dir) / "results.json")
    with pytest.raises(AssertionError, match="run again"):
        complete.complete_sweep(config)


def test_the_world_is_shifted_after_the_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A sweep from nothing would else train in the very world that it is to adapt to."""
    recorded: list[tuple[Shift, ...]] = []
    monkeypatch.setattr(complete, "collect", lambda config, env, tasks: recorded.append(env.shifts))
    monkeypatch.setattr(complete, "pretrain", lambda config, sweep: tmp_path)
    config = load(["configs/from_scratch.yaml"], [f"run_dir={tmp_path}", "env.shifts.camera=0.5"])
    env = EnvSpec(suite=config.env.suite, shifts=configured_shifts(config.env))
    complete._pretrained(config, env, plan_unit(config), TrackedSweep("", "", ""))
    assert env.shifts and recorded == [()]


def test_demonstrations_of_a_shifted_world_are_not_trained_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They may lie in the run folder from another command."""
    monkeypatch.setattr(complete, "collect", lambda *_: pytest.fail("refused too late"))
    config = load(["configs/from_scratch.yaml"], [f"run_dir={tmp_path}"])
    shifted = EnvSpec(suite=config.env.suite, shifts=(Shift(name="camera", strength=0.5),))
    demo = make_trajectory()
    save(replace(demo, spec=replace(demo.spec, env=shifted)), tmp_path / "demos" / "trajectories" / "one.parquet")
    with pytest.raises(ConfigError, match=r"1 demonstrations of a shifted world \(.*camera 0\.5.*use another run_dir"):
        complete._pretrained(config, shifted, plan_unit(config), TrackedSweep("", "", ""))


def test_a_finished_sweep_needs_nothing_that_it_was_run_from(config: Config, tmp_path: Path) -> None:
    gone = replace(config, env=replace(config.env, engine="calvin_env", calvin_root=str(tmp_path / "gone")))
    assert complete.complete_sweep(gone).arms
    (Path(config.run_dir) / "results.json").unlink()
    with pytest.raises(ConfigError, match=r"calvin_root=.*gone: there is no such folder"):
        complete.complete_sweep(gone)
