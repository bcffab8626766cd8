"""What is exported for LeRobot is read back the way its format is documented, and by its own reader where installed."""

import dataclasses
import io
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from PIL import Image

from tests.synthetic import make_trajectory
from worldagen.data import lerobot
from worldagen.data.trajectories import DataError, save
from worldagen.types import EnvSpec, Trajectory


def sources() -> list[Trajectory]:
    """Three episodes of two tasks, each with a last chunk of three actions."""
    return [make_trajectory(index, chunks=4 + index, task="aba"[index]) for index in range(3)]


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    lerobot.export(sources(), tmp_path / "dataset")
    return tmp_path / "dataset"


def test_the_files_are_where_the_format_says(dataset: Path) -> None:
    assert sorted(str(path.relative_to(dataset)) for path in dataset.rglob("*") if path.is_file()) == [
        "data/chunk-000/file-000.parquet",
        "meta/episodes/chunk-000/file-000.parquet",
        "meta/info.json",
        "meta/stats.json",
        "meta/tasks.parquet",
    ]
    assert [path.name for path in dataset.parent.iterdir()] == ["dataset"], "nothing half-written is left"
    info = json.loads((dataset / "meta" / "info.json").read_text())
    assert (info["codebase_version"], info["fps"]) == ("v3.0", 4)
    assert (info["total_episodes"], info["total_frames"], info["total_tasks"]) == (3, 15, 2)
    assert info["splits"] == {"train": "0:3"}
    assert info["data_path"].format(chunk_index=0, file_index=0) == "data/chunk-000/file-000.parquet"
    assert info["features"]["observation.images.primary"] == {
        "dtype": "image",
        "shape": [16, 16, 3],
        "names": ["height", "width", "channels"],
    }
    assert info["features"]["action"]["shape"] == [35] and info["features"]["action"]["names"][7:9] == ["x_1", "y_1"]


def test_frames_hold_what_the_trajectories_hold(dataset: Path) -> None:
    frames = pq.read_table(dataset / "data" / "chunk-000" / "file-000.parquet").to_pylist()
    assert [frame["index"] for frame in frames] == list(range(15))
    episodes = pq.read_table(dataset / "meta" / "episodes" / "chunk-000" / "file-000.parquet").to_pylist()
    tasks = pd.read_parquet(dataset / "meta" / "tasks.parquet")
    for number, (episode, source) in enumerate(zip(episodes, sources(), strict=True)):
        assert episode["episode_index"] == number and episode["tasks"] == [source.instruction]
        own = frames[episode["dataset_from_index"] : episode["dataset_to_index"]]
        assert len(own) == episode["length"] == len(source.counts)
        assert (episode["data/chunk_index"], episode["data/file_index"]) == (0, 0)
        for chunk, frame in enumerate(own):
            assert (frame["episode_index"], frame["frame_index"]) == (number, chunk)
            assert frame["timestamp"] == chunk / 4 and frame["real_actions"] == source.counts[chunk]
            assert tasks.iloc[frame["task_index"]].name == source.instruction
            for camera in ("primary", "wrist"):
                image = Image.open(io.BytesIO(frame[f"observation.images.{camera}"]["bytes"]))
                np.testing.assert_array_equal(np.asarray(image), getattr(source, camera)[chunk])
            np.testing.assert_array_equal(np.float32(frame["observation.state"]), source.state[chunk])
            real = source.counts[chunk]
            for column, actions in (("action", source.intended), ("executed", source.actions)):
                given = np.float32(frame[column]).reshape(5, 7)
                np.testing.assert_array_equal(given[:real], actions[chunk, :real])
                assert not given[real:, :6].any() and (given[real:, 6] == given[real - 1, 6]).all()


def test_statistics_are_those_of_all_frames(dataset: Path) -> None:
    stats = json.loads((dataset / "meta" / "stats.json").read_text())
    states = np.concatenate([t.state[:-1] for t in sources()]).astype(np.float64)
    np.testing.assert_allclose(stats["observation.state"]["mean"], states.mean(0))
    np.testing.assert_allclose(stats["observation.state"]["std"], states.std(0))
    np.testing.assert_allclose(stats["observation.state"]["q90"], np.quantile(states, 0.9, axis=0))
    assert stats["observation.state"]["count"] == [15] and len(stats["action"]["max"]) == 35
    pixels = np.concatenate([t.primary[:-1] for t in sources()]).reshape(-1, 3) / 255
    found = {name: np.array(value) for name, value in stats["observation.images.primary"].items()}
    assert found["mean"].shape == (3, 1, 1) and found["count"] == [15]
    expected = {
        "min": pixels.min(0),
        "max": pixels.max(0),
        "mean": pixels.mean(0),
        "std": pixels.std(0),
        "q01": np.quantile(pixels, 0.01, axis=0, method="inverted_cdf"),
        "q50": np.quantile(pixels, 0.5, axis=0, method="inverted_cdf"),
    }
    for name, value in expected.items():
        np.testing.assert_allclose(found[name].ravel(), value)
    episodes = pq.read_table(dataset / "meta" / "episodes" / "chunk-000" / "file-000.parquet").to_pylist()
    np.testing.assert_allclose(episodes[1]["stats/observation.state/max"], sources()[1].state[:-1].max(0))


def test_large_datasets_are_split_into_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lerobot, "FILE_MEGABYTES", 0)
    monkeypatch.setattr(lerobot, "FILES_PER_CHUNK", 2)
    lerobot.export(sources(), tmp_path / "out")
    episodes = pq.read_table(tmp_path / "out" / "meta" / "episodes" / "chunk-000" / "file-000.parquet").to_pylist()
    places = [(episode["data/chunk_index"], episode["data/file_index"]) for episode in episodes]
    assert places == [(0, 0), (0, 1), (1, 0)]
    for (chunk, file), episode in zip(places, episodes, strict=True):
        table = pq.read_table(tmp_path / "out" / "data" / f"chunk-{chunk:03d}" / f"file-{file:03d}.parquet")
        assert set(table["episode_index"].to_pylist()) == {episode["episode_index"]}


def test_what_cannot_be_one_dataset_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    out = tmp_path / "out"
    first = sources()[0]
    calvin = dataclasses.replace(first, spec=dataclasses.replace(first.spec, env=EnvSpec(suite="calvin_a")))
    with pytest.raises(DataError, match=r"\(calvin_a\) has 6 frames a second, the first one 4; .*--fps"):
        lerobot.export([first, calvin], out)
    with pytest.raises(DataError, match=r"\(24, 24\), \(24, 24\), 5\), the first one"):
        lerobot.export([first, make_trajectory(size=24)], out)
    with pytest.raises(DataError, match="no trajectories"):
        lerobot.export([], out)
    with pytest.raises(DataError, match="fps=0 must be greater than 0"):
        lerobot.export([first], out, fps=0)
    assert not any(tmp_path.iterdir())
    assert lerobot.export([first, calvin], out, fps=5)["fps"] == 5
    with pytest.raises(DataError, match="out exists already"):
        lerobot.export([first], out)


def test_the_command_exports_a_folder(tmp_path: Path) -> None:
    for index, trajectory in enumerate(sources()):
        save(dataclasses.replace(trajectory, success=index > 0), tmp_path / "demos" / f"{index}.parquet")
    command = [sys.executable, "pipelines/export_lerobot.py", str(tmp_path / "demos"), str(tmp_path / "out")]
    done = subprocess.run([*command, "--fps", "2.5"], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("2 episodes, 11 frames at 2.5 a second in ")
    again = subprocess.run(command, capture_output=True, text=True)
    assert again.returncode == 1 and again.stderr.splitlines()[-1].startswith("error: ")


def test_lerobot_reads_it(dataset: Path) -> None:
    reader = pytest.importorskip(
        "lerobot.datasets.lerobot_dataset", reason="the lerobot package is not installed", exc_type=ImportError
    )
    read = reader.LeRobotDataset("local/dataset", root=dataset, delta_timestamps={"action": [0.0, 0.25]})
    assert (len(read), read.num_episodes, read.fps) == (15, 3, 4)
    source = sources()[1]
    item = read[4 + 4]  # the last frame of the second episode
    assert item["task"] == "do b" and item["episode_index"] == 1 and item["timestamp"] == 1.0
    pixels = (item["observation.images.wrist"].numpy() * 255).round().astype(np.uint8)
    np.testing.assert_array_equal(pixels.transpose(1, 2, 0), source.wrist[4])
    np.testing.assert_array_equal(item["observation.state"].numpy(), source.state[4])
    np.testing.assert_array_equal(item["action"][0].numpy().reshape(5, 7)[:3], source.intended[4, :3])
    assert item["action_is_pad"].tolist() == [False, True]
    assert read.meta.stats["observation.images.primary"]["mean"].shape == (3, 1, 1)
