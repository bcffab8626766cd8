"""Who explores, that explorations begin with the smaller ones, and how much of the world they reach."""

import dataclasses
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from tests.fakes import spec
from tests.synthetic import make_trajectory
from tests.unit.test_plan import explored as specs
from worldagen.data import trajectories
from worldagen.ttt.coverage import coverage
from worldagen.ttt.explore import ExplorationError, Explored, explorer
from worldagen.types import EpisodeResult

MIXTURE = {"policy": 2.0, "noisy": 1.0, "random": 1.0}


@pytest.mark.parametrize("seed", [0, 1, 500_000])
def test_every_beginning_of_an_exploration_holds_the_mixture(seed: int) -> None:
    drawn = [explorer(MIXTURE, seed, index) for index in range(120)]
    for size in (6, 12, 36, 120):
        for kind, weight in MIXTURE.items():
            assert abs(Counter(drawn[:size])[kind] - size * weight / 4) <= 1.5, (size, kind)
    assert {explorer({}, seed, index) for index in range(10)} == {"policy"}
    reordered = dict(reversed(MIXTURE.items()))
    assert drawn == [explorer(reordered, seed, index) for index in range(120)]


def test_explorers_are_different_policies() -> None:
    training, heldout = specs("explore.episodes=[6,36]", "explore.mixture={policy: 1, noisy: 1, random: 1}")
    assert len(training) == 36
    kinds = Counter((one.policy.kind, round(one.policy.noise, 6)) for one in training)
    assert set(kinds) == {("learned", 0.2), ("learned", 0.6), ("random", 0.0)}
    assert min(kinds.values()) >= 11
    fewer, _ = specs("explore.episodes=[6]", "explore.mixture={policy: 1, noisy: 1, random: 1}")
    assert fewer == training[:6]
    assert all(one.record == "trajectory" for one in (*training, *heldout))


def result(index: int, lost: bool = False) -> EpisodeResult:
    one = spec(seed=index)
    return EpisodeResult(
        spec=one, status="crashed" if lost else "failure", steps=0 if lost else 10 + index, seconds={"reset": 1.0},
        trajectory="" if lost else f"{index}.parquet",
    )  # fmt: skip


@pytest.fixture
def exploration(tmp_path: Path) -> Explored:
    return Explored((result(0), result(1, lost=True), result(2)), (result(9),), tmp_path)


def test_a_smaller_exploration_is_the_beginning_of_the_larger_lost_episodes_included(exploration: Explored) -> None:
    names = [path.name for path in exploration.training]
    assert names == ["0.parquet", "2.parquet"]
    assert (exploration.environment_steps, exploration.heldout_steps, exploration.lost) == (22, 19, 1)
    assert exploration.seconds == {"reset": 4.0}
    two = exploration.first(2)
    assert [path.name for path in two.training] == ["0.parquet"], "the second was lost: the third does not replace it"
    assert two.heldout == exploration.heldout and two.environment_steps == 10


def test_a_smaller_exploration_of_which_nothing_came_through_is_no_end_of_the_larger(tmp_path: Path) -> None:
    explored = Explored((result(0, lost=True), result(1)), (result(9),), tmp_path).checked()
    assert not explored.first(1).training and explored.first(2).training


def test_an_exploration_without_episodes_is_refused(exploration: Explored) -> None:
    with pytest.raises(ExplorationError, match="no training episode"):
        exploration.first(0).checked()
    with pytest.raises(ExplorationError, match="no held-out episode"):
        dataclasses.replace(exploration, heldout_episodes=(result(9, lost=True),)).checked()


def test_coverage_counts_cells_switches_and_changed_pixels(tmp_path: Path) -> None:
    one = make_trajectory(0, chunks=3)
    state = np.zeros((4, 7), np.float32)
    state[:, 0] = [0.01, 0.04, 0.06, 0.01]  # two cells of 5 cm
    state[:, 6] = [1, -1, -1, 1]
    frames = np.zeros((4, 4, 4, 3), np.uint8)
    frames[2:, 0] = 255  # a quarter of the picture changes once
    one = dataclasses.replace(one, state=state, primary=frames)
    found = coverage([one, one])
    assert found == {
        "tool_cells": 2.0, "tool_cells_per_frame": 2 / 8, "gripper_switches": 2.0,
        "scene_changed": pytest.approx(0.25 / 3),
    }  # fmt: skip
    trajectories.save(one, tmp_path / "0.parquet")
    explored = Explored((result(0),), (), tmp_path)
    assert explored.coverage["tool_cells"] == 2.0
