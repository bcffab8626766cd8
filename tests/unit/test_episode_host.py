"""The simulator process as the dispatcher sees it, without one."""

import logging
from types import SimpleNamespace
from typing import Any

import pytest

from worldagen.config import PoolConfig
from worldagen.rollout.host import Host


def test_a_policy_that_does_not_answer_is_told_of_every_heartbeat(caplog: pytest.LogCaptureFixture) -> None:
    nobody: Any = SimpleNamespace()
    host = Host(nobody, "node", PoolConfig(heartbeat=60))
    with caplog.at_level(logging.WARNING):
        for seconds in (0, 50, 61, 100, 121, 122, 130, 0, 59, 62):
            host._tell_of_waiting(seconds)
    assert caplog.messages == [
        f"an episode has waited {seconds} s for the inference server's answer" for seconds in (61, 122, 62)
    ]
