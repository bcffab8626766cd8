"""Finding and fetching calvin_env, with small stand-ins for its repository."""

import shutil
import subprocess
from pathlib import Path

import pytest

from worldagen.config import ConfigError, EnvConfig
from worldagen.envs.calvin.package import CalvinEnvError, find_checkout, install, installed_path
from worldagen.envs.gl import GLError
from worldagen.envs.suites import prepare_env, task_infos

FILES = (
    "calvin_env/envs/play_table_env.py", "conf/env/play_table_env.yaml", "conf/tasks/new_playtable_tasks.yaml",
    "data/calvin_table_D/urdf/table.urdf", "data/blocks/red.urdf", "data/plane/plane.urdf", "data/franka_panda/p.urdf",
)  # fmt: skip


@pytest.fixture(autouse=True)
def nothing_at_hand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLDAGEN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("CALVIN_ENV_ROOT", "")


def write_checkout(path: Path) -> Path:
    for name in FILES:
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).touch()
    return path


def git(folder: Path, *arguments: str) -> str:
    return subprocess.run(
        ["git", "-C", str(folder), "-c", "user.name=t", "-c", "user.email=t@t", *arguments],
        check=True, capture_output=True, text=True,
    ).stdout.strip()  # fmt: skip


@pytest.fixture
def repository(tmp_path: Path) -> tuple[str, str]:
    """Address of a bare repository whose last commit lost the data, and the commit before."""
    work = write_checkout(tmp_path / "work")
    git(work, "init", "--quiet")
    git(work, "add", ".")
    git(work, "commit", "--quiet", "-m", "whole")
    commit = git(work, "rev-parse", "HEAD")
    shutil.rmtree(work / "data")
    git(work, "commit", "--quiet", "-am", "without data")
    git(tmp_path, "clone", "--quiet", "--bare", str(work), "bare.git")
    return str(tmp_path / "bare.git"), commit


def test_install_checks_the_pinned_commit_out_and_is_found_afterwards(
    repository: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    url, commit = repository
    assert find_checkout() is None
    path = install(url, commit)
    assert path == installed_path(commit) and (path / "data/plane/plane.urdf").is_file()
    assert install("nowhere", commit) == path, "what is there is not fetched again"
    monkeypatch.setattr("worldagen.envs.calvin.package.installed_path", lambda: path)
    assert find_checkout() == path


def test_a_failed_install_says_why_and_leaves_nothing(repository: tuple[str, str], tmp_path: Path) -> None:
    url, commit = repository
    with pytest.raises(CalvinEnvError, match=r"cloning /nowhere\.git failed.*does not exist"):
        install("/nowhere.git", commit)
    with pytest.raises(CalvinEnvError, match="checking out 0123 of"):
        install(url, "0123")
    with pytest.raises(CalvinEnvError, match="without its data"):
        install(url, "HEAD")
    assert list((tmp_path / "cache").iterdir()) == []


def test_install_without_git_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(CalvinEnvError, match="git was not found"):
        install()


def test_a_named_checkout_must_be_whole(tmp_path: Path) -> None:
    with pytest.raises(CalvinEnvError, match=r"\(from env.calvin_root\) is no checkout of calvin_env"):
        find_checkout(str(tmp_path))
    whole = write_checkout(tmp_path / "whole")
    assert find_checkout(str(whole)) == whole
    shutil.rmtree(whole / "data")
    with pytest.raises(CalvinEnvError, match=r"without its data: data/calvin_table_D/urdf, .* missing; run `python -m"):
        find_checkout(str(whole))


def test_the_engine_follows_from_config_and_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    config = EnvConfig(suite="calvin_c", image_size=200, wrist_image_size=84)
    with caplog.at_level("WARNING"):
        alone = prepare_env(config)
    assert "no checkout of calvin_env was found" in caplog.text
    assert (alone.engine, alone.assets, alone.renderer, alone.wrist_image_size) == ("native", "primitive", "tiny", 84)
    config.calvin_root = str(write_checkout(tmp_path / "whole"))
    found = prepare_env(config)
    assert (found.engine, found.assets, found.visuals) == ("calvin_env", "official", "full")
    config.engine = "native"
    assert prepare_env(config).engine == "native"
    config.engine, config.calvin_root = "calvin_env", ""
    monkeypatch.setenv("CALVIN_ENV_ROOT", "")
    with pytest.raises(CalvinEnvError, match="calvin_env was not found; run"):
        prepare_env(config)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"engine": "calvin_env", "assets": "primitive"}, "use env.engine=native for primitive ones"),
        ({"engine": "native", "renderer": "egl"}, "OpenGL needs env.engine=calvin_env"),
    ],
)
def test_settings_that_exclude_each_other_are_refused(
    settings: dict[str, str], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("worldagen.envs.calvin.stage.probe", lambda code, environment: None)
    with pytest.raises(ConfigError, match=message):
        prepare_env(EnvConfig(suite="calvin_d", **settings))  # type: ignore[arg-type]


def test_opengl_that_does_not_work_is_noticed_before_any_worker_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("worldagen.envs.calvin.stage.probe", lambda code, environment: "no libEGL.so.1")
    with pytest.raises(GLError, match=r"no libEGL\.so\.1.*\n.*apt-get install.*\n.*env.renderer=tiny"):
        prepare_env(EnvConfig(suite="calvin_d", renderer="egl"))


def test_unknown_scenes_are_refused_with_the_nearest() -> None:
    with pytest.raises(ConfigError, match="did you mean 'calvin_d'"):
        task_infos("calvin_dd")
    with pytest.raises(ConfigError, match="did you mean 'calvin_d'"):
        prepare_env(EnvConfig(suite="calvin_dd"))
    assert task_infos("calvin_a")["open_drawer"].init_states == 1000
