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
from ray.exceptions import ActorUnavailableError

from tests.fakes import FakeEnv, FakeModel, FakeServer, spec
from worldagen.config import PoolConfig
from worldagen.data import trajectories
from worldagen.rollout.episode import run_episode
from worldagen.rollout.errors import EnvError, PolicyError, StorageError
from worldagen.rollout.log import EpisodeLog, LogError
from worldagen.rollout.policies import LearnedPolicy, RandomPolicy
from worldagen.rollout.pool import Pool
from worldagen.types import PolicySpec

pytestmark = [pytest.mark.usefixtures("ray_cluster"), pytest.mark.timeout(150)]


@pytest.fixture(scope="module")
def shared(ray_cluster, tmp_path_factory):
    """One pool for the tests that can do with the default settings."""
    pool = Pool.start(PoolConfig(workers=1), tmp_path_factory.mktemp("pool"))
    yield pool
    pool.close()


@pytest.fixture
def start(tmp_path):
    """Starts pools on one folder, one after another; the last is closed at the end."""
    pools = []

    def start(servers=(), retry_failed=False, **settings):
        close()
        pools.append(Pool.start(PoolConfig(**{"workers": 1, **settings}), tmp_path, servers, retry_failed))
        return pools[-1]

    def close():
        while pools:
            pools.pop().close()

    yield start
    close()


def alone(one):
    """The digest of an episode run in this process, without a pool."""
    policy = LearnedPolicy(FakeModel()) if one.policy.kind == "learned" else RandomPolicy()
    return run_episode(FakeEnv(one.env), policy, one).result.digest


def test_every_spec_has_one_result_and_a_second_call_runs_only_what_is_missing(start):
    specs = [spec(task, seed) for task in ("push", "pull") for seed in range(10)]
    pool = start(workers=2)
    results = {result.spec.key: result for result in pool.run(iter(specs))}
    assert results.keys() == {one.key for one in specs}
    assert all(result.digest == alone(result.spec) for result in results.values())
    stats = pool.stats()
    assert (stats.episodes, stats.env_steps, stats.retries, stats.restarts) == (20, 160, 0, 0)
    assert 0 < sum(stats.seconds.values()) < stats.busy_seconds and 10 < stats.peak_rss_mb < 1000

    pool = start(workers=1)
    again = list(pool.run([spec("new"), *specs]))
    assert len(again) == 21 and all(results[one.spec.key] == one for one in again if one.spec.task != "new")
    assert (pool.stats().from_log, pool.stats().episodes) == (20, 1)


def test_faults_are_retried_and_leave_no_trace_in_the_results(start, tmp_path):
    faults = ["raise", "exit", "segfault", "hang", "hang in native code"]
    once = [spec(fault, instruction=str(tmp_path)) for fault in faults]
    healthy = [spec(seed=seed) for seed in range(20)]
    poison, hanging = spec("raise"), spec("hang")
    pool = start(workers=2, attempts=2, episode_deadline=3)
    results = {result.spec.key: result for result in pool.run([*once, poison, hanging, *healthy])}
    assert len(results) == 27

    crashed, late = results.pop(poison.key), results.pop(hanging.key)
    assert (crashed.status, crashed.attempts, late.status, late.attempts) == ("crashed", 2, "timed_out", 2)
    assert "Traceback" in crashed.error and "ArithmeticError: the simulation diverged" in crashed.error
    assert "deadline of 3 s" in late.error

    assert {results[one.key].attempts for one in once} == {2} and {results[one.key].attempts for one in healthy} == {1}
    assert all(result.status == "failure" and result.digest == alone(result.spec) for result in results.values())
    stats = pool.stats()
    assert (stats.crashed, stats.timed_out, stats.retries, stats.restarts) == (1, 1, 7, 6)


def test_a_worker_above_the_memory_limit_is_replaced(start):
    pool = start(memory_limit_gb=0.3)
    assert [result.status for result in pool.run([spec("leak 300"), spec("push")])] == ["failure"] * 2
    assert pool.stats().restarts == 1 and pool.stats().peak_rss_mb > 300


def test_long_iterators_stream(shared, monkeypatch):
    monkeypatch.setattr("worldagen.rollout.pool.WINDOW", 10)
    drawn = []

    def endless():
        while True:
            drawn.append(len(drawn))
            yield spec("endless", seed=drawn[-1])

    assert len(list(islice(shared.run(endless()), 25))) == 25
    assert len(drawn) < 50, "specs are drawn as results come back"


def test_simulator_processes_have_no_torch_and_one_thread(shared):
    (result,) = shared.run([spec(suite="tests.fakes:ProbeEnv", record="trajectory")])
    assert trajectories.load(shared.trajectories / result.trajectory).instruction == "torch=False threads=1"


def test_recordings(shared):
    (result,) = shared.run([spec(record="video")])
    video = imageio.mimread(shared.trajectories / f"{result.spec.key}.mp4")
    assert len(video) == 9 and min(video[0].shape[:2]) >= 256
    recorded = trajectories.load(shared.trajectories / result.trajectory)
    assert recorded.spec == result.spec and recorded.counts.tolist() == [5, 3]
    (shared.trajectories / result.trajectory).unlink()
    assert next(shared.run([result.spec])).digest == result.digest
    assert (shared.trajectories / result.trajectory).exists(), "a deleted recording is made again"


def test_runs_share_an_episode_that_both_ask_for(shared):
    specs = [spec("sleep 0.02", seed) for seed in range(6)]
    before = shared.stats().episodes
    with ThreadPoolExecutor(2) as callers:
        results = list(callers.map(lambda chosen: list(shared.run(chosen)), (specs[:4], specs[2:])))
    assert [sorted(r.spec.seed for r in run) for run in results] == [[0, 1, 2, 3], [2, 3, 4, 5]]
    assert shared.stats().episodes == before + 6


def test_a_caller_that_leaves_takes_its_waiting_episodes_along(shared):
    before = shared.stats().episodes
    run = shared.run([spec("sleep 0.03", seed) for seed in range(100)])
    next(run)
    run.close()
    list(shared.run([spec("after")]))
    assert shared.stats().episodes < before + 10


def test_bad_input(shared):
    before = shared.stats().episodes
    with pytest.raises(ValueError, match="empty"):
        list(shared.run([]))
    with pytest.raises(ValueError, match="repeats"):
        list(shared.run([spec("a"), spec("b"), spec("a")]))
    with pytest.raises(EnvError, match="no OpenGL here"):
        list(shared.run([spec(suite="tests.fakes:BrokenEnv")]))
    with pytest.raises(EnvError, match=r"^the assets are damaged; fetch them again \(on .*\)$"):
        list(shared.run([spec(suite="tests.fakes:DamagedEnv")]))
    with pytest.raises(EnvError, match="libero_gaol"):
        list(shared.run([spec(suite="libero_gaol")]))
    with pytest.raises(PolicyError, match="without"):
        list(shared.run([spec(kind="learned")]))
    assert shared.stats().episodes == before


def test_a_recording_that_cannot_be_written_ends_the_run(start, tmp_path):
    (tmp_path / "trajectories").touch()  # where the folder should be
    with pytest.raises(StorageError, match=r"cannot be recorded in .*trajectories"):
        list(start().run([spec(record="trajectory")]))


def test_storage_that_cannot_be_used(shared, tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    with pytest.raises(NotADirectoryError):
        Pool.start(PoolConfig(), tmp_path / "file" / "pool")
    (tmp_path / "episodes.jsonl").write_text("{}\n")
    with pytest.raises(LogError, match="line 1 is damaged"):
        Pool.start(PoolConfig(), tmp_path)
    monkeypatch.setattr("worldagen.rollout.log.LOCK_PATIENCE", 0.1)
    with pytest.raises(LogError, match="in use"):
        EpisodeLog(shared.storage / "episodes.jsonl")


def test_the_pools_own_process_may_die(start):
    pool = start()
    run = pool.run([spec("sleep 0.01", seed) for seed in range(30)])
    results = [next(run)]
    ray.kill(pool.actor, no_restart=False)
    results += run
    assert sorted(result.spec.seed for result in results) == list(range(30))


def test_the_pools_own_process_may_die_while_nobody_asks(start):
    """It is back, and knows nothing of the run, before the run asks again."""
    pool = start()
    run = pool.run([spec("sleep 0.01", seed) for seed in range(30)])
    results = [next(run)]
    ray.kill(pool.actor, no_restart=False)
    while True:
        try:
            pool.stats()
            break
        except ActorUnavailableError:
            time.sleep(0.1)
    results += run
    assert sorted(result.spec.seed for result in results) == list(range(30))


def test_episodes_that_were_given_up_are_tried_again_when_asked_for(start, tmp_path):
    once = spec("raise", instruction=str(tmp_path))
    assert [result.status for result in start(attempts=1).run([once])] == ["crashed"]
    assert [result.status for result in start(attempts=1).run([once])] == ["crashed"]
    again = start(attempts=1, retry_failed=True)
    assert [result.status for result in again.run([once])] == ["failure"]
    assert again.stats().from_log == 0
    poison = spec("raise")
    assert [next(again.run([poison])).status for _ in range(2)] == ["crashed"] * 2
    assert again.stats().from_log == 1, "given up by this very pool: it is not tried for ever"


def test_a_worker_that_can_build_no_simulator_any_more_is_replaced(start, tmp_path):
    suite = "tests.fakes:OnceEnv"
    pool = start()
    list(pool.run([spec("push", suite=suite)]))
    (result,) = pool.run([spec("raise", suite=suite, instruction=str(tmp_path))])
    assert (result.status, result.attempts) == ("failure", 2), "it raised; that nothing was built is not its fault"
    assert pool.stats().restarts == 1


def test_waiting_for_the_policy_is_no_episodes_fault(start):
    server = ray.remote(FakeServer).options(num_cpus=0).remote()
    pool = start([server], episode_deadline=1, heartbeat=0.6)
    (result,) = pool.run([spec(policy=PolicySpec(checkpoint="fake", adapter="slow"))])
    assert (result.status, result.attempts) == ("failure", 1) and result.seconds["wait"] > 1.5


def test_a_dead_driver_loses_nothing_that_finished(start, tmp_path):
    script = f"""
import ray
from tests.fakes import spec
from worldagen.config import PoolConfig
from worldagen.rollout.pool import Pool
ray.init({ray.get_runtime_context().gcs_address!r}, logging_level="ERROR", log_to_driver=False)
for result in Pool.start(PoolConfig(workers=1), {str(tmp_path)!r}).run([spec("sleep 0.02", s) for s in range(100)]):
    print(result.spec.seed, flush=True)
"""
    driver = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, cwd=Path.cwd())
    seen = [int(next(driver.stdout)) for _ in range(5)]
    os.kill(driver.pid, signal.SIGKILL)
    driver.wait()
    pool = start()
    results = list(pool.run([spec("sleep 0.02", seed) for seed in range(20)]))
    assert sorted(result.spec.seed for result in results) == list(range(20))
    assert pool.stats().from_log >= len(seen)
    lines = (tmp_path / "episodes.jsonl").read_text().splitlines()
    assert len(lines) == len(set(lines)) < 100, "the dead driver's episodes were not run to the end"


def test_inference_servers_that_die_refuse_or_are_gone(start, tmp_path):
    def learned(adapter="", checkpoint="fake", seed=0):
        return spec(seed=seed, policy=PolicySpec(checkpoint=checkpoint, adapter=adapter))

    server = ray.remote(FakeServer).options(num_cpus=0, max_restarts=-1, max_task_retries=5).remote(str(tmp_path))
    pool = start([server])
    results = list(pool.run([learned("die"), *(learned(seed=seed) for seed in range(5))]))
    assert [(result.status, result.attempts) for result in results] == [("failure", 1)] * 6, "waited for its restart"
    assert all(result.digest == alone(result.spec) for result in results)

    bad = {"no adapter 'missing'": learned("missing"), "'other'.*'fake'": learned(checkpoint="other")}
    for message, asked in bad.items():
        with pytest.raises(PolicyError, match=message):
            list(pool.run([asked, *(learned(seed=seed) for seed in range(10, 50))]))
    assert pool.stats().retries == 0
    assert [result.status for result in pool.run([learned(seed=99)])] == ["failure"], "the pool lives on"

    ray.kill(server, no_restart=True)
    with pytest.raises(PolicyError, match="gone"):
        list(pool.run([learned(seed=100)]))
