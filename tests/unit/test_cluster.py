"""What is said about a cluster before anything waits for it."""

import pytest

from worldagen.cluster import warn_of_gpus
from worldagen.config import load

ONE = ("inference.device=cuda", "inference.gpus=0.5", "ttt.gpus=0.25")


@pytest.mark.parametrize(
    ("overrides", "gpus", "words"),
    [
        (ONE, 1.0, ""),
        (ONE, 0.0, "together 1 GPUs, and the nodes that are up have 0"),
        ((*ONE, "pool.worker_gpus=0.05"), 1.0, "pool.workers x pool.worker_gpus = 0.05: together 1.05 GPUs"),
        ((), 0.0, ""),
    ],
)
def test_more_gpus_than_there_are_is_said(
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    overrides: tuple[str, ...],
    gpus: float,
    words: str,
) -> None:
    monkeypatch.setattr("ray.cluster_resources", lambda: {"CPU": 8.0, "GPU": gpus})
    warn_of_gpus(load(overrides=overrides))
    assert (words in caplog.text) if words else not caplog.text
