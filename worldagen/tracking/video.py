"""Write episode videos. Imports no torch, so that simulator processes can use it."""

from collections.abc import Sequence
from pathlib import Path

import imageio.v2 as imageio
import numpy as np

from worldagen.atomic import fresh_file


def write_mp4(frames: Sequence[np.ndarray], path: Path | str, fps: float = 20.0, min_edge: int = 256) -> None:
    """Write uint8 (H, W, 3) frames as an H.264 mp4 that browsers play; small images are enlarged in whole pixels.

    The file appears complete or not at all. Raises ValueError for an empty or unequal sequence of frames.
    """
    _check_frames(frames)
    with fresh_file(Path(path), suffix=".mp4") as partial:
        imageio.mimwrite(
            partial,
            [_even(enlarge(frame, min_edge)) for frame in frames],
            format="FFMPEG",
            fps=fps,
            codec="libx264",
            quality=7,
            macro_block_size=2,
            output_params=["-movflags", "+faststart"],
        )


def enlarge(image: np.ndarray, min_edge: int) -> np.ndarray:
    """Repeat the pixels of (H, W, 3) by the smallest whole factor that makes its shorter edge at least `min_edge`."""
    factor = max(1, -(-min_edge // min(image.shape[:2])))
    return image.repeat(factor, axis=0).repeat(factor, axis=1)


def _check_frames(frames: Sequence[np.ndarray]) -> None:
    if not len(frames):
        raise ValueError("a video needs at least one frame, got none")
    for frame in frames:
        if frame.dtype != np.uint8 or frame.shape != frames[0].shape or frame.ndim != 3 or frame.shape[-1] != 3:
            raise ValueError(
                f"video frames must all be uint8 {frames[0].shape[:2]} + (3,), got {frame.dtype} {frame.shape}"
            )


def _even(image: np.ndarray) -> np.ndarray:
    """H.264 in its common pixel format needs even edges; the last row and column are repeated where they are odd."""
    height, width = image.shape[:2]
    return np.pad(image, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
