"""Our trajectories as a LeRobot dataset (format v3.0), for policies trained elsewhere.

A LeRobot frame is one action chunk of ours: the images and the state before it and its `a` actions as one vector of 7 a
values, at control rate / a frames a second. The last frame of an episode is left out, since no action follows it.
Images stay lossless: PNG inside the Parquet files (feature type `image`), not video.

Source of the format: LeRobotDataset in github.com/huggingface/lerobot, release 0.4.4.
"""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from worldagen.atomic import fresh_folder
from worldagen.data.lerobot_stats import PixelCounts, Stats, vector_stats
from worldagen.data.trajectories import DataError, check_sizes, encode, sizes
from worldagen.envs.suites import control_rate
from worldagen.types import ACTION_SIZE, STATE_SIZE, Trajectory

VERSION = "v3.0"
FILE_MEGABYTES, FILES_PER_CHUNK = 100, 1000
_AXES = ("x", "y", "z", "rx", "ry", "rz", "gripper")
_CAMERAS = ("primary", "wrist")
_FILE = "chunk-{chunk_index:03d}/file-{file_index:03d}.parquet"


def export(trajectories: Iterable[Trajectory], out: str | Path, fps: float | None = None) -> dict[str, Any]:
    """Write the dataset folder `out`, whole or not at all, and return what its meta/info.json says.

    `fps` are frames, that is chunks, a second; None takes them from the suite's control rate.
    Raises DataError when `out` exists, there are no trajectories, or they differ in sizes or rate.
    """
    out = Path(out).expanduser().absolute()
    if out.exists():
        raise DataError(f"{out} exists already; name a new folder for the dataset")
    if fps is not None and not fps > 0:
        raise DataError(f"fps={fps} must be greater than 0")
    with fresh_folder(out) as partial:
        return _write(trajectories, partial, fps)


def frame_rate(trajectory: Trajectory) -> float:
    """Stored frames a second of simulated time."""
    return control_rate(trajectory.spec.env.suite) / trajectory.actions.shape[1]


def features(trajectory: Trajectory) -> dict[str, dict[str, Any]]:
    """What a frame holds, as meta/info.json describes it: everything that LeRobot needs and two columns of ours.

    `action` is what the demonstrator intended, the label of a policy; `executed` what was done in its place, noise
    included; of both, the first `real_actions` took place.
    """
    steps = trajectory.actions.shape[1]
    names = [f"{axis}_{step}" for step in range(steps) for axis in _AXES]
    images = {
        f"observation.images.{camera}": {
            "dtype": "image",
            "shape": list(getattr(trajectory, camera).shape[1:]),
            "names": ["height", "width", "channels"],
        }
        for camera in _CAMERAS
    }
    numbers = [("real_actions", "int64"), ("timestamp", "float32")]
    numbers += [(name, "int64") for name in ("frame_index", "episode_index", "index", "task_index")]
    return {
        **images,
        "observation.state": {"dtype": "float32", "shape": [STATE_SIZE], "names": list(_AXES)},
        "action": {"dtype": "float32", "shape": [steps * ACTION_SIZE], "names": names},
        "executed": {"dtype": "float32", "shape": [steps * ACTION_SIZE], "names": names},
        **{name: {"dtype": dtype, "shape": [1], "names": None} for name, dtype in numbers},
    }


def _write(trajectories: Iterable[Trajectory], root: Path, fps: float | None) -> dict[str, Any]:
    dataset: _Dataset | None = None
    for trajectory in trajectories:
        rate = fps or frame_rate(trajectory)
        dataset = dataset or _Dataset(root, trajectory, rate)
        if rate != dataset.fps:
            raise DataError(
                f"episode {trajectory.spec.key} ({trajectory.spec.env.suite}) has {rate:g} frames a second, the first "
                f"one {dataset.fps:g}; export suites apart, or set the rate with --fps"
            )
        dataset.add(trajectory)
    if dataset is None:
        raise DataError("no trajectories to export")
    return dataset.finish()


class _Dataset:
    """A dataset folder while it is written: episodes go into data files of about FILE_MEGABYTES."""

    def __init__(self, root: Path, first: Trajectory, fps: float) -> None:
        self.root, self.fps, self.sizes, self.features = root, fps, sizes(first), features(first)
        self.frames = 0
        self.tasks: dict[str, int] = {}
        self.episodes: list[dict[str, Any]] = []
        self.vectors: list[dict[str, np.ndarray]] = []
        self.pixels = {f"observation.images.{camera}": PixelCounts() for camera in _CAMERAS}
        self.files, self.bytes = 0, 0
        self.writer: pq.ParquetWriter | None = None

    def add(self, trajectory: Trajectory) -> None:
        """Write one episode. Raises DataError when it differs from the first one in sizes."""
        check_sizes(trajectory, self.sizes)
        images = {f"observation.images.{camera}": getattr(trajectory, camera)[:-1] for camera in _CAMERAS}
        vectors = self._vectors(trajectory)
        counts = {name: PixelCounts.of(frames) for name, frames in images.items()}
        columns = {name: _image_column(frames) for name, frames in images.items()}
        columns |= {name: _column(values) for name, values in vectors.items()}
        table = pa.table({name: columns[name] for name in self.features})
        self._write_data(table)
        stats = {name: count.stats() for name, count in counts.items()}
        stats |= {name: vector_stats(values) for name, values in vectors.items()}
        self._describe_episode(trajectory, len(table), stats)
        for name, count in counts.items():
            self.pixels[name] += count
        self.vectors.append(vectors)
        self.frames += len(table)

    def finish(self) -> dict[str, Any]:
        """Write everything below meta/."""
        assert self.writer is not None
        self.writer.close()
        meta = self.root / "meta"
        path = meta / "episodes" / _FILE.format(chunk_index=0, file_index=0)
        path.parent.mkdir(parents=True)
        pq.write_table(pa.Table.from_pylist(self.episodes), path)
        # LeRobot looks sentences up in the index of a pandas table.
        tasks = pd.DataFrame({"task_index": list(self.tasks.values())}, index=pd.Index(list(self.tasks), name="task"))
        tasks.to_parquet(meta / "tasks.parquet")
        stats = {name: count.stats() for name, count in self.pixels.items()}
        stats |= {n: vector_stats(np.concatenate([v[n] for v in self.vectors])) for n in self.vectors[0]}
        _write_json(meta / "stats.json", {n: {k: v.tolist() for k, v in s.items()} for n, s in stats.items()})
        info = self._info()
        _write_json(meta / "info.json", info)
        return info

    def _vectors(self, trajectory: Trajectory) -> dict[str, np.ndarray]:
        """Every column but the images, as (T, size)."""
        chunks = len(trajectory.counts)
        frame = np.arange(chunks)[:, None]
        task = self.tasks.setdefault(trajectory.instruction, len(self.tasks))
        return {
            "observation.state": trajectory.state[:-1],
            "action": _at_rest(trajectory.intended, trajectory.counts).reshape(chunks, -1),
            "executed": _at_rest(trajectory.actions, trajectory.counts).reshape(chunks, -1),
            "real_actions": trajectory.counts[:, None].astype(np.int64),
            "timestamp": (frame / self.fps).astype(np.float32),
            "frame_index": frame,
            "episode_index": np.full_like(frame, len(self.episodes)),
            "index": self.frames + frame,
            "task_index": np.full_like(frame, task),
        }

    def _write_data(self, table: pa.Table) -> None:
        if self.writer is None or self.bytes + table.nbytes > FILE_MEGABYTES << 20:
            if self.writer is not None:
                self.writer.close()
            path = self.root / "data" / _FILE.format(**_file_place(self.files))
            path.parent.mkdir(parents=True, exist_ok=True)
            self.writer = pq.ParquetWriter(path, table.schema)
            self.files, self.bytes = self.files + 1, 0
        self.writer.write_table(table)
        self.bytes += table.nbytes

    def _describe_episode(self, trajectory: Trajectory, length: int, stats: dict[str, Stats]) -> None:
        place = _file_place(self.files - 1)
        self.episodes.append(
            {
                "episode_index": len(self.episodes),
                "tasks": [trajectory.instruction],
                "length": length,
                **{f"data/{name}": number for name, number in place.items()},
                "dataset_from_index": self.frames,
                "dataset_to_index": self.frames + length,
                "meta/episodes/chunk_index": 0,
                "meta/episodes/file_index": 0,
                **{f"stats/{name}/{key}": v.tolist() for name, values in stats.items() for key, v in values.items()},
            }
        )

    def _info(self) -> dict[str, Any]:
        return {
            "codebase_version": VERSION,
            "robot_type": None,
            "total_episodes": len(self.episodes),
            "total_frames": self.frames,
            "total_tasks": len(self.tasks),
            "chunks_size": FILES_PER_CHUNK,
            "data_files_size_in_mb": FILE_MEGABYTES,
            "video_files_size_in_mb": FILE_MEGABYTES,
            "fps": int(self.fps) if self.fps == int(self.fps) else self.fps,
            "splits": {"train": f"0:{len(self.episodes)}"},
            "data_path": f"data/{_FILE}",
            "video_path": None,
            "features": self.features,
        }


def _at_rest(actions: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Actions (T, a, 7) where a chunk that was cut short goes on with the arm at rest and the gripper as it was."""
    filled = actions.copy()
    for chunk in np.flatnonzero(counts < actions.shape[1]):
        filled[chunk, counts[chunk] :] = 0
        filled[chunk, counts[chunk] :, -1] = actions[chunk, counts[chunk] - 1, -1]
    return filled


def _file_place(number: int) -> dict[str, int]:
    chunk, file = divmod(number, FILES_PER_CHUNK)
    return {"chunk_index": chunk, "file_index": file}


def _column(values: np.ndarray) -> pa.Array:
    flat = pa.array(np.ascontiguousarray(values).ravel())
    return flat if values.shape[1] == 1 else pa.FixedSizeListArray.from_arrays(flat, values.shape[1])


def _image_column(frames: np.ndarray) -> pa.StructArray:
    data = pa.array([encode(frame) for frame in frames], pa.binary())
    return pa.StructArray.from_arrays([data, pa.nulls(len(frames), pa.string())], names=["bytes", "path"])


def _write_json(path: Path, content: Any) -> None:
    path.write_text(json.dumps(content, indent=4) + "\n")
