"""What readers, store and converter answer to data that is missing, damaged or odd: file and frame, and what to do."""

from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest

from pipelines import convert_data
from tests.published_data import write_calvin_split, write_libero_suite
from tests.synthetic import make_trajectory
from worldagen.data import trajectories
from worldagen.data.calvin import CalvinSplit
from worldagen.data.demonstrations import StepWindows, trajectory
from worldagen.data.libero import LiberoDemos
from worldagen.data.trajectories import DataError, load, save


@pytest.fixture
def calvin(tmp_path: Path) -> CalvinSplit:
    return CalvinSplit(write_calvin_split(tmp_path / "training"))


@pytest.fixture
def suite(tmp_path: Path) -> Path:
    return write_libero_suite(tmp_path / "libero_goal")


@pytest.fixture
def libero(suite: Path) -> LiberoDemos:
    return LiberoDemos(suite)


def rewrite(path: Path, **changes: np.ndarray) -> None:
    """A CALVIN frame as its authors store it, compressed, with some arrays changed."""
    np.savez_compressed(path, **{**np.load(path), **changes})


@pytest.mark.parametrize("kept", [0.0, 0.5, 0.999])
def test_a_truncated_frame_is_named(calvin: CalvinSplit, kept: float) -> None:
    path = calvin.folder / "episode_0000103.npz"
    rewrite(path)
    path.write_bytes(path.read_bytes()[: int(kept * path.stat().st_size)])
    with pytest.raises(DataError, match=r"episode_0000103\.npz \(frame 103\) is damaged: .*; fetch it again"):
        calvin.frames(0, [2, 3])


def test_a_flipped_byte_of_a_frame_is_found(calvin: CalvinSplit) -> None:
    path = calvin.folder / "episode_0000103.npz"
    rng = np.random.default_rng(0)
    rewrite(path, rgb_static=rng.integers(0, 256, (200, 200, 3), np.uint8))
    content = path.read_bytes()
    for place in (2000, 30_000, 80_000):
        path.write_bytes(content[:place] + bytes([content[place] ^ 0xFF]) + content[place + 1 :])
        with pytest.raises(DataError, match=r"episode_0000103\.npz \(frame 103\) is damaged"):
            calvin.frames(0, [3])


def test_a_frame_without_one_of_its_arrays_is_named(calvin: CalvinSplit) -> None:
    np.savez(calvin.folder / "episode_0000103.npz", rel_actions=np.zeros(7))
    with pytest.raises(DataError, match=r"episode_0000103\.npz \(frame 103\) has no .*rgb_static"):
        calvin.frames(0, [3])


def test_images_of_several_sizes_in_one_demonstration_are_refused(calvin: CalvinSplit) -> None:
    rewrite(calvin.folder / "episode_0000105.npz", rgb_gripper=np.zeros((64, 64, 3), np.uint8))
    with pytest.raises(DataError, match=r"0000105\.npz \(frame 105\): rgb_gripper has shape \(64, 64, 3\).*\(84, 84"):
        trajectory(calvin, 0, actions_per_chunk=5)


def test_a_frame_whose_header_is_damaged_is_named(calvin: CalvinSplit) -> None:
    path = calvin.folder / "episode_0000103.npz"
    content = bytearray(path.read_bytes())
    content[content.index(b"PK\x01\x02") + 6] = 200  # the version of zip that is needed to read it
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"episode_0000103\.npz \(frame 103\) is damaged: NotImplementedError"):
        calvin.frames(0, [3])


@pytest.mark.parametrize(
    ("key", "array", "words"),
    [
        ("rel_actions", np.zeros(6), r"rel_actions is float64 \(6,\), expected number \(7,\)"),
        ("rel_actions", np.zeros(14), r"rel_actions is float64 \(14,\)"),
        ("robot_obs", np.zeros(14), r"robot_obs is float64 \(14,\), expected number \(15,\)"),
        ("rgb_static", np.zeros((200, 200, 3)), r"rgb_static is float64 .*, expected uint8 \(any, any, 3\)"),
        ("rgb_gripper", np.zeros((84, 84), np.uint8), r"rgb_gripper is uint8 \(84, 84\)"),
    ],
)
def test_a_frame_of_another_form_is_named(calvin: CalvinSplit, key: str, array: np.ndarray, words: str) -> None:
    rewrite(calvin.folder / "episode_0000103.npz", **{key: array})
    with pytest.raises(DataError, match=rf"episode_0000103\.npz \(frame 103\): {words}"):
        trajectory(calvin, 0, actions_per_chunk=3)


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e300])
def test_a_state_that_is_not_finite_is_named(calvin: CalvinSplit, value: float) -> None:
    rewrite(calvin.folder / "episode_0000103.npz", robot_obs=np.full(15, value))
    with pytest.raises(DataError, match=r"episode_0000103\.npz: robot_obs of frame 103 is not finite"):
        calvin.frames(0, [2, 3])


@pytest.mark.parametrize(
    ("annotations", "words"),
    [
        ({"language": {"ann": ["a"], "task": ["a"]}}, "has not the form of CALVIN's annotations"),
        ({"language": {"ann": ["a"], "task": []}, "info": {"indx": [(100, 104)]}}, "has not the form"),
        (np.zeros((3, 2), int), r"auto_lang_ann\.npy has not the form of CALVIN's annotations"),
        ({"language": {"ann": [], "task": []}, "info": {"indx": []}}, "no annotated span of two frames or more"),
        ({"language": {"ann": ["a"], "task": ["a"]}, "info": {"indx": [(105, 105)]}}, "span of two frames or more"),
    ],
)
def test_annotations_that_describe_nothing_are_refused(
    calvin: CalvinSplit, annotations: dict | np.ndarray, words: str
) -> None:
    np.save(calvin.folder / "lang_annotations" / "auto_lang_ann.npy", annotations)  # type: ignore[arg-type]
    with pytest.raises(DataError, match=words):
        CalvinSplit(calvin.folder)


@pytest.mark.parametrize("fault", [b"\x95" + b"\xff" * 8, b"N)R."])  # a frame too long, a call of nothing
def test_a_damaged_pickle_is_named(calvin: CalvinSplit, fault: bytes) -> None:
    path = calvin.folder / "lang_annotations" / "auto_lang_ann.npy"
    content = path.read_bytes()
    path.write_bytes(content[:128] + fault + content[128:])
    with pytest.raises(DataError, match=r"auto_lang_ann\.npy is damaged, or holds more than arrays and plain values"):
        CalvinSplit(calvin.folder)


@pytest.mark.parametrize("scenes", [{"calvin_scene_A": 7}, {"kitchen": [0, 200]}, np.zeros((2, 2), int)])
def test_scenes_of_another_form_are_refused(calvin: CalvinSplit, scenes: dict | np.ndarray) -> None:
    np.save(calvin.folder / "scene_info.npy", scenes)  # type: ignore[arg-type]
    with pytest.raises(DataError, match=r"scene_info\.npy has not the form .*; fetch it again"):
        CalvinSplit(calvin.folder)


@pytest.mark.parametrize("recordings", [np.zeros(4, int), np.zeros((2, 3), int), np.zeros((2, 2)), {"a": 1}])
def test_recordings_of_another_form_are_refused(calvin: CalvinSplit, recordings: dict | np.ndarray) -> None:
    np.save(calvin.folder / "ep_start_end_ids.npy", recordings)  # type: ignore[arg-type]
    with pytest.raises(DataError, match=r"ep_start_end_ids\.npy holds .*, expected the first and last frames"):
        CalvinSplit(calvin.folder, play=True)


def test_libero_actions_that_are_not_finite_are_named(suite: Path) -> None:
    with h5py.File(suite / "turn_on_the_stove_demo.hdf5", "r+") as file:
        file["data/demo_1/actions"][7, 2] = np.nan
    libero = LiberoDemos(suite)
    with pytest.raises(DataError, match=r"stove_demo\.hdf5: data/demo_1/actions of frame 7 is not finite"):
        trajectory(libero, 1, actions_per_chunk=5)
    trajectory(libero, 0, actions_per_chunk=5)


def test_libero_states_that_are_not_finite_are_named(suite: Path) -> None:
    with h5py.File(suite / "turn_on_the_stove_demo.hdf5", "r+") as file:
        file["data/demo_1/obs/ee_states"][10, 2] = np.nan
    with pytest.raises(DataError, match=r"stove_demo\.hdf5: data/demo_1/obs/ee_states of frame 10 is not finite"):
        LiberoDemos(suite).frames(1, [12, 10, 0])


@pytest.mark.parametrize(
    ("key", "array", "words"),
    [
        ("obs/ee_states", np.zeros((9, 6)), r"float64 \(9, 6\), expected number \(13, 6\)"),
        (
            "obs/agentview_rgb",
            np.zeros((9, 8, 8, 3), np.uint8),
            r"uint8 \(9, 8, 8, 3\), expected .*\(13, any, any, 3\)",
        ),
        ("actions", np.zeros((13, 6)), r"float64 \(13, 6\), expected number \(13, 7\)"),
    ],
)
def test_libero_datasets_of_another_form_are_named(suite: Path, key: str, array: np.ndarray, words: str) -> None:
    with h5py.File(suite / "turn_on_the_stove_demo.hdf5", "r+") as file:
        del file[f"data/demo_0/{key}"]
        file[f"data/demo_0/{key}"] = array
    with pytest.raises(DataError, match=rf"stove_demo\.hdf5: data/demo_0/{key} is {words}; fetch it again"):
        LiberoDemos(suite).frames(0, [0, 12])


def test_a_libero_frame_that_cannot_be_read_is_named(suite: Path) -> None:
    path = suite / "turn_on_the_stove_demo.hdf5"
    with h5py.File(path, "r+") as file:
        poses = file["data/demo_0/obs/ee_states"][:]
        del file["data/demo_0/obs/ee_states"]
        stored = file.create_dataset("data/demo_0/obs/ee_states", data=poses, chunks=(1, 6), fletcher32=True)
        place = stored.id.get_chunk_info(7).byte_offset
    content = bytearray(path.read_bytes())
    content[place] ^= 0xFF
    path.write_bytes(content)
    libero = LiberoDemos(suite)
    libero.frames(0, [0, 6, 8])
    with pytest.raises(DataError, match=r"data/demo_0/obs/ee_states of frame 7 cannot be read .*; fetch it again"):
        libero.frames(0, [0, 6, 7, 8])


def test_libero_files_that_lack_something_or_vanish_are_named(suite: Path) -> None:
    path = suite / "turn_on_the_stove_demo.hdf5"
    with h5py.File(path, "r+") as file:
        del file["data/demo_1/obs/eye_in_hand_rgb"]
    libero = LiberoDemos(suite)
    with pytest.raises(DataError, match=r"stove_demo\.hdf5: data/demo_1/obs/eye_in_hand_rgb cannot be read"):
        libero.frames(1, [0])
    libero._files.popitem()[1].close()
    path.unlink()
    with pytest.raises(DataError, match=r"stove_demo\.hdf5 is no HDF5 file, or damaged .*fetch it again"):
        libero.frames(0, [0])
    with h5py.File(path, "w") as file:
        file["something"] = 1
    with pytest.raises(DataError, match=r"stove_demo\.hdf5 has not the form of LIBERO's demonstrations"):
        LiberoDemos(suite)


@pytest.mark.parametrize("kind", ["calvin", "libero"])
def test_a_demonstration_shorter_than_a_window_is_padded(kind: str, request: pytest.FixtureRequest) -> None:
    source = request.getfixturevalue(kind)
    steps = source.demonstrations[0].steps
    window = StepWindows(source, chunks=8, actions_per_chunk=5)[0]
    real = [min(5, steps - 5 * chunk) if steps > 5 * chunk else 0 for chunk in range(8)]
    assert window.counts.tolist() == real and sum(real) == steps
    last = source.frames(0, [steps]).primary[0]
    assert all(np.array_equal(frame, last) for frame in window.primary[-(-steps // 5) :])
    assert not window.action.reshape(-1, 7)[steps:].any()


def test_parquet_with_an_action_that_is_not_finite_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bad = make_trajectory()
    bad.actions[3, 1, 0] = np.inf
    with monkeypatch.context() as patch:
        patch.setattr(trajectories, "_fault", lambda trajectory: "")
        save(bad, tmp_path / "one.parquet")
    with pytest.raises(DataError, match=r"one\.parquet is damaged: actions of frame 3 is not finite"):
        load(tmp_path / "one.parquet")


def test_parquet_that_is_gone_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"there is no trajectory .*one\.parquet; was it deleted\?"):
        load(tmp_path / "one.parquet")


def test_parquet_whose_images_differ_in_size_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    good = make_trajectory()
    images = [good.primary[0], *(image[::2, ::2] for image in good.primary[1:])]
    odd = replace(good, primary=np.empty(len(images), object))
    odd.primary[:] = images
    with monkeypatch.context() as patch:
        patch.setattr(trajectories, "_fault", lambda trajectory: "")
        save(odd, tmp_path / "one.parquet")
    with pytest.raises(DataError, match=r"one\.parquet is damaged: its primary images have different sizes"):
        load(tmp_path / "one.parquet")


def test_play_is_for_calvin_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["convert_data.py", "libero", str(tmp_path), str(tmp_path / "out"), "--play"])
    with pytest.raises(SystemExit):
        convert_data.main()
    assert "--play is for CALVIN: every demonstration of LIBERO has a sentence" in capsys.readouterr().err


def test_the_converter_names_the_frame_leaves_no_half_file_and_goes_on(
    calvin: CalvinSplit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, out = calvin.folder / "episode_0000125.npz", tmp_path / "out"
    content = path.read_bytes()
    path.write_bytes(content[:1000])
    monkeypatch.setattr("sys.argv", ["convert_data.py", "calvin", str(calvin.folder), str(out)])
    with pytest.raises(SystemExit, match=r"^error: .*episode_0000125\.npz \(frame 125\) is damaged"):
        convert_data.main()
    assert [file.name for file in out.iterdir()] == ["000000-open_drawer.parquet"]
    path.write_bytes(content)
    convert_data.main()
    assert len(list(out.iterdir())) == 2


def test_what_was_converted_stays_as_it_is(calvin: CalvinSplit, tmp_path: Path) -> None:
    convert_data.convert(calvin, tmp_path / "out", actions_per_chunk=5)
    written = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").iterdir()}
    assert len(written) == 2
    convert_data.convert(CalvinSplit(calvin.folder), tmp_path / "out", actions_per_chunk=5)
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "out").iterdir()} == written


def test_what_was_converted_otherwise_is_refused(calvin: CalvinSplit, tmp_path: Path) -> None:
    out = tmp_path / "out"
    convert_data.convert(calvin, out, actions_per_chunk=5)
    words = (
        r"out/000000-open_drawer\.parquet holds .*training frames 100 to 109 .* with 5 actions per chunk, but is to "
    )
    with pytest.raises(DataError, match=words + r"hold .*training frames 100 to 109 .* with 3; convert into another"):
        convert_data.convert(calvin, out, actions_per_chunk=3)
    with pytest.raises(DataError, match=words + r"hold .*other frames 100 to 109"):
        convert_data.convert(CalvinSplit(write_calvin_split(tmp_path / "other")), out, actions_per_chunk=5)
    with pytest.raises(DataError, match=words + r"hold .*\(calvin_c, open_drawer"):
        convert_data.convert(CalvinSplit(calvin.folder, suite="calvin_c"), out, actions_per_chunk=5)
    with pytest.raises(DataError, match=words + r"hold nothing from .*training frames 109 to 120 and others"):
        convert_data.convert(CalvinSplit(calvin.folder, play=True), out, actions_per_chunk=5)
    assert len(list(out.iterdir())) == 2
