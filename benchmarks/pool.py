"""What the rollout pool costs and survives: `python benchmarks/pool.py [part ...]`, all parts by default.

overhead  a simulator that sleeps 50 ms a step: one worker, and two, against a bare loop over the same episodes
real      the same with LIBERO (primitive assets, light look)
many      1 to 256 simulators that sleep 50 ms a step, several to a process: share of the ideal rate
restart   from the death of the only worker, in the middle of an episode, to the end of the next try
kills     a tenth of the workers killed every 30 s: episodes lost or done twice, and the rate that is left
memory    memory of driver and pool, and episodes/s, while 100,000 short episodes run
"""

import logging
import os
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import psutil  # noqa: E402
import ray  # noqa: E402

from tests.fakes import FakeEnv, spec  # noqa: E402
from worldagen.config import PoolConfig  # noqa: E402
from worldagen.envs.base import Env, make_env  # noqa: E402
from worldagen.rollout.episode import run_episode  # noqa: E402
from worldagen.rollout.policies import RandomPolicy  # noqa: E402
from worldagen.rollout.pool import Pool  # noqa: E402
from worldagen.types import EnvSpec, EpisodeSpec, PolicySpec  # noqa: E402

PUBLISHED = {1: 1.0, 8: 0.92, 32: 0.75, 80: 0.5}
"""vla-evaluation-harness: share of the ideal rate by number of environments."""


def seconds_of(specs: Sequence[EpisodeSpec], warm_up: Sequence[EpisodeSpec], **settings: float) -> float:
    """Time a pool needs for `specs` once all its workers are up and have done some of `warm_up`."""
    with tempfile.TemporaryDirectory() as folder:
        pool = Pool.start(PoolConfig(**settings), folder)  # type: ignore[arg-type]
        turn, complete = 0, False
        while not complete:
            complete, turn = pool.stats().workers == settings["workers"], turn + 1
            list(pool.run([replace(one, init_state=turn, seed=10**6 * turn + one.seed) for one in warm_up]))
        started = time.monotonic()
        list(pool.run(specs))
        seconds = time.monotonic() - started
        pool.close()
    return seconds


def bare_seconds(specs: Sequence[EpisodeSpec], env: Env) -> float:
    """Time a plain loop needs for `specs`, in this process."""
    started = time.monotonic()
    for one in specs:
        run_episode(env, RandomPolicy(), one)
    return time.monotonic() - started


def overhead(episodes: int = 10, steps: int = 40) -> None:
    specs = [spec("sleep 0.05", seed, step_limit=steps) for seed in range(episodes)]
    bare = bare_seconds(specs, FakeEnv(specs[0].env))
    print(f"bare loop: {episodes} episodes of {steps} steps of 50 ms: {bare:.2f} s")
    for workers in (1, 2):
        seconds = seconds_of(specs, [spec("sleep 0.05", seed) for seed in range(-8, 0)], workers=workers)
        print(f"pool, {workers} workers: {seconds:.2f} s, {bare / seconds:.3f} x the bare loop's rate")


def real(episodes: int = 100, steps: int = 60) -> None:
    def libero(seed: int) -> EpisodeSpec:
        random = PolicySpec(kind="random")
        return EpisodeSpec(
            env=EnvSpec(), task="turn_on_the_stove", init_state=seed % 50, seed=seed, policy=random, step_limit=steps
        )

    specs, warm_up = [libero(seed) for seed in range(episodes)], [libero(seed) for seed in range(1000, 1008)]
    env = make_env(specs[0].env)
    bare_seconds(warm_up, env)
    bare = bare_seconds(specs, env)
    env.close()
    print(f"bare loop: {episodes} LIBERO episodes of {steps} steps: {bare:.2f} s")
    for workers in (1, 2):
        seconds = seconds_of(specs, warm_up, workers=workers)
        print(f"pool, {workers} workers: {seconds:.2f} s, {bare / seconds:.3f} x the bare loop's rate")


def many(counts: Sequence[int] = (1, 8, 32, 80, 256), steps: int = 100, rounds: int = 4) -> None:
    for count in counts:
        workers = min(count, 8)
        lanes = count // workers
        asked = {"step_limit": steps, "image_size": 128}
        warm_up = [spec("sleep 0.05", -1 - index, step_limit=5, image_size=128) for index in range(4 * count)]
        specs = [spec("sleep 0.05", index, **asked) for index in range(rounds * count)]  # type: ignore[arg-type]
        seconds = seconds_of(specs, warm_up, workers=workers, envs_per_worker=lanes, worker_cpus=0.25)
        share = rounds * steps * 0.05 / seconds
        published = f" (vla-evaluation-harness: {PUBLISHED[count]:.0%})" if count in PUBLISHED else ""
        print(f"{count} simulators in {workers} processes: {share:.1%} of the ideal rate{published}")


def restart(tries: int = 5) -> None:
    with tempfile.TemporaryDirectory() as folder:
        pool = Pool.start(PoolConfig(workers=1), folder)
        list(pool.run([spec("push", -1)]))
        for seed in range(tries):
            started = time.monotonic()
            list(pool.run([spec("exit", seed, instruction=folder)]))
            print(f"killed and done again: {time.monotonic() - started:.2f} s")
        pool.close()


def kills(workers: int = 10, steps: int = 40, rounds: int = 45, every: float = 30.0) -> None:
    specs = [spec("sleep 0.05", seed, step_limit=steps) for seed in range(workers * rounds)]

    def rate(disturb: Callable[[], None]) -> float:
        with tempfile.TemporaryDirectory() as folder:
            pool = Pool.start(PoolConfig(workers=workers, worker_cpus=0.2), folder)
            list(pool.run([spec("sleep 0.05", -1 - index) for index in range(4 * workers)]))
            over = threading.Event()

            def disturbing() -> None:
                while not over.wait(every):
                    disturb()

            killer = threading.Thread(target=disturbing)
            killer.start()
            started = time.monotonic()
            done = [result.spec.seed for result in pool.run(specs)]
            seconds = time.monotonic() - started
            over.set()
            killer.join()
            stats = pool.stats()
            pool.close()
        lost, twice = len(specs) - len(set(done)), len(done) - len(set(done))
        print(
            f"{len(done) / seconds:.2f} episodes/s, {lost} lost, {twice} done twice, {stats.restarts} workers replaced"
        )
        return len(done) / seconds

    calm = rate(lambda: None)
    killed = rate(lambda: os.kill(processes("ray::SimWorker")[0].pid, signal.SIGKILL))
    print(f"with one of {workers} workers killed every {every:g} s: {killed / calm:.1%} of the undisturbed rate")


def processes(title: str) -> list[psutil.Process]:
    family = psutil.Process().children(recursive=True)
    return [process for process in family if title in " ".join(process.cmdline())]


def memory(episodes: int = 100_000) -> None:
    def specs() -> Iterator[EpisodeSpec]:
        return (spec("push", seed, step_limit=1) for seed in range(episodes))

    with tempfile.TemporaryDirectory() as folder:
        pool = Pool.start(PoolConfig(workers=2), folder)
        list(pool.run([spec("push", -1)]))
        (actor,) = processes("ray::Dispatcher")
        started = time.monotonic()
        for count, _ in enumerate(pool.run(specs()), 1):
            if count % (episodes // 10) == 0:
                sizes = [process.memory_info().rss / 2**20 for process in (psutil.Process(), actor)]
                rate = count / (time.monotonic() - started)
                print(f"{count} episodes: driver {sizes[0]:.0f} MB, pool {sizes[1]:.0f} MB, {rate:.0f} episodes/s")
        pool.close()


PARTS: dict[str, Callable[[], None]] = {part.__name__: part for part in (overhead, real, many, restart, kills, memory)}

if __name__ == "__main__":
    os.environ["PYTHONPATH"] = str(ROOT)
    ray.init("local", num_cpus=2, include_dashboard=False, logging_level=logging.ERROR, log_to_driver=False)
    for name in sys.argv[1:] or PARTS:
        print(f"-- {name}, load {os.getloadavg()[0]:.1f} on {os.cpu_count()} CPUs", flush=True)
        PARTS[name]()
