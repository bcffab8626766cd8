"""Several simulators in one process, hangs, and results that depend on nothing but their specs."""

import os
import signal

import psutil
import pytest
import ray

from tests.fakes import FakeEnv, FakeModel, FakeServer, spec
from worldagen.config import PoolConfig
from worldagen.rollout.episode import run_episode
from worldagen.rollout.policies import LearnedPolicy, RandomPolicy
from worldagen.rollout.pool import Pool
from worldagen.types import PolicySpec

pytestmark = [pytest.mark.usefixtures("ray_cluster"), pytest.mark.timeout(150)]


def alone(one):
    """The digest of an episode run in this process, without a pool."""
    policy = LearnedPolicy(FakeModel()) if one.policy.kind == "learned" else RandomPolicy()
    return run_episode(FakeEnv(one.env), policy, one).result.digest


def run(folder, specs, servers=(), **settings):
    """All results by key, and the pool's numbers."""
    pool = Pool.start(PoolConfig(**{"workers": 1, **settings}), folder, servers)
    try:
        return {result.spec.key: result for result in pool.run(specs)}, pool.stats()
    finally:
        pool.close()


def simulator_processes():
    family = psutil.Process().children(recursive=True)
    return [process for process in family if "ray::SimWorker" in " ".join(process.cmdline())]


@pytest.mark.parametrize(("workers", "lanes", "kills"), [(1, 1, 0), (2, 2, 0), (4, 1, 0), (2, 2, 2), (1, 4, 1)])
def test_results_depend_on_specs_alone(tmp_path, workers, lanes, kills):
    server = ray.remote(FakeServer).options(num_cpus=0).remote()
    learned = PolicySpec(checkpoint="fake")
    specs = [spec("sleep 0.01", seed, policy=learned, step_limit=12) for seed in range(24)]
    settings = PoolConfig(workers=workers, envs_per_worker=lanes, worker_cpus=0.5)
    pool, results = Pool.start(settings, tmp_path, [server]), []
    for result in pool.run(specs):
        results.append(result)
        if kills and len(results) in (4, 10)[:kills]:
            os.kill(simulator_processes()[0].pid, signal.SIGKILL)
    stats = pool.stats()
    pool.close()
    assert sorted(result.spec.seed for result in results) == list(range(24))
    assert all(result.digest == alone(result.spec) for result in results)
    assert (stats.restarts > 0) == (kills > 0)


@pytest.mark.parametrize("fault", ["exit", "hang", "hang in native code"])
def test_only_the_episode_that_ends_processes_is_given_up(tmp_path, fault):
    poison = spec(fault, step_limit=30)
    healthy = [spec("sleep 0.02", seed, step_limit=30) for seed in range(12)]
    results, stats = run(tmp_path, [*healthy[:6], poison, *healthy[6:]], envs_per_worker=4, attempts=2, heartbeat=2)
    given_up = results.pop(poison.key)
    assert (given_up.status, given_up.attempts) == ("crashed" if fault == "exit" else "timed_out", 2)
    expected = {"exit": "died", "hang": "has not moved for 2 s", "hang in native code": "has not answered for 2 s"}
    assert expected[fault] in given_up.error
    assert len(results) == 12 and all(result.attempts == 1 for result in results.values()), "others are not to blame"
    assert all(result.digest == alone(result.spec) for result in results.values())
    assert stats.restarts >= 2


def test_a_slow_policy_is_no_hang(tmp_path):
    class SlowServer(FakeServer):
        def decide(self, request):
            import time

            time.sleep(2)
            return super().decide(request)

    server = ray.remote(SlowServer).options(num_cpus=0).remote()
    one = spec(policy=PolicySpec(checkpoint="fake"), step_limit=5)
    results, stats = run(tmp_path, [one], [server], heartbeat=1)
    assert results[one.key].status == "failure" and stats.retries == 0
