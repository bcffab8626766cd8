"""Training reads CALVIN's and LIBERO's own files and our episodes, alone or mixed, as the same tensors."""

from pathlib import Path

import numpy as np
import pytest
import torch

from tests.published_data import write_calvin_split, write_libero_suite
from tests.small import small_config
from tests.synthetic import make_trajectory
from worldagen.config import Config, ConfigError, PretrainConfig
from worldagen.data.calvin import CalvinSplit
from worldagen.data.demonstrations import StepWindows, trajectory
from worldagen.data.libero import LiberoDemos
from worldagen.data.order import Mixture
from worldagen.data.trajectories import DataError, save
from worldagen.models import checkpoint
from worldagen.models.pixels import resize
from worldagen.training.pretraining import finished, plan, work
from worldagen.training.sources import check_episodes, cut_windows
from worldagen.training.state import TrainingError, check_settings

SPANS = ((100, 109, "open_drawer"), (105, 116, "open_drawer"), (120, 133, "open_drawer"))
FILES = 3  # episodes of our own


@pytest.fixture
def calvin(tmp_path: Path) -> Path:
    return write_calvin_split(tmp_path / "task_ABC_D" / "training", spans=SPANS)


@pytest.fixture
def libero(tmp_path: Path) -> Path:
    return write_libero_suite(tmp_path / "libero_goal")


@pytest.fixture
def ours(tmp_path: Path) -> Path:
    for index in range(FILES):
        save(make_trajectory(index), tmp_path / "ours" / f"{index}.parquet")
    return tmp_path / "ours"


def config_of(run_dir: Path, data: dict[Path, float], **pretrain: object) -> Config:
    settings = {"steps": 4, "batch_size": 6, "warmup_steps": 1, "validate_every": 2, "threads": 1}
    weights = {str(folder): weight for folder, weight in data.items()}
    return Config(
        run_dir=str(run_dir),
        model=small_config(),
        pretrain=PretrainConfig(**{**settings, "data": weights, "precision": "float32", **pretrain}),
    )


def test_three_formats_are_trained_on_together(tmp_path: Path, calvin: Path, libero: Path, ours: Path) -> None:
    """Frames of 200 and 84, of 128 and of 16 pixels; the run ends with a checkpoint, and a killed one with the same,
    with other processes as readers."""
    torch.set_num_threads(1)
    config = config_of(tmp_path / "run", {calvin: 2, libero: 1, ours: 1})
    run = plan(config)
    held = [episode.windows for episode in run.held_out]
    assert run.mixture == Mixture((9 + 11 + 13 - held[0], 2 * 12, 2 * 6), (2, 1, 1)) and held[1:] == [12, 6]
    check_episodes(run.sources)
    work(run)
    assert finished(run)

    class Killed(Exception):
        pass

    def dies(record: dict[str, float]) -> None:
        raise Killed

    again = plan(config_of(tmp_path / "again", {calvin: 2, libero: 1, ours: 1}, loaders=2))
    with pytest.raises(Killed):
        work(again, log=dies)
    work(again)
    whole, resumed = (checkpoint.load(each.checkpoint).state_dict() for each in (run, again))
    assert all(torch.equal(resumed[name], tensor) for name, tensor in whole.items())


def test_joined_windows_are_those_of_each_source_resized_as_the_model_does(
    tmp_path: Path, calvin: Path, libero: Path, ours: Path
) -> None:
    run = plan(config_of(tmp_path, {calvin: 1, libero: 1, ours: 1}))
    parts = [cut_windows([source.training], run.config.model) for source in run.sources]
    joined = cut_windows([source.training for source in run.sources], run.config.model)
    assert len(joined) == sum(map(len, parts)) == sum(run.mixture.windows)
    first = 0
    for part in parts:
        chosen = [0, len(part) // 2, len(part) - 1]
        found, expected = joined.batch([first + index for index in chosen]), part.batch(chosen)
        first += len(part)
        for name in ("primary", "wrist"):
            assert torch.equal(getattr(found, name), resize(getattr(expected, name), 16)), name
        for name in ("state", "action", "intended", "counts"):
            assert torch.equal(getattr(found, name), getattr(expected, name)), name
        assert found.instruction == expected.instruction
    assert len(set(joined.batch([0, len(parts[0]), len(joined) - 1]).instruction)) == 3


@pytest.mark.parametrize("kind", ["calvin", "libero"])
def test_files_and_what_is_converted_from_them_train_on_the_same_windows(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """Those that start at a chunk's beginning; the converted episodes have no others."""
    folder = request.getfixturevalue(kind)
    demonstrations = CalvinSplit(folder) if kind == "calvin" else LiberoDemos(folder)
    for index in range(len(demonstrations.demonstrations)):
        save(trajectory(demonstrations, index, 5), tmp_path / "converted" / f"{index}.parquet")
    runs = [plan(config_of(tmp_path, {path: 1})) for path in (folder, tmp_path / "converted")]
    own, stored = (
        cut_windows([[*source.training, *source.held_out]], run.config.model) for run in runs for source in run.sources
    )
    batches = [windows.batch(range(len(windows))) for windows in (own, stored)]
    found, expected = (
        {(b.instruction[i], b.primary[i].numpy().tobytes(), b.action[i].numpy().tobytes()) for i in range(len(b))}
        for b in batches
    )
    assert expected < found


def test_the_published_pairing_is_a_setting(tmp_path: Path, calvin: Path, ours: Path) -> None:
    late, exact = (plan(config_of(tmp_path, {calvin: 1}, pairing=pairing)) for pairing in ("published", "exact"))
    number = late.training[0].index
    expected = StepWindows(CalvinSplit(calvin), 2, 5, "published", [number])[0]
    found, usual = (cut_windows([run.sources[0].training], run.config.model)[0] for run in (late, exact))
    assert np.array_equal(found.action, expected.action) and not np.array_equal(found.action, usual.action)
    with pytest.raises(TrainingError, match=r"pretrain\.pairing was published, now exact"):
        check_settings(tmp_path, late.identity, exact.identity)
    with pytest.raises(
        ConfigError, match=r"pairing=published is for CALVIN's and LIBERO's own files, but .*ours holds"
    ):
        plan(config_of(tmp_path, {calvin: 1, ours: 1}, pairing="published"))


def test_what_is_damaged_is_named_before_training_or_by_it(tmp_path: Path, calvin: Path) -> None:
    """First and last chunk of each demonstration are read before; what lies between, when its turn comes."""
    config = config_of(tmp_path / "run", {calvin: 1}, steps=20)
    inner = calvin / "episode_0000126.npz"
    inner.write_bytes(inner.read_bytes()[:500])
    check_episodes(plan(config).sources)
    with pytest.raises(DataError, match=r"episode_0000126\.npz \(frame 126\) is damaged"):
        work(plan(config))
    (calvin / "episode_0000133.npz").unlink()
    with pytest.raises(DataError, match="frame 133 is missing"):
        check_episodes(plan(config).sources)


def test_images_of_two_sizes_in_one_folder_are_named(tmp_path: Path, calvin: Path) -> None:
    for frame in range(120, 134):
        path = calvin / f"episode_{frame:07d}.npz"
        np.savez(path, **{**np.load(path), "rgb_gripper": np.zeros((64, 64, 3), np.uint8)})
    with pytest.raises(DataError, match=r"has images of \(200, 200\) and \(\d+, \d+\) .* but .* of \(200, 200\)"):
        check_episodes(plan(config_of(tmp_path, {calvin: 1})).sources)


def test_images_that_are_not_square_are_named(tmp_path: Path, calvin: Path) -> None:
    for path in calvin.glob("*.npz"):
        np.savez(path, **{**np.load(path), "rgb_static": np.zeros((200, 160, 3), np.uint8)})
    with pytest.raises(DataError, match=r"has images of \(200, 160\) and .* use square"):
        check_episodes(plan(config_of(tmp_path, {calvin: 1})).sources)


def test_hidden_files_are_nobodys_demonstrations(tmp_path: Path, calvin: Path, libero: Path) -> None:
    """A Mac leaves such ones."""
    expected = plan(config_of(tmp_path, {calvin: 1, libero: 1})).identity
    for folder, name in ((calvin, "._episode_0000001.npz"), (libero, "._turn_on_the_stove_demo.hdf5")):
        (folder / name).write_bytes(b"resource fork")
    assert plan(config_of(tmp_path, {calvin: 1, libero: 1})).identity == expected


def test_a_demonstration_that_is_gone_or_new_is_named_on_resume(tmp_path: Path, libero: Path) -> None:
    before = plan(config_of(tmp_path, {libero: 1})).identity
    moved = libero.rename(tmp_path / "elsewhere") / ".." / "libero_goal"
    write_libero_suite(tmp_path / "libero_goal", demos=4)
    with pytest.raises(TrainingError, match=r"added episodes: turn_on_the_stove_demo\.hdf5, demo_3;"):
        check_settings(tmp_path, before, plan(config_of(tmp_path, {moved.resolve(): 1})).identity)


def test_folders_that_cannot_be_trained_on_are_refused(tmp_path: Path, calvin: Path, libero: Path) -> None:
    with pytest.raises(DataError, match=r"no successful episodes below .*task_ABC_D .*\(task_ABC_D/training"):
        plan(config_of(tmp_path, {calvin.parent: 1}))
    with pytest.raises(ConfigError, match=r"cache_vision keeps frames of our own episodes only, but .*libero_goal"):
        plan(config_of(tmp_path, {libero: 1}, cache_vision=True))
    short = write_calvin_split(tmp_path / "short", spans=((100, 101, "open_drawer"), (105, 106, "open_drawer")))
    with pytest.raises(DataError, match=r"short has no demonstration of which pretrain\.pairing=published leaves an"):
        plan(config_of(tmp_path, {short: 1}, pairing="published"))
    (calvin / "1.parquet").touch()
    with pytest.raises(DataError, match=r"training holds \.npz and \.parquet files; move them"):
        plan(config_of(tmp_path, {calvin: 1}))
    config = config_of(tmp_path, {libero: 1})
    config.env.tasks = ["open_the_drawer"]
    with pytest.raises(DataError, match=r"no demonstrations of open_the_drawer; it has some of turn_on_the_stove"):
        plan(config)
    link = tmp_path / "elsewhere" / libero.name
    link.parent.mkdir()
    link.symlink_to(libero)
    with pytest.raises(DataError, match=r"_demo\.hdf5, demo_0 is the same episode as .*; every episode may occur once"):
        plan(config_of(tmp_path, {libero: 1, link: 1}))
