"""The example of docs/own_environment.md runs as it stands."""

import re
from pathlib import Path

import numpy as np
import pytest

from worldagen.config import load
from worldagen.envs.base import make_env
from worldagen.envs.suites import task_infos
from worldagen.rollout.episode import run_episode
from worldagen.rollout.policies import ExpertPolicy
from worldagen.training.sources import check_episodes, find_sources
from worldagen.types import EnvSpec, EpisodeSpec, PolicySpec, Shift

PAGE = Path(__file__).resolve().parents[2] / "docs" / "own_environment.md"
SUITE = "my_suite:ReachEnv"


@pytest.fixture(autouse=True)
def example(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = re.search(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert found is not None
    (tmp_path / "my_suite.py").write_text(found[1])
    monkeypatch.syspath_prepend(tmp_path)


@pytest.mark.parametrize("task", ["reach_left", "reach_right"])
def test_its_expert_succeeds_and_the_same_spec_gives_the_same_episode(task: str) -> None:
    assert task in task_infos(SUITE)
    spec = EpisodeSpec(
        env=EnvSpec(suite=SUITE, image_size=16),
        task=task,
        init_state=3,
        seed=1,
        policy=PolicySpec(kind="expert", noise=0.1),
        step_limit=60,
        record="trajectory",
    )
    first, second = (run_episode(make_env(spec.env), ExpertPolicy(), spec) for _ in range(2))
    assert first.result.success
    assert first.result.digest == second.result.digest


def test_its_own_shift_changes_what_is_seen() -> None:
    spec = EnvSpec(suite=SUITE, image_size=16)
    dark = EnvSpec(suite=SUITE, image_size=16, shifts=(Shift(name="light", strength=1),))
    seen = [
        make_env(env).reset(EpisodeSpec(env=env, task="reach_left", init_state=0, seed=0, policy=PolicySpec()))
        for env in (spec, dark)
    ]
    assert seen[1].primary.mean() < seen[0].primary.mean()
    np.testing.assert_array_equal(seen[0].state, seen[1].state)


def test_its_own_demonstrations_can_be_trained_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    exec(re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)[1], {})
    (source,) = find_sources(load(overrides=[f"env.suite={SUITE}"]), ["runs/reach_own/demos"])
    check_episodes([source])
    assert len(source.training) + len(source.held_out) == 8
