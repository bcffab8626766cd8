"""What a frozen vision transformer sees is kept on disk, once and only of the very same episodes."""

import dataclasses
from pathlib import Path

import pytest
import torch

from tests.short_training import Killed, curtain_config, full_disk, invert, trained
from worldagen.config import Config, ConfigError
from worldagen.config import load as load_config
from worldagen.data.episodes import EpisodeFiles
from worldagen.models.weights import CheckpointError
from worldagen.models.worldagen import WorldAgen
from worldagen.training.predict import predict
from worldagen.training.pretraining import plan, work
from worldagen.training.state import TrainingError
from worldagen.training.vision_cache import SeenWindows, cache_path, see_all


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return curtain_config(tmp_path)


@pytest.fixture
def frozen(config: Config, tmp_path: Path) -> Config:
    """The same with a frozen vision transformer, whose weights lie in a file as MAE's do."""
    model = dataclasses.replace(config.model, vision_frozen=True)
    mae = tmp_path / "mae.pth"
    torch.save({"model": {**WorldAgen(model).vision.state_dict(), "decoder_embed.weight": torch.zeros(1)}}, mae)
    settings = dataclasses.replace(config.pretrain, vision_checkpoint=str(mae), steps=4, warmup_steps=1)
    return dataclasses.replace(config, model=model, pretrain=settings)


def test_what_was_seen_of_an_episode_is_not_used_for_a_changed_one(frozen: Config, tmp_path: Path) -> None:
    model = WorldAgen(frozen.model)

    def path() -> Path:
        return cache_path(tmp_path, model, EpisodeFiles(plan(frozen).training), torch.float32)

    before = path()
    assert path() == before
    invert(plan(frozen).training[0].path)
    assert path() != before


def test_training_from_kept_features_gives_the_same_weights(frozen: Config, tmp_path: Path) -> None:
    torch.set_num_threads(1)
    plain = trained(frozen, tmp_path / "plain").state_dict()
    cached = trained(frozen, tmp_path / "cached", cache_vision=True).state_dict()
    vision = torch.load(frozen.pretrain.vision_checkpoint, weights_only=True)["model"]
    for name, tensor in cached.items():
        torch.testing.assert_close(tensor, plain[name], rtol=0, atol=1e-5)
        if name.startswith("vision."):
            assert torch.equal(tensor, vision[name.removeprefix("vision.")]), "frozen, and the file's"
    assert len(list((tmp_path / "cached" / "pretrain" / "vision").glob("*.npy"))) == 2


def test_frames_are_encoded_once_and_an_interrupted_encoding_goes_on(
    frozen: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, files = WorldAgen(frozen.model), EpisodeFiles(plan(frozen).training)
    path, calls = tmp_path / "seen.npy", []
    see = model.see

    def dies_at_the_fourth(*frames: torch.Tensor) -> torch.Tensor:
        calls.append(len(frames[0]))
        if len(calls) == 4:
            raise Killed
        return see(*frames)

    monkeypatch.setattr(model, "see", dies_at_the_fourth)
    with pytest.raises(Killed):
        see_all(model, files, path, torch.float32)
    assert not path.exists()
    table = path.with_suffix(".partial.npy").stat()
    assert table.st_blocks * 512 >= table.st_size, "a full disk is noticed before, not while it is written to"
    see_all(model, files, path, torch.float32)
    see_all(model, files, path, torch.float32)
    assert len(calls) == len(files) + 1, "three episodes were done, the fourth was begun twice"
    windows = SeenWindows(files, model.config.chunks, path)
    batch = windows.batch(range(len(windows)))
    torch.testing.assert_close(
        predict(model, batch).arm, predict(model, dataclasses.replace(batch, seen=None)).arm, rtol=0, atol=1e-5
    )


def test_a_kill_while_the_progress_is_written_does_no_harm(
    frozen: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, files, path = WorldAgen(frozen.model), EpisodeFiles(plan(frozen).training), tmp_path / "seen.npy"
    write = Path.write_text

    def dies_in_the_third(self: Path, text: str) -> int:
        if text == "3":
            write(self, "")
            raise Killed
        return write(self, text)

    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(Path, "write_text", dies_in_the_third)
        see_all(model, files, path, torch.float32)
    see_all(model, files, path, torch.float32)
    assert len(SeenWindows(files, model.config.chunks, path)) > 0


def test_a_disk_without_room_for_the_features_is_told_before_they_are_computed(frozen: Config, tmp_path: Path) -> None:
    model, files, path = WorldAgen(frozen.model), EpisodeFiles(plan(frozen).training), tmp_path / "seen" / "seen.npy"
    with (
        full_disk(),
        pytest.raises(TrainingError, match=r"cannot make room for .*, 0\.\d+ GB .*too large; free as much, or set"),
    ):
        see_all(model, files, path, torch.float32)
    assert not list(path.parent.iterdir())
    see_all(model, files, path, torch.float32)


def test_a_frozen_vision_transformer_needs_weights(frozen: Config) -> None:
    without = dataclasses.replace(frozen, pretrain=dataclasses.replace(frozen.pretrain, vision_checkpoint=""))
    with pytest.raises(ConfigError, match=r"set pretrain\.vision_checkpoint"):
        plan(without)
    other = dataclasses.replace(frozen, model=dataclasses.replace(frozen.model, vision_width=48))
    with pytest.raises(CheckpointError, match=r"mae\.pth does not fit .*cls_token"):
        work(plan(other))
    with pytest.raises(ConfigError, match=r"cache_vision=true needs model\.vision_frozen"):
        load_config([], ["pretrain.cache_vision=true"])
