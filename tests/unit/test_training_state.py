"""What a killed run leaves is whole, is its own, and says what is wrong with it."""

from pathlib import Path

import pytest
import torch

from tests.short_training import IDENTITY, Killed, full_disk, run_training
from tests.small import small_model
from worldagen.models import checkpoint
from worldagen.models.weights import CheckpointError
from worldagen.training.state import TrainingError, TrainingState, load_state, save_state


def test_state_of_another_run_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "state.pt"
    save_state(path, TrainingState(1, {}, {}), IDENTITY)
    changed = {"pretrain": {"steps": 9}, "seed": 0}
    with pytest.raises(TrainingError, match=r"pretrain\.steps was 7, now 9; use another run_dir, or delete it"):
        load_state(path, changed)


def test_a_setting_that_is_younger_than_the_state_had_its_default(tmp_path: Path) -> None:
    save_state(tmp_path / "state.pt", TrainingState(1, {}, {}), IDENTITY)
    now = {"pretrain": {"steps": 7, "ema": 0.0}, "seed": 0}
    assert load_state(tmp_path / "state.pt", now) is not None
    now["pretrain"]["ema"] = 0.9
    with pytest.raises(TrainingError, match=r"pretrain\.ema was 0\.0, now 0\.9"):
        load_state(tmp_path / "state.pt", now)


def test_state_of_other_episode_files_is_refused_and_they_are_named(tmp_path: Path) -> None:
    files = {f"k{i}": [f"digest {i}", f"{i}.parquet"] for i in range(9)}
    save_state(tmp_path / "state.pt", TrainingState(1, {}, {}), {**IDENTITY, "files": files})
    now = {**files, "k8": ["another", "8.parquet"], "new": ["digest", "new.parquet"]}
    for key in list(files)[:7]:
        del now[key]
    words = (
        r"run: missing episodes: 0\.parquet, .*, 4\.parquet and 2 more; added episodes: new.*; changed .*: 8\.parquet;"
    )
    with pytest.raises(TrainingError, match=words):
        load_state(tmp_path / "state.pt", {**IDENTITY, "files": now})


def test_a_state_from_before_digests_were_kept_goes_on(tmp_path: Path) -> None:
    save_state(tmp_path / "state.pt", TrainingState(1, {}, {}), IDENTITY)
    assert load_state(tmp_path / "state.pt", {**IDENTITY, "files": {"k": ["digest", "k.parquet"]}}) is not None


def test_damaged_state_is_named(tmp_path: Path) -> None:
    path = tmp_path / "state.pt"
    save_state(path, TrainingState(1, {"w": torch.zeros(1000)}, {}), IDENTITY)
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(TrainingError, match=r"state\.pt is damaged .*delete it to start again"):
        load_state(path, IDENTITY)


def test_what_a_killed_process_wrote_half_is_deleted_with_the_next_state(tmp_path: Path) -> None:
    (tmp_path / ".state.pt.123abc").write_bytes(b"half")
    save_state(tmp_path / "state.pt", TrainingState(1, {}, {}), IDENTITY)
    assert [path.name for path in tmp_path.iterdir()] == ["state.pt"]


def test_a_full_disk_keeps_the_last_state_and_the_run_goes_on_from_it(tmp_path: Path) -> None:
    whole, path = run_training(tmp_path / "whole.pt"), tmp_path / "killed" / "state.pt"
    with pytest.raises(Killed):
        run_training(path, kill_at=3)
    with (
        full_disk(),
        pytest.raises(TrainingError, match=r"cannot write .*state\.pt: .*; what was there before is kept.*Make room"),
    ):
        run_training(path)
    assert [p.name for p in path.parent.iterdir()] == ["state.pt"]
    state = load_state(path, IDENTITY)
    assert state is not None and state.step == 3
    resumed = run_training(path)
    assert all(torch.equal(resumed.state_dict()[name], value) for name, value in whole.state_dict().items())


def test_a_full_disk_keeps_the_last_checkpoint(tmp_path: Path) -> None:
    folder = checkpoint.save(small_model(0), tmp_path / "checkpoint", {})
    before = checkpoint.fingerprint(folder)
    with (
        full_disk(),
        pytest.raises(CheckpointError, match=r"cannot write .*checkpoint: .*; what was there before is kept"),
    ):
        checkpoint.save(small_model(1), folder, {})
    assert checkpoint.fingerprint(checkpoint.load(folder)) == before
    assert [p.name for p in tmp_path.iterdir()] == ["checkpoint"]
