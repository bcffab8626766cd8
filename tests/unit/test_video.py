from pathlib import Path

import imageio.v2 as imageio
import numpy as np
import pytest

from worldagen.tracking.video import enlarge, write_mp4


def test_film_comes_back_upright_in_colour_and_enlarged(tmp_path: Path) -> None:
    frame = np.zeros((63, 65, 3), np.uint8)
    frame[:20] = (220, 30, 30)
    write_mp4([frame] * 10, tmp_path / "deep" / "film.mp4", fps=10, min_edge=120)
    with imageio.get_reader(tmp_path / "deep" / "film.mp4") as film:
        about, shown = film.get_meta_data(), film.get_data(5)
    assert about["codec"] == "h264" and about["fps"] == 10 and about["duration"] == pytest.approx(1.0)
    assert shown.shape == (126, 130, 3)
    assert shown[10, 60, 0] > 150 > 90 > shown[10, 60, 1] and shown[110].max() < 60
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["film.mp4"]


def test_bad_frames_leave_no_file(tmp_path: Path) -> None:
    good = np.zeros((64, 64, 3), np.uint8)
    for frames in ([], [good, good[:32]], [good.astype(np.float32)]):
        with pytest.raises(ValueError, match="frame"):
            write_mp4(frames, tmp_path / "film.mp4")
    assert list(tmp_path.iterdir()) == []


def test_enlarge_takes_whole_pixels() -> None:
    image = np.arange(48, dtype=np.uint8).reshape(4, 4, 3)
    assert enlarge(image, 10).shape == (12, 12, 3)
    assert (enlarge(image, 10)[::3, ::3] == image).all()
    assert enlarge(image, 2).shape == image.shape
