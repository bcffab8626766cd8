"""The doctor draws a frame of the real simulator."""

import subprocess
import sys
from pathlib import Path

from PIL import Image


def test_a_frame_of_libero_is_drawn_and_saved(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "worldagen.doctor", "opengl", "libero", "--out", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "ok      opengl    MuJoCo renders with" in done.stdout and "drew a frame" in done.stdout
    with Image.open(tmp_path / "libero_goal.png") as image:
        assert image.size == (128, 128)
