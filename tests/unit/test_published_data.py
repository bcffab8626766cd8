"""Demonstrations in CALVIN's and LIBERO's own formats become the same windows as ours, each frame with its actions."""

from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from tests.published_data import write_calvin_split, write_libero_suite
from worldagen.data.calvin import CalvinSplit
from worldagen.data.demonstrations import StepWindows, trajectory
from worldagen.data.libero import LiberoDemos
from worldagen.data.safe_pickle import load_plain
from worldagen.data.trajectories import DataError, load, save
from worldagen.data.windows import WindowDataset


@pytest.fixture
def calvin(tmp_path: Path) -> CalvinSplit:
    return CalvinSplit(write_calvin_split(tmp_path / "training"))


@pytest.fixture
def libero(tmp_path: Path) -> LiberoDemos:
    return LiberoDemos(write_libero_suite(tmp_path / "libero_goal"))


def test_calvin_spans_include_both_ends(calvin: CalvinSplit) -> None:
    assert [(d.suite, d.task, d.instruction, d.steps) for d in calvin.demonstrations] == [
        ("calvin_b", "open_drawer", "open the drawer", 9),
        ("calvin_a", "push_red_block_left", "push the red block left", 13),
    ]
    whole = trajectory(calvin, 1, actions_per_chunk=5)
    assert whole.primary[:, 0, 0, 0].tolist() == [120, 125, 130, 133] and whole.wrist.shape[1:] == (84, 84, 3)
    assert whole.counts.tolist() == [5, 5, 3]
    np.testing.assert_allclose(whole.actions[0, :, 0], np.arange(120, 125) / 1000, rtol=1e-6)
    np.testing.assert_allclose(whole.actions[2, :, 0], [0.13, 0.131, 0.132, 0, 0], rtol=1e-6)


def test_calvin_states_are_in_our_conventions(calvin: CalvinSplit) -> None:
    state = calvin.frames(0, [0, 1]).state
    np.testing.assert_allclose(state[:, 0], [0.1, 0.101], rtol=1e-6)
    expected = Rotation.from_euler("xyz", [np.pi, 0, 0.101]).as_matrix()
    np.testing.assert_allclose(Rotation.from_rotvec(state[1, 3:6]).as_matrix(), expected, atol=1e-6)
    assert state[:, 6].tolist() == [1, -1]


def test_windows_start_at_every_control_step_and_leave_no_frame_out(calvin: CalvinSplit) -> None:
    windows = StepWindows(calvin, chunks=2, actions_per_chunk=3)
    assert len(windows) == 9 + 13
    first, last = windows[0], windows[21]
    assert first.primary[:, 0, 0, 0].tolist() == [100, 103, 106] and first.counts.tolist() == [3, 3]
    np.testing.assert_allclose(first.action[:, :, 0], [[0.1, 0.101, 0.102], [0.103, 0.104, 0.105]], rtol=1e-6)
    assert last.primary[:, 0, 0, 0].tolist() == [132, 133, 133] and last.counts.tolist() == [1, 0]
    assert last.instruction == "push the red block left"


def test_the_published_pairing_is_one_action_late(calvin: CalvinSplit) -> None:
    windows = StepWindows(calvin, chunks=2, actions_per_chunk=3, pairing="published")
    np.testing.assert_allclose(windows[0].action[0, :, 0], [0.101, 0.102, 0.103], rtol=1e-6)
    assert windows[0].primary[0, 0, 0, 0] == 100 and len(windows) == 8 + 12
    with pytest.raises(ValueError, match="unknown pairing 'late'; use exact or published"):
        StepWindows(calvin, 2, 3, pairing="late")


def test_the_published_pairing_of_libero_is_the_exact_one(libero: LiberoDemos) -> None:
    published, exact = (StepWindows(libero, 2, 3, pairing) for pairing in ("published", "exact"))
    np.testing.assert_allclose(published[0].action[0, :, 0], [0.01, 0.02, 0.03], rtol=1e-6)
    assert len(published) == len(exact)
    for ours, theirs in zip(published.batch([0, 5, 11]).action, exact.batch([0, 5, 11]).action, strict=True):
        assert torch.equal(ours, theirs)


def test_play_is_what_no_sentence_describes(tmp_path: Path) -> None:
    play = CalvinSplit(write_calvin_split(tmp_path / "training"), play=True)
    assert [(d.name.split("frames ")[1], d.instruction) for d in play.demonstrations] == [
        ("109 to 120", "no lang"),
        ("133 to 139", "no lang"),
    ]


def test_play_needs_no_annotations(tmp_path: Path) -> None:
    folder = write_calvin_split(tmp_path / "training")
    (folder / "lang_annotations" / "auto_lang_ann.npy").unlink()
    play = CalvinSplit(folder, play=True)
    assert [(d.name.split("frames ")[1], d.instruction) for d in play.demonstrations] == [("100 to 139", "no lang")]
    with pytest.raises(DataError, match=r"training has no lang_annotations/auto_lang_ann\.npy; .* --play"):
        CalvinSplit(folder)


def test_frames_of_no_known_scene_need_a_suite(calvin: CalvinSplit) -> None:
    path = calvin.folder / "scene_info.npy"
    np.save(path, {"calvin_scene_B": [0, 115]})  # type: ignore[arg-type]
    with pytest.raises(DataError, match=r"which scene frame 120 shows \(calvin_b in 0 to 115\); name .* --suite"):
        CalvinSplit(calvin.folder)
    path.unlink()
    with pytest.raises(DataError, match=r"which scene frame 100 shows \(there is none\)"):
        CalvinSplit(calvin.folder)
    assert {d.suite for d in CalvinSplit(calvin.folder, suite="calvin_c").demonstrations} == {"calvin_c"}
    with pytest.raises(DataError, match="CALVIN has no scene 'calvin_e'; it has calvin_a, calvin_b"):
        CalvinSplit(calvin.folder, suite="calvin_e")


def test_libero_observations_follow_the_action_of_their_index(libero: LiberoDemos) -> None:
    assert [(d.suite, d.task, d.steps) for d in libero.demonstrations] == [("libero_goal", "turn_on_the_stove", 12)] * 3
    whole = trajectory(libero, 0, actions_per_chunk=5)
    assert whole.instruction == "turn on the stove"
    assert whole.primary[:, 1, 0, 0].tolist() == [0, 5, 10, 12]
    assert (whole.primary[:, 0] == 255).all() and (whole.primary[:, -1] < 255).all(), "upright"
    np.testing.assert_allclose(whole.actions[0, :, 0], [0.01, 0.02, 0.03, 0.04, 0.05], rtol=1e-6)
    assert whole.actions[0, :, 6].tolist() == [1, 1, 1, 1, 1], "sample 6 is the first to close"
    assert whole.actions[1, :, 6].tolist() == [-1] * 5
    assert whole.state[:, 6].tolist() == [1, 1, -1, -1], "the command before the observation"


@pytest.mark.parametrize("kind", ["calvin", "libero"])
def test_windows_of_files_and_of_converted_trajectories_are_the_same_tensors(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    source = request.getfixturevalue(kind)
    raw = StepWindows(source, chunks=2, actions_per_chunk=5)
    for index in range(len(source.demonstrations)):
        save(trajectory(source, index, 5), tmp_path / f"{index}.parquet")
    stored = WindowDataset([load(tmp_path / f"{i}.parquet") for i in range(len(source.demonstrations))], chunks=2)
    chosen = {"calvin": [0, 5, 9, 14, 19], "libero": [0, 5, 10, 12, 17, 22, 24, 29, 34]}[kind]
    assert len(stored) == len(chosen)
    ours, theirs = stored.batch(range(len(chosen))), raw.batch(chosen)
    for name in ("primary", "wrist", "state", "action", "intended", "counts"):
        assert torch.equal(getattr(ours, name), getattr(theirs, name)), name
    assert ours.instruction == theirs.instruction


def test_bad_calvin_data_is_named(calvin: CalvinSplit, tmp_path: Path) -> None:
    folder = calvin.folder
    (folder / "episode_0000104.npz").write_bytes(b"PK nonsense")
    with pytest.raises(DataError, match=r"episode_0000104\.npz \(frame 104\) is damaged"):
        calvin.frames(0, [4])
    (folder / "episode_0000105.npz").unlink()
    with pytest.raises(DataError, match="frame 105 is missing"):
        calvin.actions(0, 5, 6)
    content = dict(np.load(folder / "episode_0000106.npz"))
    content["rel_actions"][2] = np.nan
    np.savez(folder / "episode_0000106.npz", **content)
    with pytest.raises(DataError, match=r"episode_0000106\.npz: rel_actions of frame 106 is not finite"):
        calvin.actions(0, 6, 8)
    (folder / "lang_annotations" / "auto_lang_ann.npy").unlink()
    with pytest.raises(DataError, match="has no lang_annotations"):
        CalvinSplit(folder)
    with pytest.raises(DataError, match="is not a folder; give the folder of one split"):
        CalvinSplit(tmp_path / "nowhere")
    with pytest.raises(DataError, match="holds no frames"):
        CalvinSplit(tmp_path)


def test_a_pickle_that_runs_code_is_refused(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> tuple:
            return eval, ("1 + 1",)

    np.save(tmp_path / "evil.npy", {"a": Evil()})  # type: ignore[arg-type]
    with pytest.raises(DataError, match=r"evil\.npy .*refusing to load builtins\.eval"):
        load_plain(tmp_path / "evil.npy")


def test_bad_libero_data_is_named(libero: LiberoDemos, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds no demonstrations"):
        LiberoDemos(tmp_path)
    path = libero.folder / "broken_demo.hdf5"
    path.write_bytes((libero.folder / "turn_on_the_stove_demo.hdf5").read_bytes()[:5000])
    with pytest.raises(DataError, match=r"broken_demo\.hdf5 is no HDF5 file, or damaged"):
        LiberoDemos(libero.folder)
