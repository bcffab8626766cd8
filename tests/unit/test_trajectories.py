"""Trajectories survive the disk unchanged, and files that are not sound are refused by name."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.synthetic import make_trajectory
from worldagen.data import trajectories
from worldagen.data.episodes import EpisodeFiles, find_demonstrations, hold_out
from worldagen.data.trajectories import DataError, info, load, save
from worldagen.data.windows import WindowDataset


def test_load_returns_what_was_saved(tmp_path: Path) -> None:
    saved = make_trajectory()
    save(saved, tmp_path / "episodes" / "one.parquet")
    loaded = load(tmp_path / "episodes" / "one.parquet")
    for name in ("primary", "wrist", "state", "actions", "intended", "counts"):
        expected, given = getattr(saved, name), getattr(loaded, name)
        np.testing.assert_array_equal(given, expected)
        assert given.dtype == expected.dtype
    assert (loaded.spec, loaded.instruction, loaded.success) == (saved.spec, "do a", True)
    assert [path.name for path in (tmp_path / "episodes").iterdir()] == ["one.parquet"]


def test_info_describes_the_file_without_its_images(tmp_path: Path) -> None:
    save(make_trajectory(chunks=4, size=24), tmp_path / "one.parquet")
    found = info(tmp_path / "one.parquet")
    assert (found.chunks, found.actions_per_chunk, found.image_size) == (4, 5, (24, 24))
    assert found.spec.key == make_trajectory().spec.key


@pytest.mark.parametrize("kept", [0, 100, 2000, -40])
def test_truncated_file_is_named(tmp_path: Path, kept: int) -> None:
    path = tmp_path / "one.parquet"
    save(make_trajectory(), path)
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(DataError, match=r"one\.parquet is damaged.*run the same command again"):
        load(path)


@pytest.mark.parametrize("offset", [200, 3000, 9000])
def test_a_flipped_bit_is_found(tmp_path: Path, offset: int) -> None:
    path = tmp_path / "one.parquet"
    save(make_trajectory(), path)
    content = bytearray(path.read_bytes())
    content[offset] ^= 0x01
    path.write_bytes(bytes(content))
    with pytest.raises(DataError, match=r"one\.parquet is damaged"):
        load(path)


def test_foreign_parquet_is_named(tmp_path: Path) -> None:
    pq.write_table(pa.table({"x": [1, 2]}), tmp_path / "other.parquet")
    with pytest.raises(DataError, match=r"other\.parquet is Parquet, but not a worldagen trajectory"):
        load(tmp_path / "other.parquet")
    with pytest.raises(DataError, match="not a worldagen trajectory"):
        info(tmp_path / "other.parquet")


def test_newer_format_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "one.parquet"
    save(make_trajectory(), path)
    table = pq.read_table(path)
    header = table.schema.metadata[b"worldagen"].replace(b'"format_version": 1', b'"format_version": 9')
    pq.write_table(table.replace_schema_metadata({b"worldagen": header}), path)
    with pytest.raises(DataError, match="format 9, expected 1"):
        load(path)


def test_unsound_trajectories_are_not_saved(tmp_path: Path) -> None:
    good = make_trajectory()
    nan = good.actions.copy()
    nan[2, 1, 0] = np.nan
    for bad, message in (
        (replace(good, actions=nan), "actions of frame 2 is not finite"),
        (replace(good, wrist=good.wrist[:-1]), "wrist is uint8"),
        (replace(good, state=good.state.astype(np.float64)), "state is float64"),
        (replace(good, counts=good.counts + 5), "counts lie in"),
    ):
        with pytest.raises(DataError, match=message):
            save(bad, tmp_path / "bad.parquet")
    assert list(tmp_path.iterdir()) == []


def test_failed_save_keeps_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "one.parquet"
    save(make_trajectory(), path)
    before = path.read_bytes()

    def full_disk(*args: object, **kwargs: object) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr(pq, "write_table", full_disk)
    with pytest.raises(OSError, match="No space left"):
        save(make_trajectory(1), path)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["one.parquet"]


def test_find_demonstrations_takes_successes_of_the_named_tasks(tmp_path: Path) -> None:
    for index, (task, success) in enumerate([("a", True), ("a", False), ("b", True)]):
        save(
            replace(make_trajectory(index, task=task), success=success), tmp_path / "trajectories" / f"{index}.parquet"
        )
    assert [e.spec.init_state for e in find_demonstrations(tmp_path, ["a"])] == [0]
    assert {e.spec.task for e in find_demonstrations(tmp_path)} == {"a", "b"}
    with pytest.raises(DataError, match=r"no successful episodes of c below .* \(3 episode files there\); record"):
        find_demonstrations(tmp_path, ["c"])
    with pytest.raises(DataError, match=r"there is no folder .*nowhere"):
        find_demonstrations(tmp_path / "nowhere")


def test_find_demonstrations_refuses_mixed_image_sizes(tmp_path: Path) -> None:
    save(make_trajectory(0, size=16), tmp_path / "0.parquet")
    save(make_trajectory(1, size=24), tmp_path / "1.parquet")
    with pytest.raises(DataError, match=r"1\.parquet has image_size \(24, 24\)"):
        find_demonstrations(tmp_path)


def test_hold_out_splits_each_task_and_ignores_order(tmp_path: Path) -> None:
    for index in range(12):
        save(make_trajectory(index, chunks=1, task="ab"[index % 2]), tmp_path / f"{index}.parquet")
    episodes = find_demonstrations(tmp_path)
    train, held = hold_out(episodes, 0.3, seed=0)
    assert sorted(e.spec.task for e in held) == ["a", "a", "b", "b"]
    assert {e.path for e in train} | {e.path for e in held} == {e.path for e in episodes}
    assert not {e.path for e in train} & {e.path for e in held}
    assert {e.path for e in hold_out(episodes[::-1], 0.3, seed=0)[1]} == {e.path for e in held}
    assert any({e.path for e in hold_out(episodes, 0.3, seed=s)[1]} != {e.path for e in held} for s in range(1, 5))
    with pytest.raises(DataError, match="record more"):
        hold_out(episodes[:1], 0.3, seed=0)


def test_fewer_training_episodes_are_among_more_and_leave_the_held_out_ones(tmp_path: Path) -> None:
    for index in range(12):
        save(make_trajectory(index, chunks=1, task="ab"[index % 2]), tmp_path / f"{index}.parquet")
    episodes = find_demonstrations(tmp_path)
    sizes = {most: hold_out(episodes, 0.3, seed=0, most=most) for most in (1, 3, 99)}
    few, more, all_of_them = ({e.path for e in train} for train, _ in sizes.values())
    assert few < more < all_of_them == {e.path for e in hold_out(episodes, 0.3, seed=0)[0]}
    assert [e.spec.task for e in sizes[3][0]].count("a") == 3 and len(more) == 6
    assert len({tuple(e.path for e in held) for _, held in sizes.values()}) == 1


def test_episode_cache_stays_within_its_bound_and_what_does_not_fit_is_decoded_in_part(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for index in range(4):
        save(make_trajectory(index), tmp_path / f"{index}.parquet")
    one = make_trajectory().primary.nbytes * 2
    files = EpisodeFiles(find_demonstrations(tmp_path), cache_bytes=2 * one)
    images = []
    decode = trajectories._decode
    monkeypatch.setattr(trajectories, "_decode", lambda *given: images.append(given[1]) or decode(*given))
    for index in (0, 1, 2, 3, 0):
        expected = make_trajectory(files.episodes[index].spec.init_state)
        np.testing.assert_array_equal(files[index].primary[:], expected.primary)
        np.testing.assert_array_equal(files[index].wrist[1:4], expected.wrist[1:4])
        assert len(files._cached) <= 2
    assert files[0] is files[0] and files[1] is files[1]
    images.clear()
    window = WindowDataset(files, chunks=2, lengths=files.lengths)[3 * 6 + 1]
    assert images == [f"{camera} image of frame {frame}" for camera in ("primary", "wrist") for frame in (1, 2, 3)]
    np.testing.assert_array_equal(window.primary, make_trajectory(files.episodes[3].spec.init_state).primary[1:4])


def test_the_wrist_camera_may_have_a_size_of_its_own(tmp_path: Path) -> None:
    """CALVIN's images are 200 and 84 pixels wide."""
    recorded = make_trajectory()
    recorded = replace(recorded, wrist=recorded.wrist[:, :8, :8])
    save(recorded, tmp_path / "a.parquet")
    assert np.array_equal(load(tmp_path / "a.parquet").wrist, recorded.wrist)
