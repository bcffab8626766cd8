"""One folder, one configuration."""

import json
import os
from pathlib import Path

import pytest

from worldagen.config import Config, ConfigError, load
from worldagen.run_folder import open_run_folder


def config(folder: Path, *overrides: str) -> Config:
    return load(overrides=[f"run_dir={folder}", *overrides])


def begin(given: Config) -> Path:
    """Open the folder and leave something in it."""
    folder = open_run_folder(given)
    (folder / "demos").mkdir()
    return folder


def test_the_same_configuration_may_enter_again(tmp_path: Path) -> None:
    first = begin(config(tmp_path / "run", "ttt.learning_rate=[1e-4]"))
    assert first.is_absolute() and (first / "config.json").exists()
    assert open_run_folder(config(tmp_path / "run", "ttt.learning_rate=[1e-4]")) == first


@pytest.mark.parametrize(
    "harmless",
    [
        "pool.workers=7",
        "pretrain.workers=2",
        "pretrain.loaders=2",
        "pretrain.validate_every=7",
        "inference.servers=3",
        "inference.max_adapters=64",
        "ray_address=auto",
        "tracking.experiment=x",
        "ttt.windows_at_once=5",
        "evaluation.retry_failed=true",
    ],
)
def test_settings_that_change_no_result_may_differ(tmp_path: Path, harmless: str) -> None:
    begin(config(tmp_path))
    open_run_folder(config(tmp_path, harmless))


@pytest.mark.parametrize("share", ["pool.worker_gpus", "ttt.gpus"])
def test_a_share_of_a_gpu_may_change_but_not_to_none(tmp_path: Path, share: str) -> None:
    begin(config(tmp_path, f"{share}=0.5"))
    open_run_folder(config(tmp_path, f"{share}=0.25"))
    with pytest.raises(ConfigError, match=rf"{share} \(0.5 there, 0.0 now\)"):
        open_run_folder(config(tmp_path, f"{share}=0"))


def test_another_configuration_is_refused_and_the_difference_named(tmp_path: Path) -> None:
    begin(config(tmp_path))
    with pytest.raises(ConfigError, match=r"ttt\.steps \(\[4, 16, 64\] there, \[1\] now\).*choose another run_dir"):
        open_run_folder(config(tmp_path, "ttt.steps=[1]"))


def test_a_folder_of_an_earlier_version_may_lack_settings_and_lists(tmp_path: Path) -> None:
    written = begin(config(tmp_path, "explore.episodes=[12]")) / "config.json"
    settings = json.loads(written.read_text())
    del settings["pretrain"]["ema"]
    settings["explore"]["episodes"] = 12
    written.write_text(json.dumps(settings))
    open_run_folder(config(tmp_path, "explore.episodes=[12]"))
    with pytest.raises(ConfigError, match=r"explore\.episodes \(12 there, \[12, 24\] now\)"):
        open_run_folder(config(tmp_path, "explore.episodes=[12,24]"))
    with pytest.raises(ConfigError, match=r"pretrain\.ema \(0\.0 there, 0\.9 now\)"):
        open_run_folder(config(tmp_path, "explore.episodes=[12]", "pretrain.ema=0.9"))


def test_a_run_that_never_began_binds_nobody(tmp_path: Path) -> None:
    open_run_folder(config(tmp_path, "env.assets=official"))
    open_run_folder(config(tmp_path))
    (tmp_path / "demos").mkdir()
    assert open_run_folder(config(tmp_path)) == tmp_path


def test_a_folder_that_cannot_be_made_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="cannot write there") as raised:
        open_run_folder(config(tmp_path / "file" / "run"))
    assert "\n" not in str(raised.value)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_folder_is_refused(tmp_path: Path) -> None:
    open_run_folder(config(tmp_path))
    tmp_path.chmod(0o500)
    with pytest.raises(ConfigError, match="read-only"):
        open_run_folder(config(tmp_path))


def test_a_damaged_record_is_refused(tmp_path: Path) -> None:
    begin(config(tmp_path))
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(ConfigError, match="cannot be read"):
        open_run_folder(config(tmp_path))
