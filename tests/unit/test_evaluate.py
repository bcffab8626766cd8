"""pipelines/evaluate.py without simulators: what it refuses, what it keeps, what it tells."""

from pathlib import Path

import pytest

from pipelines.evaluate import describe
from worldagen.arms import Outcome
from worldagen.config import ConfigError, load
from worldagen.evaluation.words import report
from worldagen.models.given import given_adapter, given_checkpoint, keep_adapter
from worldagen.types import EnvSpec


@pytest.mark.parametrize(
    ("about", "weights", "words"),
    [
        (None, True, "no adapter.json"),
        ('{"base": "0123"}', False, "no adapter.safetensors"),
        ('{"base": "4567"}', True, r"was made for other weights \(4567, here 0123\)"),
        ('{"base": "01', True, "adapter.json is damaged"),
        ('{"base": "0123", "format_version": 99}', True, "format version 99, this worldagen reads up to 2"),
        ("[]", True, "adapter.json is damaged"),
    ],
)
def test_an_adapter_that_cannot_be_used_is_refused(
    tmp_path: Path, about: str | None, weights: bool, words: str
) -> None:
    if about:
        (tmp_path / "adapter.json").write_text(about)
    if weights:
        (tmp_path / "adapter.safetensors").touch()
    with pytest.raises(ConfigError, match=words):
        given_adapter(load(overrides=[f"evaluation.adapter={tmp_path}"]), "0123")


def test_an_adapter_of_these_weights_is_taken(tmp_path: Path) -> None:
    (tmp_path / "adapter.json").write_text('{"base": "0123"}')
    (tmp_path / "adapter.safetensors").touch()
    assert given_adapter(load(overrides=[f"evaluation.adapter={tmp_path}"]), "0123") == tmp_path


def test_the_plan_of_an_evaluation() -> None:
    given = ["checkpoint=checkpoints/calvin", "env.suite=calvin_d", "env.tasks=[open_drawer,turn_on_led]"]
    episodes = describe(load(overrides=[*given, "evaluation.episodes_per_task=3", "evaluation.step_limit=100"]))
    assert "6 episodes of 2 tasks, 600 control steps at most" in episodes
    chains = describe(load(overrides=[*given, "evaluation.chains=4", "evaluation.chain_length=2"]))
    assert "4 chains of 2 tasks" in chains
    with pytest.raises(ConfigError, match="holds no adapter"):
        describe(load(overrides=[*given, "evaluation.adapter=nowhere"]))


def test_an_adapter_is_kept_under_a_name_of_its_content(tmp_path: Path) -> None:
    """Episodes are known by that name: another adapter in the same place must not get the first one's."""
    given, kept = tmp_path / "best.v1", tmp_path / "kept"
    given.mkdir()
    (given / "adapter.json").write_text('{"base": "0123"}')
    (given / "adapter.safetensors").write_bytes(b"one")
    first, again = keep_adapter(given, kept), keep_adapter(given, kept)
    (given / "adapter.safetensors").write_bytes(b"two")
    second = keep_adapter(given, kept)
    assert first == again != second
    assert [(kept / name / "adapter.safetensors").read_bytes() for name in (first, second)] == [b"one", b"two"]


def test_episodes_that_broke_are_told() -> None:
    outcomes = tuple(
        Outcome(task="push", init_state=index, seed=0, status=status, steps=9)
        for index, status in enumerate(("success", "failure", "crashed", "timed_out"))
    )
    told = "2 episodes crashed or timed out and count as failures"
    assert told in "\n".join(report(load(), EnvSpec(suite="libero_goal"), "0123", {"base": outcomes}))
    assert told[2:] not in "\n".join(report(load(), EnvSpec(suite="libero_goal"), "0123", {"base": outcomes[:2]}))


def test_a_checkpoint_of_the_other_benchmark_is_noted(caplog: pytest.LogCaptureFixture) -> None:
    given_checkpoint(load(["configs/libero.yaml"], ["checkpoint=checkpoints/libero"]))
    assert not caplog.text
    given_checkpoint(load(["configs/libero.yaml"], ["checkpoint=checkpoints/calvin"]))
    assert "was trained with env.suite=calvin_d, and here it is libero_goal" in caplog.text


def test_a_checkpoint_of_a_preset_says_which_to_set() -> None:
    with pytest.raises(ConfigError, match=r"another size or mask; set model\.preset=tiny model\.mask=strict$"):
        given_checkpoint(load(overrides=["checkpoint=checkpoints/calvin", "model.preset=paper_calvin"]))
    with pytest.raises(ConfigError, match=r"checkpoints/calvin/config\.json is a file; name the checkpoint's folder"):
        given_checkpoint(load(overrides=["checkpoint=checkpoints/calvin/config.json"]))


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (["env.assets_path=/nonexistent"], "env.assets_path=/nonexistent: there is no such folder"),
        (["env.suite=calvin_d", "env.engine=native", "env.renderer=egl"], "OpenGL needs env.engine=calvin_env"),
        (["env.suite=calvin_d", "env.engine=calvin_env", "env.assets=primitive"], "has its own assets"),
        (["env.shifts.camra=1"], "did you mean 'camera'"),
    ],
)
def test_a_plan_refuses_what_a_run_would(settings: list[str], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        describe(load(overrides=["checkpoint=checkpoints/calvin", *settings]))


def test_a_checkpoint_of_the_preset_that_is_set_says_what_differs() -> None:
    with pytest.raises(ConfigError, match=r"holds another model: hidden \(128, here 192\); set model\.\* as"):
        given_checkpoint(load(overrides=["checkpoint=checkpoints/calvin", "model.hidden=192"]))
    with pytest.raises(ConfigError, match=r"set model\.preset=tiny model\.mask=strict$"):
        given_checkpoint(load(overrides=["checkpoint=checkpoints/calvin", "model.mask=compat"]))
