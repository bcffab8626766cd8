"""A cluster of several Ray nodes on this machine: one of them is lost while episodes run, another one joins."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = """
import json, logging, sys, time
import ray
from ray.cluster_utils import Cluster
from tests.fakes import spec
from worldagen.config import PoolConfig
from worldagen.rollout.pool import Pool

def wait_for(workers):
    give_up = time.monotonic() + 60
    while pool.stats().workers != workers and time.monotonic() < give_up:
        time.sleep(0.5)
    return pool.stats().workers

cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
doomed = cluster.add_node(num_cpus=1)
ray.init(cluster.address, logging_level="ERROR", log_to_driver=False)
pool = Pool.start(PoolConfig(attempts=1), sys.argv[1])
found = {"before": 0, "seeds": [], "statuses": []}
for result in pool.run(spec("sleep 0.05", seed, step_limit=10) for seed in range(150)):
    found["seeds"].append(result.spec.seed)
    found["statuses"].append(result.status)
    if len(found["seeds"]) == 20:
        found["before"] = wait_for(2)
        cluster.remove_node(doomed)
    if len(found["seeds"]) == 60:
        found["after"] = pool.stats().workers
        cluster.add_node(num_cpus=1)
        found["grown"] = wait_for(2)
print(json.dumps(found))
pool.close()
ray.shutdown()
cluster.shutdown()
"""


@pytest.mark.timeout(180)
def test_a_lost_node_costs_no_episode_and_a_new_one_is_used(tmp_path: Path) -> None:
    """With one attempt per episode: that its node was lost is not counted against it."""
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(tmp_path)], capture_output=True, text=True, timeout=170, cwd=Path.cwd()
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(done.stdout.strip().splitlines()[-1])
    assert sorted(found["seeds"]) == list(range(150))
    assert set(found["statuses"]) == {"failure"}, "they ran to their step limit"
    assert (found["before"], found["after"], found["grown"]) == (2, 1, 2)
