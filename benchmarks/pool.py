"""What the rollout pool costs: `python benchmarks/pool.py [overhead] [restart] [memory]` (all three by default).

overhead  a simulator that sleeps 50 ms a step: one worker, and two, against a bare loop over the same episodes
restart   from the death of the only worker, in the middle of an episode, to the end of the next try
memory    memory of driver and pool, and episodes/s, while many short episodes run
"""

import os
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import psutil  # noqa: E402
import ray  # noqa: E402

from tests.fakes import FakeEnv, spec  # noqa: E402
from worldagen.config import PoolConfig  # noqa: E402
from worldagen.rollout.episode import run_episode  # noqa: E402
from worldagen.rollout.policies import RandomPolicy  # noqa: E402
from worldagen.rollout.pool import Pool  # noqa: E402
from worldagen.types import EpisodeSpec  # noqa: E402


def start(folder: str, **settings: float) -> Pool:
    """A pool whose workers are up."""
    pool = Pool.start(PoolConfig(**settings), folder)  # type: ignore[arg-type]
    list(pool.run([spec("sleep 0.05", seed) for seed in range(-8, 0)]))
    return pool


def overhead(episodes: int = 10, steps: int = 40) -> None:
    specs = [spec("sleep 0.05", seed, step_limit=steps) for seed in range(episodes)]
    started = time.monotonic()
    for one in specs:
        run_episode(FakeEnv(one.env), RandomPolicy(), one)
    bare = time.monotonic() - started
    print(f"bare loop: {episodes} episodes of {steps} steps of 50 ms: {bare:.2f} s")
    for workers in (1, 2):
        with tempfile.TemporaryDirectory() as folder:
            pool = start(folder, workers=workers)
            started = time.monotonic()
            list(pool.run(specs))
            seconds = time.monotonic() - started
            pool.close()
        print(f"pool, {workers} workers: {seconds:.2f} s, {bare / seconds:.3f} x the bare loop's rate")


def restart(tries: int = 5) -> None:
    with tempfile.TemporaryDirectory() as folder:
        pool = start(folder, workers=1)
        for seed in range(tries):
            started = time.monotonic()
            list(pool.run([spec("exit", seed, instruction=folder)]))
            print(f"killed and done again: {time.monotonic() - started:.2f} s")
        pool.close()


def memory(episodes: int = 20_000) -> None:
    def specs() -> Iterator[EpisodeSpec]:
        return (spec("push", seed, step_limit=1) for seed in range(episodes))

    with tempfile.TemporaryDirectory() as folder:
        pool = start(folder, workers=2)
        actor = next(process for process in psutil.process_iter() if "ray::Dispatcher" in " ".join(process.cmdline()))
        started = time.monotonic()
        for count, _ in enumerate(pool.run(specs()), 1):
            if count % (episodes // 10) == 0:
                sizes = [process.memory_info().rss / 2**20 for process in (psutil.Process(), actor)]
                rate = count / (time.monotonic() - started)
                print(f"{count} episodes: driver {sizes[0]:.0f} MB, pool {sizes[1]:.0f} MB, {rate:.0f} episodes/s")
        pool.close()


if __name__ == "__main__":
    os.environ["PYTHONPATH"] = str(ROOT)
    ray.init("local", num_cpus=2, include_dashboard=False, logging_level="ERROR", log_to_driver=False)
    for name in sys.argv[1:] or ("overhead", "restart", "memory"):
        print(f"-- {name}, load {os.getloadavg()[0]:.1f} on {os.cpu_count()} CPUs")
        {"overhead": overhead, "restart": restart, "memory": memory}[name]()
