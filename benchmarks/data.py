"""How many windows a second each reader gives, beside what training the tiny model takes, and memory over an epoch.

    python benchmarks/data.py                                    # 1,000 episodes
    python benchmarks/data.py --loaders 2                        # read by two processes
    python benchmarks/data.py --episodes 40 --windows 640        # does it run?

Files are written first, in the published formats and sizes: CALVIN's compressed .npz per frame (200 and 84 pixels),
LIBERO's HDF5 (128 pixels), and our Parquet, where the epoch's images fit the cache or exceed it tenfold. Episodes share
their frames, as CALVIN's spans do, so the disk holds a tenth of them. Each reader runs in a process of its own, or in
several (`--loaders`) that share the size of the cache, and reads the windows of an epoch as training does.
"""

import argparse
import contextlib
import json
import math
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import psutil
import torch
from PIL import Image

from worldagen.config import ModelConfig
from worldagen.data import trajectories
from worldagen.data.calvin import CalvinSplit
from worldagen.data.demonstrations import StepWindows
from worldagen.data.episodes import CACHE_BYTES, EpisodeFiles
from worldagen.data.libero import LiberoDemos
from worldagen.data.order import Mixture
from worldagen.data.windows import WindowDataset
from worldagen.models.precision import compute_type
from worldagen.models.worldagen import WorldAgen
from worldagen.training.loading import StepBatches, read_ahead
from worldagen.training.objective import Objective, Worker, backward
from worldagen.types import EnvSpec, EpisodeSpec, PolicySpec, Trajectory

STEPS, ACTIONS, CHUNKS, BATCH = 64, 5, 2, 32
"""Control steps of an episode (CALVIN's longest spans), and the tiny model's windows."""
SHARED = 10
"""Episodes that share one's frames."""


def images(rng: np.random.Generator, frames: int, size: int) -> np.ndarray:
    """uint8 (frames, size, size, 3), about as hard to compress as a rendered scene: smooth, with a little noise."""
    coarse = rng.integers(0, 256, (frames, 12, 12, 3), np.uint8)
    smooth = np.stack([np.asarray(Image.fromarray(image).resize((size, size))) for image in coarse])
    return np.clip(smooth.astype(np.int16) + rng.integers(-2, 3, smooth.shape), 0, 255).astype(np.uint8)


def write_calvin(folder: Path, episodes: int) -> None:
    """One recording; the episodes are spans of it that overlap."""
    rng, frames = np.random.default_rng(0), episodes // SHARED * STEPS + STEPS + 1
    for frame in range(frames):
        np.savez_compressed(
            folder / f"episode_{frame:07d}.npz",
            rgb_static=images(rng, 1, 200)[0],
            rgb_gripper=images(rng, 1, 84)[0],
            rel_actions=rng.uniform(-1, 1, 7),
            robot_obs=rng.normal(size=15),
            scene_obs=rng.normal(size=24),
        )
    spans = [(int(start), int(start) + STEPS) for start in rng.integers(0, frames - STEPS, episodes)]
    about = {
        "language": {"ann": ["open the drawer"] * episodes, "task": ["open_drawer"] * episodes},
        "info": {"indx": spans},
    }
    np.save(folder / "auto_lang_ann.npy", about)  # type: ignore[arg-type]


def write_libero(folder: Path, episodes: int) -> None:
    """Ten task files, uncompressed as published; a demonstration appears under several names."""
    rng = np.random.default_rng(0)
    for task in range(10):
        with h5py.File(folder / f"task_{task}_demo.hdf5", "w") as file:
            data = file.create_group("data")
            data.attrs["problem_info"] = json.dumps({"language_instruction": "open the drawer"})
            for demo in range(episodes // 10):
                if demo % SHARED:
                    data[f"demo_{demo}"] = data[f"demo_{demo - demo % SHARED}"]
                    continue
                group = data.create_group(f"demo_{demo}")
                for key in ("agentview_rgb", "eye_in_hand_rgb"):
                    group[f"obs/{key}"] = images(rng, STEPS + 1, 128)
                group["obs/ee_states"] = rng.normal(size=(STEPS + 1, 6))
                group["actions"] = rng.uniform(-1, 1, (STEPS + 1, 7))


def write_parquet(folder: Path, episodes: int, sizes: tuple[int, int]) -> None:
    rng, chunks = np.random.default_rng(0), -(-STEPS // ACTIONS)
    actions = rng.uniform(-1, 1, (chunks, ACTIONS, 7)).astype(np.float32)
    for index in range(episodes // SHARED):
        spec = EpisodeSpec(env=EnvSpec(), task="a", init_state=index, seed=0, policy=PolicySpec(kind="expert"))
        trajectory = Trajectory(
            spec=spec,
            instruction="open the drawer",
            primary=images(rng, chunks + 1, sizes[0]),
            wrist=images(rng, chunks + 1, sizes[1]),
            state=rng.normal(size=(chunks + 1, 7)).astype(np.float32),
            actions=actions,
            intended=actions,
            counts=np.full(chunks, ACTIONS, np.int32),
            success=True,
        )
        trajectories.save(trajectory, folder / f"{index}.parquet")


def parquet_windows(folder: Path, loaders: int = 1, cached: float = math.inf) -> WindowDataset:
    """Every file as SHARED episodes; the cache is training's, at most for this share of them all."""
    infos = [trajectories.info(path) for path in sorted(folder.glob("*.parquet"))]
    infos = [replace(info) for info in infos for _ in range(SHARED)]
    first = trajectories.load(infos[0].path)
    wanted = cached * len(infos) * (first.primary.nbytes + first.wrist.nbytes)
    files = EpisodeFiles(infos, int(min(wanted, CACHE_BYTES)) // loaders)
    return WindowDataset(files, CHUNKS, files.lengths)


READERS: dict[str, tuple[Callable[..., Any], Callable[..., Any]]] = {
    "CALVIN npz, 200 + 84 px": (
        write_calvin,
        lambda path, loaders: StepWindows(CalvinSplit(path, suite="calvin_d"), CHUNKS, ACTIONS),
    ),
    "LIBERO HDF5, 128 px": (write_libero, lambda path, loaders: StepWindows(LiberoDemos(path), CHUNKS, ACTIONS)),
    "Parquet, 64 px": (
        lambda path, n: write_parquet(path, n, (64, 64)),
        parquet_windows,
    ),
    "Parquet, 200 + 84 px": (
        lambda path, n: write_parquet(path, n, (200, 84)),
        parquet_windows,
    ),
    "the same, cache of a tenth": (
        lambda path, n: write_parquet(path, n, (200, 84)),
        lambda path, loaders: parquet_windows(path, loaders, cached=0.1),
    ),
}


def read_epoch(name: str, folder: Path, windows: int, loaders: int) -> dict[str, Any]:
    """Windows/s over `windows` windows spread over all episodes, and MiB in memory in the middle of each tenth."""
    dataset = READERS[name][1](folder, max(1, loaders))
    steps = range(windows // BATCH)
    batches = StepBatches(dataset, Mixture((len(dataset),)), BATCH, accumulate=1, seed=0)
    marks = {int(part[len(part) // 2]) for part in np.array_split(steps, 10)}
    started, measuring, memory = time.perf_counter(), 0.0, []
    for step, _ in zip(steps, read_ahead(batches, steps, loaders, "cpu"), strict=True):
        if step in marks:
            began = time.perf_counter()
            memory.append(used_memory())
            measuring += time.perf_counter() - began
    return {"windows/s": len(steps) * BATCH / (time.perf_counter() - started - measuring), "memory": memory}


def used_memory() -> float:
    """MiB of this process and its children, what they share counted once."""
    me, used = psutil.Process(), 0
    for each in (me, *me.children(recursive=True)):
        with contextlib.suppress(psutil.Error):  # it has read its last window and is gone
            used += each.memory_full_info().pss
    return used / 2**20


def training_speed(folder: Path, threads: int) -> float:
    """Windows/s of the tiny model's optimiser step on a batch that is at hand."""
    torch.set_num_threads(threads)
    write_parquet(folder, SHARED * 4, (64, 64))
    batch = parquet_windows(folder).batch(range(BATCH))
    model = WorldAgen(ModelConfig())
    objective = Objective(model, compute_type("auto", "cpu"), "cpu")
    optimizer = torch.optim.AdamW(model.parameters(), fused=True)
    weights, best = torch.ones(3), 0.0
    for _ in range(6):
        started = time.perf_counter()
        optimizer.zero_grad()
        backward(objective, [batch], weights, Worker())
        optimizer.step()
        best = max(best, BATCH / (time.perf_counter() - started))
    return best


def measure(names: list[str], args: argparse.Namespace) -> Iterator[tuple[str, dict[str, Any]]]:
    for name in names:
        with tempfile.TemporaryDirectory(dir=args.folder) as folder:
            READERS[name][0](Path(folder), args.episodes)
            how = ["--folder", folder, "--windows", str(args.windows), "--loaders", str(args.loaders)]
            command = [sys.executable, __file__, "--read", name, *how]
            found = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
        yield name, json.loads(found.splitlines()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--episodes", type=int, default=1000)
    parser.add_argument(
        "--windows", type=int, default=13_000, help="read from each; an epoch of ours has 13 an episode"
    )
    parser.add_argument("--loaders", type=int, default=0, help="processes that read; 0 is a thread")
    parser.add_argument("--threads", type=int, default=2, help="of the training step")
    parser.add_argument("--folder", help="where the files are written, 2 GB at most; the system's temporary folder")
    parser.add_argument("--read", choices=list(READERS), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.windows < 10 * BATCH:
        parser.error(f"--windows={args.windows}: memory is told ten times, so read at least {10 * BATCH}")
    if args.read:
        print(json.dumps(read_epoch(args.read, Path(args.folder), args.windows, args.loaders)))
        return
    with tempfile.TemporaryDirectory(dir=args.folder) as folder:
        needed = training_speed(Path(folder), args.threads)
    print(f"training the tiny model: {needed:.0f} windows/s with {args.threads} threads")
    for name, found in measure(list(READERS), args):
        memory = " ".join(f"{each:.0f}" for each in found["memory"])
        print(f"{name:28} {found['windows/s']:6.0f} windows/s ({found['windows/s'] / needed:4.1f}x)   MiB: {memory}")


if __name__ == "__main__":
    main()
