"""Collecting demonstrations through the pool, from a simulator that brings its own experts."""

from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

from tests.fake_suite import SquareEnv
from worldagen.config import load
from worldagen.data.episodes import find_demonstrations
from worldagen.rollout.demos import collect, demos_folder
from worldagen.types import EnvSpec, EpisodeSpec

SUITE = "tests.integration.test_collect_demos:TaughtEnv"


class TaughtEnv(SquareEnv):
    """Its expert pushes along x: starts that are too far from the goal for the step limit fail."""

    EXPERTS: ClassVar = ("push", "pull")

    def expert(self, spec: EpisodeSpec) -> Iterator[np.ndarray]:
        while True:
            yield np.array([1.0, 0, 0, 0, 0, 0, 1.0])


@pytest.mark.usefixtures("ray_cluster")
@pytest.mark.timeout(150)
def test_collected_demonstrations_are_found_by_pretraining_and_not_collected_twice(tmp_path: Path) -> None:
    config = load(
        overrides=[f"env.suite={SUITE}", f"run_dir={tmp_path}", "pool.workers=1", "demos.episodes_per_task=6",
                   "demos.noise=0", "env.image_size=8", "model.image_size=8", "demos.step_limit=14"]
    )  # fmt: skip
    env = EnvSpec(suite=SUITE, image_size=8)
    demos = collect(config, env, ["push", "pull"])
    assert [(each.task, len(each.files)) for each in demos] == [("push", 6), ("pull", 6)]
    assert all(0 < each.mean_steps <= 14 for each in demos)
    assert sum(each.attempts for each in demos) > 12, "failures were to be replaced"
    found = find_demonstrations(demos_folder(config), ["push", "pull"])
    assert {episode.path for episode in found} == {file for each in demos for file in each.files}
    written = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.parquet")}
    assert collect(config, env, ["push", "pull"]) == demos
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.parquet")} == written
