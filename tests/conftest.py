"""Fixtures that every test may use."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests marked `full` run only with `make test-full`."""
    if not os.environ.get("WORLDAGEN_FULL"):
        for item in items:
            if item.get_closest_marker("full"):
                item.add_marker(pytest.mark.skip(reason="runs only with `make test-full`"))


@pytest.fixture(scope="session")
def ray_cluster() -> Iterator[None]:
    """One local Ray of two CPUs for the whole session, with its home and its files in a temporary folder."""
    import ray  # only the tests that need it pay for it

    from worldagen.envs.cache import cache_dir

    with tempfile.TemporaryDirectory(prefix="ray") as folder, pytest.MonkeyPatch.context() as patch:
        patch.setenv("WORLDAGEN_CACHE", str(cache_dir()))  # what was generated once need not be generated again
        patch.setenv("HOME", folder)
        patch.setenv("RAY_TMPDIR", folder)
        patch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]))
        ray.init("local", num_cpus=2, include_dashboard=False, logging_level="WARNING")
        yield
        ray.shutdown()


@pytest.fixture(scope="module")
def coarse_pictures() -> Iterator[None]:
    """Pictures of few pixels, which are drawn faster."""
    from worldagen.report import figures

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(figures, "DPI", 40)
        yield
