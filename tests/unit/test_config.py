"""Configuration: what is accepted, what is refused and in which words."""

import dataclasses
from pathlib import Path

import pytest

from worldagen.cli import _parser, field_docs
from worldagen.config import PRESETS, Config, ConfigError, content_key, load, run_path, to_dict, without_passwords
from worldagen.config.loading import settings


def test_override_sets_a_list_of_floats() -> None:
    assert load([], ["ttt.learning_rate=[1e-4,1e-3]"]).ttt.learning_rate == [1e-4, 1e-3]


def test_a_single_value_is_a_list_of_one() -> None:
    config = load([], ["explore.episodes=12", "ttt.method=anchored", "ttt.steps=${explore.episodes}"])
    assert (config.explore.episodes, config.ttt.method, config.ttt.steps) == ([12], ["anchored"], [12])


def test_later_sources_win(tmp_path) -> None:
    file = tmp_path / "a.yaml"
    file.write_text("seed: 3\nttt: {batch_size: 7}\n")
    config = load([file], ["seed=5"])
    assert (config.seed, config.ttt.batch_size) == (5, 7)


def test_preset_can_be_adjusted() -> None:
    config = load([], ["model.preset=paper_libero", "model.layers=2", "env.image_size=224"])
    assert (config.model.hidden, config.model.layers, config.model.chunks) == (384, 2, 2)


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("ttt.learing_rate=1", ["ttt.learing_rate", "did you mean 'ttt.learning_rate'"]),
        ("model.preset=tny", ["'tny'", "did you mean 'tiny'"]),
        ("env.visuals=lite", ["env.visuals='lite' is not one of light, full"]),
        ("seed=1.5", ["seed", "1.5"]),
        ("ttt.learning_rate=[1e-4,x]", ["ttt.learning_rate", "'x'"]),
        ("ttt.steps=[]", ["ttt.steps"]),
        ("ttt.steps=[0]", ["ttt.steps", "above zero"]),
        ("ttt.method=[plain,ancored]", ["ttt.method", "'ancored'", "did you mean 'anchored'"]),
        ("ttt.method=[]", ["ttt.method"]),
        ("ttt.layers=[0,4]", ["ttt.layers", "0 to 3", "[4]"]),
        ("ttt.seeds=[]", ["ttt.seeds"]),
        ("ttt.anchor=0", ["ttt.anchor=0"]),
        ("ttt.asha=loss", ["ttt.asha='loss'", "heldout"]),
        ("explore.episodes=[0]", ["explore.episodes=[0]", "nothing to adapt"]),
        ("explore.episodes=[]", ["explore.episodes"]),
        ("explore.heldout_episodes=0", ["explore.heldout_episodes=0"]),
        ("explore.mixture={rndom: 1}", ["explore.mixture", "did you mean 'random'"]),
        ("explore.mixture={random: 0}", ["explore.mixture", "greater than 0"]),
        ("explore={mixture: {noisy: 1}, noise: 0}", ["explore.mixture", "three times explore.noise"]),
        ("ttt.learning_rate=[1e-4,", ["'ttt.learning_rate=[1e-4,'", "lists without spaces"]),
        ("explore.mixture={policy:", ["explore.mixture", "in quotes"]),
        ("ttt.steps=4,16,64", ["ttt.steps=[4,16,64]"]),
        ("env.shifts={camera:0.5}", ["a space follows the colon", "env.shifts.camera=0.5"]),
        ("run_dir=", ["run_dir is empty"]),
        ("inference.gpus=1.5", ["inference.gpus=1.5", "whole GPUs"]),
        ("pool.worker_gpus=2.5", ["pool.worker_gpus=2.5", "whole GPUs"]),
        ("pool.worker_resources={CPU: 2}", ["pool.worker_cpus"]),
        ("pool.worker_resources={sim: -1}", ["sim=-1", "at least 0.0001"]),
        ("pool.worker_gpus=.inf", ["pool.worker_gpus=inf", "whole GPUs only"]),
        ("ttt.gpus=0.00005", ["ttt.gpus=5e-05", "0.0001"]),
        ("env.shifts=camera", ["env.shifts.name=0.5"]),
        ("ttt.lr=1e-3", ["did you mean 'ttt.learning_rate'"]),
        ("evaluation.episodes=3", ["did you mean 'evaluation.episodes_per_task'"]),
        ("ttt.gpus=-1", ["ttt.gpus=-1"]),
        ("ttt.weight_decay=-1", ["ttt.weight_decay=-1"]),
        ("inference.device=cuda", ["set inference.gpus=0.5"]),
        ("model.image_size=60", ["model.image_size=60", "model.patch_size=8"]),
        ("model.observation_queries=8", ["perfect square"]),
        ("model.hidden=130", ["model.hidden=130", "model.decoder_heads=4"]),
        ("model.head_dim=31", ["model.head_dim=31", "multiple of 2"]),
        ("pretrain.batch_size=0", ["pretrain.batch_size=0"]),
        ("pretrain.accumulate=33", ["pretrain.accumulate=33", "of the 32 windows"]),
        ("pretrain.ema=1", ["pretrain.ema=1 must be less than 1"]),
        ("inference.gpus=0.5", ["inference.gpus=0.5", "inference.device=cpu", "set inference.device=cuda"]),
        ("ttt=3", ["settings"]),
        ("seed", ["'seed' is not an override"]),
    ],
)
def test_bad_setting_is_refused_in_one_line(override: str, words: list[str]) -> None:
    with pytest.raises(ConfigError) as caught:
        load([], [override])
    assert "\n" not in str(caught.value)
    for word in words:
        assert word in str(caught.value)


def test_nothing_is_an_empty_name() -> None:
    assert load([], ["checkpoint=x", "checkpoint="]).checkpoint == ""


def test_inference_on_a_gpu_needs_both_of_its_settings() -> None:
    inference = load([], ["inference.device=cuda", "inference.gpus=0.5"]).inference
    assert (inference.device, inference.gpus) == ("cuda", 0.5)


def test_missing_and_broken_files_are_named(tmp_path) -> None:
    (tmp_path / "quickstart.yaml").write_text("a: [")
    with pytest.raises(ConfigError, match=r"quickstar\.yaml.*did you mean .*quickstart\.yaml"):
        load([tmp_path / "quickstar.yaml"])
    with pytest.raises(ConfigError, match="not valid YAML"):
        load([tmp_path / "quickstart.yaml"])


def test_every_setting_is_documented_and_in_the_help() -> None:
    text = _parser("doc", has_dry_run=True).format_help()
    for name in settings():
        assert f"  {name} = " in text
    for part in [Config, *(type(v) for v in vars(Config()).values() if dataclasses.is_dataclass(v))]:
        plain = {f.name for f in dataclasses.fields(part) if not dataclasses.is_dataclass(getattr(part(), f.name))}
        assert plain <= set(field_docs(part))


def test_every_preset_loads() -> None:
    for name in PRESETS:
        assert load([], [f"model.preset={name}", "env.image_size=${model.image_size}"]).model.preset == name


def test_content_key_depends_on_content_only() -> None:
    assert content_key({"a": 1, "b": 2}) == content_key({"b": 2, "a": 1})
    assert content_key(Config()) != content_key(Config(seed=1))


def test_run_folder_of_a_submitted_job_survives_it(monkeypatch, tmp_path) -> None:
    config = load([], ["run_dir=runs/x"])
    assert run_path(config) == Path("runs/x").absolute()
    monkeypatch.setenv("RAY_JOB_CONFIG_JSON_ENV_VAR", "{}")
    monkeypatch.setenv("WORLDAGEN_HOME", str(tmp_path))
    assert run_path(config) == tmp_path / "runs/x"
    assert run_path(load([], ["run_dir=/data/x"])) == Path("/data/x")


def test_no_password_is_written_down() -> None:
    """Settings go into the run folder, MLflow, results and shipped checkpoints."""
    settings = load(overrides=["tracking.mlflow_uri=postgresql://me:se-cret@host:5432/mlflow", "run_dir=a:b@c"])
    written = to_dict(settings)
    assert written["tracking"]["mlflow_uri"] == "postgresql://me:***@host:5432/mlflow"
    assert written["run_dir"] == "a:b@c" and settings.tracking.mlflow_uri.count("se-cret") == 1
    for address in ("postgresql://me:s/e@host/mlflow", "postgresql://host/mlflow?user=me&password=s/e@"):
        told = without_passwords(f"python pipelines/study.py tracking.mlflow_uri={address} seed=1")
        assert "s/e" not in told and "***" in told and told.endswith(" seed=1")
