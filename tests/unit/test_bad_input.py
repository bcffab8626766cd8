"""What a pipeline answers to settings that cannot be: one line that says what to do, and nothing started."""

from pathlib import Path

import pytest

from pipelines import collect_demos, evaluate
from worldagen.cli import main
from worldagen.envs import gl
from worldagen.envs.suites import prepare_env

CALVIN_ENV = "calvin_env/envs/play_table_env.py conf/env/play_table_env.yaml conf/tasks/new_playtable_tasks.yaml"


@pytest.fixture
def answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    """Exit code and error of a pipeline that is called with settings."""
    monkeypatch.delenv("CALVIN_ENV_ROOT", raising=False)
    monkeypatch.delenv("MUJOCO_GL", raising=False)
    monkeypatch.setenv("WORLDAGEN_CACHE", str(tmp_path / "cache"))

    def call(run, *settings: str) -> tuple[int, str]:
        monkeypatch.setattr("sys.argv", ["pipeline", f"run_dir={tmp_path / 'run'}", *settings])
        for pipeline in (collect_demos, evaluate):
            monkeypatch.setattr(pipeline, "connect", lambda _: pytest.fail("Ray was started"))
        with pytest.raises(SystemExit) as ended:
            main(run, doc="")
        return int(ended.value.code or 0), capsys.readouterr().err

    return call


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (["env.suite=libero_gaol"], "did you mean 'libero_goal'?"),
        (["env.suite=no_such.module:Env"], "is its folder in PYTHONPATH?"),
        (["env.tasks=[turn_on_stove]"], "did you mean 'turn_on_the_stove'?"),
        (["env.suite=calvin_dd"], "did you mean 'calvin_d'?"),
        (["env.suite=calvin_d", "env.tasks=[open_draw]"], "did you mean 'open_drawer'?"),
        (["env.shifts.camra=0.5"], "did you mean 'camera'?"),
        (["env.visuals=ful"], "did you mean 'full'?"),
        (["env.image_size=0", "model.image_size=0"], "must be greater than 0"),
        (["demos.first_init_state=50"], "has 50 initial states"),
    ],
)
def test_a_setting_that_does_not_exist_is_one_line_and_exit_code_2(answer, settings: list[str], words: str) -> None:
    code, error = answer(collect_demos.run, *settings)
    assert code == 2 and words in error
    assert error.startswith("error: ") and error.count("\n") == 1


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (["evaluation.episodes_per_task=51"], "has 50 initial states"),
        (["evaluation.protocol=calvin_oficial"], "did you mean 'calvin_official'?"),
        (["evaluation.protocol=calvin_official"], "run in calvin_d, not in env.suite=libero_goal"),
        (["env.suite=libero_90"], "name those that the policy was trained on, e.g."),
    ],
)
def test_an_evaluation_that_cannot_be_is_refused(answer, settings: list[str], words: str) -> None:
    code, error = answer(evaluate.run, *settings)
    assert code == 2 and words in error and error.count("\n") == 1


def test_what_this_machine_lacks_is_one_line_and_exit_code_1(answer, tmp_path: Path) -> None:
    calvin = ["env.suite=calvin_d", "env.engine=calvin_env"]
    for file in CALVIN_ENV.split():
        (tmp_path / "checkout" / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "checkout" / file).touch()
    for settings, words in {
        (f"env.assets_path={tmp_path}", "env.assets=official"): "holds no official LIBERO assets",
        tuple(calvin): "run `python -m worldagen.envs.calvin install`",
        (*calvin, f"env.calvin_root={tmp_path}"): "is no checkout of calvin_env",
        (*calvin, f"env.calvin_root={tmp_path / 'checkout'}"): "a checkout of calvin_env without its data",
    }.items():
        code, error = answer(lambda config: prepare_env(config.env), *settings)
        assert code == 1 and words in error, error
        assert error.count("\n") == 1


def test_a_shift_that_a_simulator_does_not_have_is_refused(answer) -> None:
    code, error = answer(lambda config: prepare_env(config.env), "env.suite=calvin_d", "env.shifts.table_height=0.5")
    assert code == 2 and "table_height" in error and error.count("\n") == 1


def test_without_opengl_the_line_that_installs_it_is_printed(answer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gl, "probe", lambda *_: "ImportError: no EGL")
    code, error = answer(collect_demos.run)
    assert code == 1 and gl.APT_LINE in error and "Traceback" not in error


def test_settings_may_stand_before_between_and_after_options(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(
        "sys.argv", ["pipeline", "seed=2", "--config", "configs/libero.yaml", "seed=3", "--dry-run", "run_dir=x"]
    )
    main(lambda config: pytest.fail("started"), doc="", dry_run=lambda config: f"{config.run_dir} {config.seed}")
    assert capsys.readouterr().out == "x 3\n"
