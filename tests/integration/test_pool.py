"""The pool on a real Ray cluster of two CPUs, with simulators that sleep, raise, crash, hang and leak."""

import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path

import imageio.v2 as imageio
import pytest
import ray

from tests.fakes import FakeEnv, FakeModel, FakeServer, spec
from worldagen.config import PoolConfig
from worldagen.data import trajectories
from worldagen.rollout.episode import run_episode
from worldagen.rollout.errors import EnvError, PolicyError
from worldagen.rollout.log import EpisodeLog, LogError
from worldagen.rollout.policies import LearnedPolicy, RandomPolicy
from worldagen.rollout.pool import Pool
from worldagen.types import PolicySpec

pytestmark = [pytest.mark.usefixtures("ray_cluster"), pytest.mark.timeout(120)]


@pytest.fixture
def start(tmp_path):
    """Starts pools on one folder, one after another; the last is closed at the end."""
    pools = []

    def start(servers=(), **settings):
        close(pools)
        pools.append(Pool.start(PoolConfig(**{"workers": 2, **settings}), tmp_path, servers))
        return pools[-1]

    yield start
    close(pools)


def close(pools):
    while pools:
        pools.pop().close()


def alone(one):
    """The digest of an episode run in this process, without a pool."""
    policy = LearnedPolicy(FakeModel()) if one.policy.kind == "learned" else RandomPolicy()
    return run_episode(FakeEnv(one.env), policy, one).result.digest


def test_every_spec_has_one_result_equal_to_a_run_without_the_pool(start, tmp_path):
    specs = [spec(task, seed) for task in ("push", "pull") for seed in range(10)]
    pool = start()
    results = list(pool.run(specs))
    assert sorted(result.spec.key for result in results) == sorted(one.key for one in specs)
    assert all(result.digest == alone(result.spec) for result in results)
    stats = pool.stats()
    assert (stats.episodes, stats.env_steps, stats.retries, stats.restarts) == (20, 160, 0, 0) and stats.workers > 0
    assert 0 < sum(stats.seconds.values()) < stats.busy_seconds and 10 < stats.peak_rss_mb < 1000


def test_a_second_call_reads_the_log_and_runs_only_what_is_missing(start):
    pool = start()
    first = {result.spec.key: result for result in pool.run([spec(seed=seed) for seed in range(4)])}
    pool = start(workers=1)
    again = {result.spec.key: result for result in pool.run([spec(seed=seed) for seed in range(6)])}
    assert {key: again[key] for key in first} == first and len(again) == 6
    assert (pool.stats().from_log, pool.stats().episodes) == (4, 2)


def test_long_iterators_stream(start, monkeypatch):
    monkeypatch.setattr("worldagen.rollout.pool.WINDOW", 10)
    drawn = []

    def endless():
        seed = 0
        while True:
            drawn.append(seed)
            yield spec(seed=seed)
            seed += 1

    pool = start()
    assert len(list(islice(pool.run(endless()), 25))) == 25
    assert len(drawn) < 50, "specs are drawn as results come back"


def test_faults_are_retried_and_leave_no_trace_in_the_results(start, tmp_path):
    faults = ["raise", "exit", "segfault", "hang", "hang in native code"]
    once = [spec(fault, instruction=str(tmp_path), stop_on_success=False) for fault in faults]
    healthy = [spec(seed=seed) for seed in range(20)]
    results = {result.spec.key: result for result in start(episode_deadline=3).run(once + healthy)}
    assert len(results) == 25
    for one in once:
        assert (results[one.key].status, results[one.key].attempts) == ("failure", 2), one.task
    assert all(result.digest == alone(result.spec) for result in results.values())


def test_a_poison_episode_ends_as_crashed_and_the_others_go_on(start):
    poison, hanging = spec("raise"), spec("hang")
    pool = start(attempts=2, episode_deadline=2)
    results = {result.spec.key: result for result in pool.run([poison, hanging, *(spec(seed=s) for s in range(5))])}
    crashed, late = results[poison.key], results[hanging.key]
    assert (crashed.status, crashed.attempts, late.status) == ("crashed", 2, "timed_out")
    assert "Traceback" in crashed.error and "ArithmeticError: the simulation diverged" in crashed.error
    assert "deadline of 2 s" in late.error
    assert sum(result.status == "failure" for result in results.values()) == 5
    stats = pool.stats()
    assert (stats.crashed, stats.timed_out, stats.retries, stats.restarts) == (1, 1, 2, 2)


def test_a_worker_above_the_memory_limit_is_replaced(start):
    pool = start(workers=1, memory_limit_gb=0.3)
    assert [result.status for result in pool.run([spec("leak 300"), spec("push")])] == ["failure"] * 2
    assert pool.stats().restarts == 1 and pool.stats().peak_rss_mb > 300


def test_simulator_processes_have_no_torch_and_one_thread(start):
    pool = start()
    (result,) = pool.run([spec(suite="tests.fakes:ProbeEnv", record="trajectory")])
    recorded = trajectories.load(pool.trajectories / result.trajectory)
    assert recorded.instruction == "torch=False threads=1"


def test_recordings(start):
    pool = start()
    (result,) = pool.run([spec(record="video")])
    video = imageio.mimread(pool.trajectories / f"{result.spec.key}.mp4")
    assert len(video) == 9 and min(video[0].shape[:2]) >= 256
    recorded = trajectories.load(pool.trajectories / result.trajectory)
    assert recorded.spec == result.spec and recorded.counts.tolist() == [5, 3]
    (pool.trajectories / result.trajectory).unlink()
    assert list(pool.run([result.spec]))[0].digest == result.digest
    assert (pool.trajectories / result.trajectory).exists(), "a deleted recording is made again"


def test_runs_share_an_episode_that_both_ask_for(start):
    pool = start()
    specs = [spec("sleep 0.05", seed) for seed in range(6)]
    with ThreadPoolExecutor(2) as callers:
        results = list(callers.map(lambda chosen: list(pool.run(chosen)), (specs[:4], specs[2:])))
    assert [sorted(r.spec.seed for r in run) for run in results] == [[0, 1, 2, 3], [2, 3, 4, 5]]
    assert pool.stats().episodes == 6


def test_a_caller_that_leaves_takes_its_waiting_episodes_along(start):
    pool = start(workers=1)
    run = pool.run([spec("sleep 0.02", seed) for seed in range(100)])
    next(run)
    run.close()
    list(pool.run([spec("push")]))
    assert pool.stats().episodes < 10


def test_the_pools_own_process_may_die(start):
    pool = start()
    run = pool.run([spec("sleep 0.02", seed) for seed in range(30)])
    results = [next(run)]
    ray.kill(pool.actor, no_restart=False)
    results += run
    assert sorted(result.spec.seed for result in results) == list(range(30))


def test_a_dead_driver_loses_nothing_that_finished(start, tmp_path):
    script = f"""
import ray
from tests.fakes import spec
from worldagen.config import PoolConfig
from worldagen.rollout.pool import Pool
ray.init({ray.get_runtime_context().gcs_address!r}, logging_level="ERROR", log_to_driver=False)
for result in Pool.start(PoolConfig(workers=2), {str(tmp_path)!r}).run([spec("sleep 0.02", s) for s in range(100)]):
    print(result.spec.seed, flush=True)
"""
    driver = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, cwd=Path.cwd())
    seen = [int(next(driver.stdout)) for _ in range(5)]
    os.kill(driver.pid, signal.SIGKILL)
    driver.wait()
    pool = start()
    results = list(pool.run([spec("sleep 0.02", seed) for seed in range(40)]))
    assert sorted(result.spec.seed for result in results) == list(range(40))
    assert pool.stats().from_log >= len(seen)
    lines = (tmp_path / "episodes.jsonl").read_text().splitlines()
    assert len(lines) == len(set(lines)) < 100, "the dead driver's episodes were not run to the end"


def learned(adapter="", checkpoint="fake", seed=0):
    return spec(seed=seed, policy=PolicySpec(checkpoint=checkpoint, adapter=adapter))


@pytest.fixture
def server(tmp_path):
    actor = ray.remote(FakeServer).options(num_cpus=0, max_restarts=-1, max_task_retries=5).remote(str(tmp_path))
    yield actor
    ray.kill(actor)


def test_an_inference_server_that_dies_is_waited_for(start, server):
    results = list(start([server]).run([learned("die"), *(learned(seed=seed) for seed in range(5))]))
    assert [result.status for result in results] == ["failure"] * 6
    assert all(result.attempts == 1 and result.digest == alone(result.spec) for result in results)


def test_policy_errors_end_the_run_at_once_and_the_pool_lives_on(start, server):
    pool = start([server])
    for bad, message in ((learned("missing"), "no adapter 'missing'"), (learned(checkpoint="other"), "'other'.*'fake'")):
        with pytest.raises(PolicyError, match=message):
            list(pool.run([bad, *(learned(seed=seed) for seed in range(50))]))
    assert pool.stats().retries == 0
    assert [result.status for result in pool.run([learned(seed=99)])] == ["failure"]


def test_a_server_that_stays_dead_is_an_error_not_a_hang(start, server):
    pool = start([server])
    list(pool.run([learned()]))
    ray.kill(server, no_restart=True)
    with pytest.raises(PolicyError, match="gone"):
        list(pool.run([learned(seed=1)]))
    with pytest.raises(PolicyError, match="started without"):
        list(start().run([learned(seed=2)]))


def test_bad_input(start, tmp_path):
    pool = start()
    with pytest.raises(ValueError, match="empty"):
        list(pool.run([]))
    with pytest.raises(ValueError, match="repeats"):
        list(pool.run([spec(), spec(seed=1), spec()]))
    assert pool.stats().episodes == 0
    with pytest.raises(EnvError, match="no OpenGL here"):
        list(pool.run([spec(suite="tests.fakes:BrokenEnv")]))
    with pytest.raises(EnvError, match="libero_gaol"):
        list(pool.run([spec(suite="libero_gaol")]))


def test_storage_that_cannot_be_used(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(NotADirectoryError):
        Pool.start(PoolConfig(), tmp_path / "file" / "pool")
    (tmp_path / "episodes.jsonl").write_text("{}\n")
    with pytest.raises(LogError, match="line 1 is damaged"):
        Pool.start(PoolConfig(), tmp_path)


def test_a_log_in_use_is_refused(start, tmp_path, monkeypatch):
    start()
    monkeypatch.setattr("worldagen.rollout.log.LOCK_PATIENCE", 0.1)
    with pytest.raises(LogError, match="in use"):
        EpisodeLog(tmp_path / "episodes.jsonl")


def test_a_replaced_worker_is_soon_back(start):
    pool = start(workers=1)
    list(pool.run([spec()]))
    started = time.monotonic()
    list(pool.run([spec("exit", instruction=str(pool.storage)), spec(seed=1)]))
    assert time.monotonic() - started < 20
