"""Files and folders appear whole or not at all."""

from pathlib import Path

import pytest

from worldagen.atomic import first_folder, fresh_file, write_text


def test_a_file_is_replaced_at_once(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "numbers.txt"
    write_text(path, "old")
    with fresh_file(path) as temporary:
        temporary.write_text("new")
        assert path.read_text() == "old" and temporary.suffix != path.suffix
    assert path.read_text() == "new" and list(path.parent.iterdir()) == [path]


def test_a_failed_file_leaves_the_old_one_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "numbers.txt"
    write_text(path, "old")
    with pytest.raises(OSError, match="full"), fresh_file(path) as temporary:
        temporary.write_text("half")
        raise OSError("the disk is full")
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]


def test_a_folder_that_another_made_first_stays(tmp_path: Path) -> None:
    folder = tmp_path / "assets"
    with first_folder(folder) as new:
        (new / "mesh").write_text("ours")
        folder.mkdir()
        (folder / "mesh").write_text("theirs")
    assert (folder / "mesh").read_text() == "theirs" and list(tmp_path.iterdir()) == [folder]


def test_a_failed_folder_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="full"), first_folder(tmp_path / "assets") as new:
        (new / "mesh").write_text("half")
        raise OSError("the disk is full")
    assert not list(tmp_path.iterdir())
