"""The whole plain run: plan, data, training, checkpoint, and what does not fit together."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.short_training import Killed, curtain_config, invert, trained
from tests.small import small_config
from tests.synthetic import make_curtain
from worldagen.config import Config, ConfigError, run_path
from worldagen.config import load as load_config
from worldagen.data.order import Mixture
from worldagen.data.trajectories import DataError, save
from worldagen.data.trajectories import load as load_trajectory
from worldagen.models import checkpoint
from worldagen.models.conventions import Conventions
from worldagen.models.worldagen import WorldAgen
from worldagen.training import pretraining
from worldagen.training.pretraining import finished, plan, work
from worldagen.training.sources import check_episodes
from worldagen.training.state import TrainingError, check_settings
from worldagen.training.validation import validate


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return curtain_config(tmp_path)


def test_a_model_learns_to_act_and_to_predict_better_than_copying(config: Config) -> None:
    """The whole plain run: plan, train, checkpoint, curve, picture; then it counts as finished."""
    torch.set_num_threads(1)
    run = plan(config)
    assert not finished(run)
    work(run)
    curve = json.loads(run.curve.read_text())
    last = curve[-1]
    assert last["validation/image_changed"] < 0.2 * last["validation/copy_changed"]
    assert last["validation/arm_error"] < 0.03
    assert finished(run)
    model = checkpoint.load(run.checkpoint)
    assert model.config == config.model
    provenance = checkpoint.describe(run.checkpoint)["provenance"]
    assert provenance["metrics"] == last and provenance["identity"] == run.identity
    assert run.picture.exists()

    changed = dataclasses.replace(config, pretrain=dataclasses.replace(config.pretrain, learning_rate=1.0))
    with pytest.raises(TrainingError, match=r"checkpoint belongs to another training run: pretrain\.learning_rate was"):
        finished(plan(changed))
    faster = dataclasses.replace(config, pretrain=dataclasses.replace(config.pretrain, workers=2, threads=8))
    assert finished(plan(faster))


def test_demonstrations_that_do_not_fit_the_model_are_refused(config: Config) -> None:
    other = dataclasses.replace(config, model=small_config(actions_per_chunk=3))
    with pytest.raises(ConfigError, match=r"5 actions per chunk, but model\.actions_per_chunk=3"):
        plan(other)


@pytest.fixture
def mixed(config: Config, tmp_path: Path) -> Config:
    """Two folders of demonstrations, the second small and drawn more often."""
    for index in range(24, 30):
        save(make_curtain(index), tmp_path / "more" / f"{index}.parquet")
    data = {str(tmp_path / "demos"): 1.0, str(tmp_path / "more"): 3.0}
    return dataclasses.replace(config, pretrain=dataclasses.replace(config.pretrain, data=data))


def with_data(config: Config, data: dict[str, float]) -> Config:
    return dataclasses.replace(config, pretrain=dataclasses.replace(config.pretrain, data=data))


def test_several_folders_are_mixed_by_weight_and_each_holds_out_its_own(mixed: Config) -> None:
    run = plan(mixed)
    assert run.mixture == Mixture((22 * 6, 4 * 6), (1.0, 3.0))
    assert [Path(e.path).parent.name for e in run.training] == ["trajectories"] * 22 + ["more"] * 4
    assert [Path(e.path).parent.name for e in run.held_out] == ["trajectories"] * 2 + ["more"] * 2
    check_episodes(run.sources)
    few = plan(dataclasses.replace(mixed, pretrain=dataclasses.replace(mixed.pretrain, episodes_per_task=1)))
    assert [Path(e.path).parent.name for e in few.training] == ["trajectories"] * 2 + ["more"] * 2
    assert few.held_out == run.held_out and few.identity != run.identity
    other = plan(with_data(mixed, dict.fromkeys(mixed.pretrain.data, 1.0)))
    with pytest.raises(TrainingError, match=r"pretrain\.data\..*more was 3\.0, now 1\.0"):
        check_settings(run.state, run.identity, other.identity)


def test_a_mixture_resumes_bit_for_bit(mixed: Config, tmp_path: Path) -> None:
    torch.set_num_threads(1)
    settings = {"data": mixed.pretrain.data, "steps": 6, "warmup_steps": 1, "validate_every": 2}
    whole = trained(mixed, tmp_path / "whole", **settings).state_dict()

    def dies(record: dict[str, float]) -> None:
        if record["step"] == 4:
            raise Killed

    pretrain = dataclasses.replace(mixed.pretrain, **settings)
    with pytest.raises(Killed):
        work(plan(dataclasses.replace(mixed, run_dir=str(tmp_path / "killed"), pretrain=pretrain)), log=dies)
    resumed = trained(mixed, tmp_path / "killed", **settings).state_dict()
    plain = trained(mixed, tmp_path / "plain", **{**settings, "data": {}}).state_dict()
    assert all(torch.equal(resumed[name], tensor) for name, tensor in whole.items())
    assert not all(torch.equal(plain[name], tensor) for name, tensor in whole.items())


def test_folders_that_cannot_be_mixed_are_refused(mixed: Config, tmp_path: Path) -> None:
    demos = str(tmp_path / "demos")
    with pytest.raises(DataError, match=r"there is no folder .*nowhere; .*pretrain\.data"):
        plan(with_data(mixed, {demos: 1.0, str(tmp_path / "nowhere"): 1.0}))
    with pytest.raises(ConfigError, match=r"pretrain\.data: the weight of a is 0, it must be greater than 0"):
        load_config([], ["pretrain.data={a: 0, b: 1}"])
    with pytest.raises(DataError, match=r"is the same episode as .*; every episode may occur once"):
        plan(with_data(mixed, {demos: 1.0, str(tmp_path / "demos" / "trajectories"): 1.0}))
    for index in range(4):
        save(make_curtain(30 + index, size=16 * (1 + index // 2)), tmp_path / "both" / f"{index}.parquet")
    with pytest.raises(DataError, match=r"\d\.parquet has image_size \(32, 32\), but .*both.* has \(16, 16\)"):
        plan(with_data(mixed, {demos: 1.0, str(tmp_path / "both"): 1.0}))


def test_a_wrist_camera_of_another_size_is_found_before_training(mixed: Config, tmp_path: Path) -> None:
    for index in (40, 42):
        episode = make_curtain(index)
        save(dataclasses.replace(episode, wrist=episode.wrist[:, ::2, ::2]), tmp_path / "more" / f"{index}.parquet")
    with pytest.raises(DataError, match=r"more/\d+\.parquet has .*(32|16)\), 5\), but .*more/\d+\.parquet \("):
        check_episodes(plan(mixed).sources)


def test_kept_features_need_one_size_of_images_in_all_folders(mixed: Config, tmp_path: Path) -> None:
    for path in (tmp_path / "more").glob("*.parquet"):
        episode = load_trajectory(path)
        save(dataclasses.replace(episode, wrist=episode.wrist[:, ::2, ::2]), path)
    check_episodes(plan(mixed).sources)
    with pytest.raises(DataError, match=r"more/\d+\.parquet has .*16\), 5\), but .*\.parquet \(.*32\), 5\)"):
        check_episodes(plan(mixed).sources, alike=True)


def test_damaged_demonstration_is_found_before_training(config: Config) -> None:
    path = next(iter(Path(config.run_dir).rglob("*.parquet")))
    content = bytearray(path.read_bytes())
    content[60] ^= 0xFF
    path.write_bytes(bytes(content))
    with pytest.raises(ValueError, match=rf"{path.name} is damaged"):
        check_episodes(plan(config).sources)


def test_training_goes_on_from_the_weights_of_a_checkpoint(config: Config, tmp_path: Path) -> None:
    other = dataclasses.replace(config.model, layers=1)
    begin = checkpoint.save(WorldAgen(config.model), tmp_path / "begin", {})
    unfit = checkpoint.save(WorldAgen(other), tmp_path / "unfit", {})
    settings = {"initial": str(begin), "steps": 2, "warmup_steps": 1, "learning_rate": 1e-9, "weight_decay": 0.0}
    after = trained(config, tmp_path / "on", **settings)
    for name, tensor in checkpoint.load(begin).state_dict().items():
        torch.testing.assert_close(after.state_dict()[name], tensor, atol=1e-6, rtol=0)
    for folder, words in {unfit: r"differs in model\.layers", tmp_path: "is not a checkpoint folder"}.items():
        with pytest.raises(ConfigError, match=words):
            trained(config, tmp_path / "off", **{**settings, "initial": str(folder)})


def test_weights_of_other_conventions_are_not_trained_on_with_ours(config: Config, tmp_path: Path) -> None:
    model = WorldAgen(config.model)
    model.conventions = Conventions(image="upside down", gripper="+1 close, -1 open")
    begin = checkpoint.save(model, tmp_path / "begin", {})
    words = r"other conventions: image is 'upside down', ours 'upright'; gripper is '\+1 close.*', ours .*;"
    with pytest.raises(ConfigError, match=words):
        trained(config, tmp_path / "on", initial=str(begin))


def test_a_run_does_not_go_on_with_episodes_that_were_changed(config: Config) -> None:
    before = plan(config).identity
    check_settings(Path("state.pt"), before, plan(config).identity)
    invert(plan(config).training[3].path)
    name = plan(config).training[3].path.name
    with pytest.raises(TrainingError, match=rf"another training run: changed episodes: {name}; use"):
        check_settings(Path("state.pt"), before, plan(config).identity)


def test_the_last_validation_compiles_nothing_either(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    compiled = []

    def backend(graph: Any, inputs: Any) -> Any:
        compiled.append(graph)
        return graph.forward

    twice = torch.compile(lambda x: 2 * x, backend=backend)

    def validate_and_compile(*args: Any, **settings: Any) -> dict[str, float]:
        twice(torch.ones(1))
        return validate(*args, **settings)

    monkeypatch.setattr(pretraining, "validate", validate_and_compile)
    trained(config, Path(config.run_dir), steps=1, warmup_steps=0)
    assert not compiled
    twice(torch.ones(1))
    assert compiled


def test_weights_are_found_from_another_folder(config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ray Train's workers have one of their own."""
    checkpoint.save(WorldAgen(config.model), tmp_path / "begin", {})
    monkeypatch.chdir(tmp_path)
    settings = dataclasses.replace(config.pretrain, initial="begin", steps=2, warmup_steps=1)
    demos = str(run_path(config) / "demos")
    run = plan(dataclasses.replace(config, pretrain=settings, run_dir=str(tmp_path / "on"), demos_dir=demos))
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    work(run)
    assert finished(run)


def test_a_vision_checkpoint_that_is_not_there_is_told_before_training(config: Config) -> None:
    settings = dataclasses.replace(config.pretrain, vision_checkpoint="mae.pth")
    with pytest.raises(ConfigError, match=r"vision_checkpoint=.*mae\.pth is no file"):
        plan(dataclasses.replace(config, pretrain=settings))


def test_a_checkpoint_from_elsewhere_is_not_taken_for_the_runs_own(config: Config) -> None:
    run = plan(config)
    checkpoint.save(WorldAgen(config.model), run.checkpoint, {"imported": "from elsewhere"})
    with pytest.raises(TrainingError, match="no pretraining made here"):
        finished(run)
    checkpoint.save(WorldAgen(config.model), run.checkpoint, {"identity": run.identity, "shipped": {}})
    with pytest.raises(TrainingError, match="no pretraining made here"):
        finished(run)
    of_before = {name: value for name, value in run.identity.items() if name != "files"}
    checkpoint.save(WorldAgen(config.model), run.checkpoint, {"identity": of_before})
    assert finished(run)
