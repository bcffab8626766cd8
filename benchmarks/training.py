"""What Ray Train costs: a step of data-parallel training on two CPU workers, beside the same in plain processes.

    python benchmarks/training.py                            # 40 turns of 5 steps each
    python benchmarks/training.py --turns 3 --steps 2        # does it run?

Plain is what torchrun does: one process a worker, joined by gloo. Both run `pretraining.work` with the tiny model on
made-up episodes, and take turns: while one trains for a few steps, the other one waits, so whatever else the machine
does slows both. A turn's time is what the loop itself records for its steps. The figure is the mean ratio of turns that
follow each other, with its 95 % interval (Student, on logarithms), and the ratio of the fastest turns.
"""

import argparse
import json
import logging
import math
import os
import statistics
import tempfile
import time
from functools import partial
from pathlib import Path

import ray
import torch
from data import SHARED, write_parquet
from scipy.stats import t
from torch import distributed, multiprocessing

from worldagen.config import Config, EnvConfig, PretrainConfig
from worldagen.training.loop import Record
from worldagen.training.objective import Worker
from worldagen.training.pretraining import Plan, plan, work
from worldagen.training.ray_train import ENVIRONMENT, _fit, _trainer

WORKERS, BATCH = 2, 16
PATIENCE = 1800.0
"""Seconds after which the other one is taken for dead."""


def settings(folder: Path, name: str, turns: int, steps: int) -> Config:
    training = PretrainConfig(
        steps=(turns + 1) * steps,  # the first turn warms up and is not counted
        warmup_steps=1,
        batch_size=BATCH,
        validate_every=steps,
        validation_windows=1,
        workers=WORKERS,
        threads=1,
        failures=0,
    )
    return Config(
        run_dir=str(folder / name), demos_dir=str(folder / "demos"), env=EnvConfig(image_size=64), pretrain=training
    )


def hand_over(turn: Path, own: str, other: str, steps: int, record: Record) -> None:
    """Give the turn to the `other` and wait to get it back."""
    waiting = turn.with_suffix(f".{own}")
    waiting.write_text(other)
    waiting.replace(turn)
    deadline = time.monotonic() + PATIENCE
    while record["step"] < steps and turn.read_text() != own:
        if time.monotonic() > deadline:
            raise RuntimeError(f"{other} has not answered for {PATIENCE:.0f} s")
        time.sleep(0.01)


def plain_worker(rank: int, run: Plan, turn: Path) -> None:
    torch.set_num_threads(run.config.pretrain.threads)
    distributed.init_process_group("gloo", init_method=f"file://{turn}.store", rank=rank, world_size=WORKERS)
    work(run, Worker(rank, WORKERS), partial(hand_over, turn, "plain", "ray", run.config.pretrain.steps))
    distributed.destroy_process_group()


def train_both(folder: Path, turns: int, steps: int) -> dict[str, list[float]]:
    """Seconds of a step in each turn."""
    runs = {name: plan(settings(folder, name, turns, steps)) for name in ("ray", "plain")}
    turn = folder / "turn"
    os.environ.update(ENVIRONMENT)
    processes = multiprocessing.spawn(plain_worker, (runs["plain"], turn), nprocs=WORKERS, join=False, daemon=True)
    ray.init("local", num_cpus=WORKERS, include_dashboard=False, logging_level=logging.ERROR)
    _fit(_trainer(runs["ray"], partial(hand_over, turn, "ray", "plain", runs["ray"].config.pretrain.steps)))
    while not processes.join():
        pass
    ray.shutdown()
    curves = {name: json.loads(run.curve.read_text())[1:] for name, run in runs.items()}
    return {name: [BATCH / part["windows_per_second"] for part in curve] for name, curve in curves.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--turns", type=int, default=40)
    parser.add_argument("--steps", type=int, default=5, help="of a turn")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "demos").mkdir()
        write_parquet(Path(folder) / "demos", 20 * SHARED, (64, 64))
        found = train_both(Path(folder), args.turns, args.steps)
    ratios = [math.log(one / other) for one, other in zip(found["ray"], found["plain"], strict=True)]
    mean, half = statistics.mean(ratios), math.inf
    if len(ratios) > 1:
        half = t.ppf(0.975, len(ratios) - 1) * statistics.stdev(ratios) / math.sqrt(len(ratios))
    for name, seconds in found.items():
        print(f"{name:5} {1000 * statistics.median(seconds):.1f} ms a step, {1000 * min(seconds):.1f} in its best turn")
    low, high = (math.expm1(mean + sign * half) for sign in (-1, 1))
    print(f"overhead of Ray Train: {math.expm1(mean):+.2%} [{low:+.2%}, {high:+.2%}]", end="; ")
    print(f"of the fastest turns: {min(found['ray']) / min(found['plain']) - 1:+.2%}")


if __name__ == "__main__":
    main()
