"""Training resumes bit for bit, learns, keeps its good checkpoint, and says what is wrong."""

import dataclasses
import json
import resource
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from small import small_config, small_model
from synthetic import make_curtain, make_trajectory

from worldagen.config import Config, ConfigError, DemosConfig, EnvConfig, PretrainConfig
from worldagen.config import load as load_config
from worldagen.data.episodes import EpisodeFiles
from worldagen.data.order import Mixture
from worldagen.data.trajectories import DataError, save
from worldagen.data.trajectories import load as load_trajectory
from worldagen.data.windows import WindowDataset
from worldagen.models import checkpoint
from worldagen.models.conventions import Conventions
from worldagen.models.weights import CheckpointError
from worldagen.models.worldagen import WorldAgen
from worldagen.training import pretraining, validation
from worldagen.training.loop import ALONE, learning_rate, train
from worldagen.training.objective import Worker
from worldagen.training.pictures import save_predictions
from worldagen.training.predict import predict
from worldagen.training.pretraining import finished, plan, work
from worldagen.training.sources import check_episodes
from worldagen.training.state import TrainingError, TrainingState, check_settings, load_state, save_state
from worldagen.training.validation import validate
from worldagen.training.vision_cache import SeenWindows, cache_path, see_all

SETTINGS = PretrainConfig(
    steps=7, batch_size=8, learning_rate=3e-3, warmup_steps=2, validate_every=3, threads=1, precision="float32"
)
IDENTITY = {"pretrain": {"steps": 7}, "seed": 0}


class Killed(Exception):
    """Stands for the end of the process."""


def dataset() -> WindowDataset:
    return WindowDataset([make_trajectory(i, chunks=5) for i in range(3)], chunks=2)


def run_training(
    path: Path, settings: PretrainConfig = SETTINGS, kill_at: int = 0, seed: int = 0, worker: Worker = ALONE
) -> WorldAgen:
    """Train a small model; with `kill_at`, die right after the state of that step was stored."""
    torch.manual_seed(0)
    model = WorldAgen(small_config())

    def on_record(record: dict[str, float]) -> None:
        if record["step"] == kill_at:
            raise Killed

    train(
        model,
        dataset(),
        settings,
        seed=seed,
        state_path=path,
        identity=IDENTITY,
        validate=lambda model: validate(model, dataset(), threshold=0.02),
        on_record=on_record,
        worker=worker,
    )
    return model


def test_learning_rate_warms_up_and_ends_at_exactly_zero() -> None:
    rates = [learning_rate(step, SETTINGS) for step in range(7)]
    assert rates[:2] == [1.5e-3, 3e-3]
    assert rates[2] > rates[3] > rates[4] > rates[5] > rates[6] == 0.0


@pytest.mark.parametrize(
    ("kill_at", "changes"), [(3, {"ema": 0.9, "accumulate": 3}), (6, {"precision": "bfloat16"})], ids=str
)
def test_resumed_run_ends_with_the_same_bits(tmp_path: Path, kill_at: int, changes: dict[str, Any]) -> None:
    settings = dataclasses.replace(SETTINGS, **changes)
    whole = run_training(tmp_path / "whole.pt", settings)
    path = tmp_path / "state.pt"
    with pytest.raises(Killed):
        run_training(path, settings, kill_at=kill_at)
    state = load_state(path, IDENTITY)
    assert state is not None and state.step == kill_at
    torch.manual_seed(123)  # whatever happened to the generator meanwhile
    resumed = run_training(path, settings)
    for name, value in whole.state_dict().items():
        assert torch.equal(resumed.state_dict()[name], value), name


def test_micro_batches_train_the_same_weights(tmp_path: Path) -> None:
    """Also with gradients that are clipped: once per step, not once per micro-batch."""
    clipped = dataclasses.replace(SETTINGS, grad_clip=0.05, weight_decay=0.0)
    whole, split = (
        run_training(tmp_path / f"{parts}.pt", dataclasses.replace(clipped, accumulate=parts)) for parts in (1, 3)
    )
    for name, value in whole.state_dict().items():
        torch.testing.assert_close(split.state_dict()[name], value, rtol=0, atol=1e-4, msg=name)


def test_the_moving_average_is_what_is_measured_and_kept(tmp_path: Path) -> None:
    settings = dataclasses.replace(SETTINGS, ema=0.3, validate_every=1)
    path, measured, weights = tmp_path / "state.pt", [], []

    def measure(model: WorldAgen) -> dict[str, float]:
        measured.append(model.offset.detach().clone())
        return {}

    def remember(record: dict[str, float]) -> None:
        state = load_state(path, IDENTITY)
        assert state is not None
        weights.append(state.model["offset"])

    model = WorldAgen(small_config())
    train(
        model,
        dataset(),
        settings,
        seed=0,
        state_path=path,
        identity=IDENTITY,
        validate=measure,
        on_record=remember,
    )
    expected = weights[0]
    for step, weight in enumerate(weights):
        if step:  # the decay grows to its value: 2/11, 3/12, 0.3, ...
            expected = torch.lerp(expected, weight, 1 - min(0.3, (1 + step) / (10 + step)))
        torch.testing.assert_close(measured[step], expected)
    assert torch.equal(model.offset, measured[-1]) and not torch.equal(model.offset, weights[-1])


def test_the_seed_decides_the_order(tmp_path: Path) -> None:
    first, second = (run_training(tmp_path / f"{seed}.pt", seed=seed) for seed in (0, 1))
    assert not torch.equal(first.offset, second.offset)


def test_curve_of_a_resumed_run_is_complete(tmp_path: Path) -> None:
    with pytest.raises(Killed):
        run_training(tmp_path / "state.pt", kill_at=3)
    run_training(tmp_path / "state.pt")
    state = load_state(tmp_path / "state.pt", IDENTITY)
    assert state is not None
    assert [record["step"] for record in state.curve] == [3, 6, 7]
    expected = {"train/arm", "train/gripper", "train/image", "validation/arm_error", "validation/copy_changed"}
    assert all(expected <= record.keys() for record in state.curve)


def test_bfloat16_trains_close_to_float32(tmp_path: Path) -> None:
    exact = run_training(tmp_path / "exact.pt")
    rounded = run_training(tmp_path / "rounded.pt", dataclasses.replace(SETTINGS, precision="bfloat16"))
    assert not torch.equal(exact.offset, rounded.offset)
    assert rounded.offset.dtype == torch.float32
    torch.testing.assert_close(exact.offset, rounded.offset, atol=5e-3, rtol=0)


def test_diverging_run_stops_with_advice(tmp_path: Path) -> None:
    settings = dataclasses.replace(SETTINGS, learning_rate=1e30, validate_every=100)
    with pytest.raises(TrainingError, match=r"step \d.*lower pretrain\.learning_rate"):
        run_training(tmp_path / "state.pt", settings)
    assert load_state(tmp_path / "state.pt", IDENTITY) is None


def test_state_of_another_run_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "state.pt"
    save_state(path, TrainingState(1, {}, {}), IDENTITY)
    changed = {"pretrain": {"steps": 9}, "seed": 0}
    with pytest.raises(TrainingError, match=r"pretrain\.steps was 7, now 9; use another run_dir, or delete it"):
        load_state(path, changed)


def test_a_setting_that_is_younger_than_the_state_had_its_default(tmp_path: Path) -> None:
    save_state(tmp_path / "state.pt", TrainingState(1, {}, {}), IDENTITY)
    now = {"pretrain": {"steps": 7, "ema": 0.0}, "seed": 0}
    assert load_state(tmp_path / "state.pt", now) is not None
    now["pretrain"]["ema"] = 0.9
    with pytest.raises(TrainingError, match=r"pretrain\.ema was 0\.0, now 0\.9"):
        load_state(tmp_path / "state.pt", now)


def test_state_of_other_episode_files_is_refused_and_they_are_named(tmp_path: Path) -> None:
    files = {f"k{i}": [f"digest {i}", f"{i}.parquet"] for i in range(9)}
    save_state(tmp_path / "state.pt", TrainingState(1, {}, {}), {**IDENTITY, "files": files})
    now = {**files, "k8": ["another", "8.parquet"], "new": ["digest", "new.parquet"]}
    for key in list(files)[:7]:
        del now[key]
    words = (
        r"run: missing episodes: 0\.parquet, .*, 4\.parquet and 2 more; added episodes: new.*; changed .*: 8\.parquet;"
    )
    with pytest.raises(TrainingError, match=words):
        load_state(tmp_path / "state.pt", {**IDENTITY, "files": now})


def start_at_different_steps(rank: int, folder: str) -> None:
    """One of two workers, each with a folder of its own, of which only the first one's holds a state."""
    torch.distributed.init_process_group("gloo", init_method=f"file://{folder}/store", rank=rank, world_size=2)
    with pytest.raises(TrainingError, match=r"different steps, \[3, 0\] by rank: .*storage that all nodes share"):
        run_training(Path(folder) / str(rank) / "state.pt", worker=Worker(rank, 2))
    torch.distributed.destroy_process_group()


def test_workers_that_would_go_on_from_different_steps_stop(tmp_path: Path) -> None:
    with pytest.raises(Killed):
        run_training(tmp_path / "0" / "state.pt", kill_at=3)
    torch.multiprocessing.spawn(start_at_different_steps, (str(tmp_path),), nprocs=2)


def test_a_state_from_before_digests_were_kept_goes_on(tmp_path: Path) -> None:
    save_state(tmp_path / "state.pt", TrainingState(1, {}, {}), IDENTITY)
    assert load_state(tmp_path / "state.pt", {**IDENTITY, "files": {"k": ["digest", "k.parquet"]}}) is not None


def test_damaged_state_is_named(tmp_path: Path) -> None:
    path = tmp_path / "state.pt"
    save_state(path, TrainingState(1, {"w": torch.zeros(1000)}, {}), IDENTITY)
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(TrainingError, match=r"state\.pt is damaged .*delete it to start again"):
        load_state(path, IDENTITY)


@pytest.fixture
def full_disk() -> Iterator[Callable[[bool], None]]:
    """Makes every file end after 20 kB, as a disk does that is nearly full; and makes room again."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)

    def set_full(full: bool) -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000 if full else soft, hard))

    yield set_full
    set_full(False)


def test_a_full_disk_keeps_the_last_state_and_the_run_goes_on_from_it(
    tmp_path: Path, full_disk: Callable[[bool], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, path = run_training(tmp_path / "whole.pt"), tmp_path / "killed" / "state.pt"
    with pytest.raises(Killed):
        run_training(path, kill_at=3)
    full_disk(True)
    with pytest.raises(TrainingError, match=r"cannot write .*state\.pt: .*; what was there before is kept.*Make room"):
        run_training(path)
    full_disk(False)
    assert [p.name for p in path.parent.iterdir()] == ["state.pt"]
    state = load_state(path, IDENTITY)
    assert state is not None and state.step == 3
    resumed = run_training(path)
    assert all(torch.equal(resumed.state_dict()[name], value) for name, value in whole.state_dict().items())


def test_a_full_disk_keeps_the_last_checkpoint(tmp_path: Path, full_disk: Callable[[bool], None]) -> None:
    folder = checkpoint.save(small_model(0), tmp_path / "checkpoint", {})
    before = checkpoint.fingerprint(folder)
    full_disk(True)
    with pytest.raises(CheckpointError, match=r"cannot write .*checkpoint: .*; what was there before is kept"):
        checkpoint.save(small_model(1), folder, {})
    full_disk(False)
    assert checkpoint.fingerprint(checkpoint.load(folder)) == before
    assert [p.name for p in tmp_path.iterdir()] == ["checkpoint"]


def test_validation_does_not_depend_on_its_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    model = small_model()
    whole = validate(model, dataset(), threshold=2.35)
    monkeypatch.setattr(validation, "BATCH", 4)
    in_parts = validate(model, dataset(), threshold=2.35)
    assert whole == pytest.approx(in_parts, rel=1e-5)
    assert 0 < whole["validation/changed_fraction"] < 1


def test_validation_measures_actions_and_the_copy_baseline() -> None:
    """On one whole window the numbers can be computed by hand."""
    model, episode = small_model(), make_trajectory(chunks=2, last=5)
    found = validate(model, WindowDataset([episode], chunks=2), threshold=0.0, limit=1)
    pixels = episode.primary.astype(np.float64), episode.wrist.astype(np.float64)
    std = np.array([0.26862954, 0.26130258, 0.27577711]) * 255
    copied = np.mean([np.square((frames[1:] - frames[:-1]) / std).mean() for frames in pixels])
    assert found["validation/copy_all"] == pytest.approx(copied, rel=1e-4)
    assert found["validation/copy_changed"] == pytest.approx(copied, rel=1e-4)
    with torch.no_grad():
        output = validation.predict(model, WindowDataset([episode], chunks=2).batch([0]))
    error = np.abs(output.arm[0].numpy() - episode.intended[..., :6]).mean()
    right = ((output.gripper[0, ..., 0].numpy() > 0.5) == (episode.intended[..., 6] >= 1)).mean()
    assert found["validation/arm_error"] == pytest.approx(error, rel=1e-4)
    assert found["validation/gripper_accuracy"] == pytest.approx(right)


def test_picture_shows_three_images_of_both_cameras(tmp_path: Path) -> None:
    save_predictions(small_model(), dataset(), tmp_path / "p" / "predictions.png", rows=2)
    with Image.open(tmp_path / "p" / "predictions.png") as picture:
        assert picture.width > 2 * picture.height > 200


@pytest.fixture
def config(tmp_path: Path) -> Config:
    """A run folder with demonstrations of a moving curtain."""
    for index in range(24):
        save(make_curtain(index), tmp_path / "demos" / "trajectories" / f"{index}.parquet")
    model = small_config(image_size=32, hidden=64, heads=4, mlp=128, vision_width=32)
    return Config(
        run_dir=str(tmp_path),
        env=EnvConfig(image_size=32),
        demos=DemosConfig(),
        model=model,
        pretrain=dataclasses.replace(SETTINGS, steps=100, batch_size=16, warmup_steps=10, validate_every=50),
    )


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


def test_damaged_demonstration_is_found_before_training(config: Config) -> None:
    path = next(iter(Path(config.run_dir).rglob("*.parquet")))
    content = bytearray(path.read_bytes())
    content[60] ^= 0xFF
    path.write_bytes(bytes(content))
    with pytest.raises(ValueError, match=rf"{path.name} is damaged"):
        check_episodes(plan(config).sources)


@pytest.fixture
def frozen(config: Config, tmp_path: Path) -> Config:
    """The same with a frozen vision transformer, whose weights lie in a file as MAE's do."""
    model = dataclasses.replace(config.model, vision_frozen=True)
    mae = tmp_path / "mae.pth"
    torch.save({"model": {**WorldAgen(model).vision.state_dict(), "decoder_embed.weight": torch.zeros(1)}}, mae)
    settings = dataclasses.replace(config.pretrain, vision_checkpoint=str(mae), steps=4, warmup_steps=1)
    return dataclasses.replace(config, model=model, pretrain=settings)


def trained(config: Config, run_dir: Path, **settings: object) -> WorldAgen:
    pretrain = dataclasses.replace(config.pretrain, **settings)
    run = plan(dataclasses.replace(config, run_dir=str(run_dir), demos_dir=config.run_dir, pretrain=pretrain))
    work(run)
    return checkpoint.load(run.checkpoint)


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


def invert(path: Path) -> None:
    """The same episode with other pictures."""
    episode = load_trajectory(path)
    save(dataclasses.replace(episode, primary=255 - episode.primary), path)


def test_a_run_does_not_go_on_with_episodes_that_were_changed(config: Config) -> None:
    before = plan(config).identity
    check_settings(Path("state.pt"), before, plan(config).identity)
    invert(plan(config).training[3].path)
    name = plan(config).training[3].path.name
    with pytest.raises(TrainingError, match=rf"another training run: changed episodes: {name}; use"):
        check_settings(Path("state.pt"), before, plan(config).identity)


def test_what_was_seen_of_an_episode_is_not_used_for_a_changed_one(frozen: Config, tmp_path: Path) -> None:
    model = WorldAgen(frozen.model)

    def path() -> Path:
        return cache_path(tmp_path, model, EpisodeFiles(plan(frozen).training), torch.float32)

    before = path()
    assert path() == before
    invert(plan(frozen).training[0].path)
    assert path() != before


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


def test_training_from_kept_features_gives_the_same_weights(frozen: Config, tmp_path: Path) -> None:
    torch.set_num_threads(1)
    plain = trained(frozen, tmp_path / "plain").state_dict()
    cached = trained(frozen, tmp_path / "cached", cache_vision=True).state_dict()
    vision = torch.load(frozen.pretrain.vision_checkpoint, weights_only=True)["model"]
    for name, tensor in cached.items():
        torch.testing.assert_close(tensor, plain[name], rtol=0, atol=1e-5)
        if name.startswith("vision."):
            assert torch.equal(tensor, vision[name.removeprefix("vision.")]), "frozen, and the file's"
    assert len(list((tmp_path / "cached" / "pretrain" / "vision").glob("*.npy"))) == 2


def test_frames_are_encoded_once_and_an_interrupted_encoding_goes_on(
    frozen: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, files = WorldAgen(frozen.model), EpisodeFiles(plan(frozen).training)
    path, calls = tmp_path / "seen.npy", []
    see = model.see

    def dies_at_the_fourth(*frames: torch.Tensor) -> torch.Tensor:
        calls.append(len(frames[0]))
        if len(calls) == 4:
            raise Killed
        return see(*frames)

    monkeypatch.setattr(model, "see", dies_at_the_fourth)
    with pytest.raises(Killed):
        see_all(model, files, path, torch.float32)
    assert not path.exists()
    table = path.with_suffix(".partial.npy").stat()
    assert table.st_blocks * 512 >= table.st_size, "a full disk is noticed before, not while it is written to"
    see_all(model, files, path, torch.float32)
    see_all(model, files, path, torch.float32)
    assert len(calls) == len(files) + 1, "three episodes were done, the fourth was begun twice"
    windows = SeenWindows(files, model.config.chunks, path)
    batch = windows.batch(range(len(windows)))
    torch.testing.assert_close(
        predict(model, batch).arm, predict(model, dataclasses.replace(batch, seen=None)).arm, rtol=0, atol=1e-5
    )


def test_a_kill_while_the_progress_is_written_does_no_harm(
    frozen: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, files, path = WorldAgen(frozen.model), EpisodeFiles(plan(frozen).training), tmp_path / "seen.npy"
    write = Path.write_text

    def dies_in_the_third(self: Path, text: str) -> int:
        if text == "3":
            write(self, "")
            raise Killed
        return write(self, text)

    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(Path, "write_text", dies_in_the_third)
        see_all(model, files, path, torch.float32)
    see_all(model, files, path, torch.float32)
    assert len(SeenWindows(files, model.config.chunks, path)) > 0


def test_a_disk_without_room_for_the_features_is_told_before_they_are_computed(
    frozen: Config, tmp_path: Path, full_disk: Callable[[bool], None]
) -> None:
    model, files, path = WorldAgen(frozen.model), EpisodeFiles(plan(frozen).training), tmp_path / "seen" / "seen.npy"
    full_disk(True)
    with pytest.raises(TrainingError, match=r"cannot make room for .*, 0\.\d+ GB .*too large; free as much, or set"):
        see_all(model, files, path, torch.float32)
    full_disk(False)
    assert not list(path.parent.iterdir())
    see_all(model, files, path, torch.float32)


def test_a_frozen_vision_transformer_needs_weights(frozen: Config) -> None:
    without = dataclasses.replace(frozen, pretrain=dataclasses.replace(frozen.pretrain, vision_checkpoint=""))
    with pytest.raises(ConfigError, match=r"set pretrain\.vision_checkpoint"):
        plan(without)
    other = dataclasses.replace(frozen, model=dataclasses.replace(frozen.model, vision_width=48))
    with pytest.raises(CheckpointError, match=r"mae\.pth does not fit .*cls_token"):
        work(plan(other))
    with pytest.raises(ConfigError, match=r"cache_vision=true needs model\.vision_frozen"):
        load_config([], ["pretrain.cache_vision=true"])
