"""A process with a hung simulator ends itself, whatever holds the interpreter."""

import subprocess
import sys
import time

import pytest

LANES = """
import sys, threading, time
from pathlib import Path
from tests.fakes import FakeModel, spec
from worldagen.types import PolicySpec
from worldagen.envs.watchdog import Watchdog
from worldagen.rollout.lane import Lane

watchdog = Watchdog(1.0)
first, second = (Lane(Path("unused"), FakeModel, watchdog) for _ in range(2))
"""


def run(code: str) -> tuple[subprocess.CompletedProcess[str], float]:
    started = time.monotonic()
    done = subprocess.run([sys.executable, "-c", LANES + code], capture_output=True, text=True, timeout=60)
    return done, time.monotonic() - started


@pytest.mark.parametrize("fault", ["hang", "hang in native code"])
def test_a_hung_simulator_ends_its_own_process_and_says_where_it_was(fault: str) -> None:
    done, seconds = run(f"first.run(spec({fault!r}))")
    assert done.returncode == 1 and seconds < 20
    assert "Timeout" in done.stderr and "_fail" in done.stderr


def test_it_ends_even_while_another_lane_moves() -> None:
    done, _ = run(
        "threading.Thread(target=first.run, args=[spec('hang')]).start()\n"
        "while True: second.run(spec('sleep 0.05', step_limit=40))"
    )
    assert done.returncode == 1 and "_fail" in done.stderr


def test_steps_rest_and_slow_policies_do_not_count() -> None:
    done, seconds = run(
        "class Slow(FakeModel):\n"
        "    def decide(self, request):\n"
        "        time.sleep(1.5)\n"
        "        return super().decide(request)\n"
        "first.model = Slow\n"
        "assert first.run(spec('sleep 0.2', step_limit=10)).result.steps == 10\n"
        "time.sleep(1.5)\n"
        "assert first.run(spec('push', policy=PolicySpec(checkpoint='fake'), step_limit=10)).result.steps == 10\n"
        "print('alive')"
    )
    assert (done.returncode, done.stdout) == (0, "alive\n"), done.stderr
    assert seconds > 5
