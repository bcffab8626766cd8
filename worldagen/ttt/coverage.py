"""How much of the world an exploration reached, in a few figures that need no knowledge of the simulator."""

from collections.abc import Sequence

import numpy as np

from worldagen.types import Trajectory

CELL = 0.05
"""Edge of the cubes that the tool's workspace is divided into, in metres."""
_CHANGED = 10 / 255
"""A pixel of the fixed camera has changed when its mean over the channels differs by more than this (of 1)."""


def coverage(explored: Sequence[Trajectory]) -> dict[str, float]:
    """Of all episodes together, at the ends of chunks:

    tool_cells             cubes of 5 cm that the tool was in
    tool_cells_per_frame   the same for each recorded frame: 1 where no cube was visited twice
    gripper_switches       openings and closings of the gripper in an episode, on average
    scene_changed          share of the fixed camera's pixels that a chunk changes, on average: what moves in the scene
    """
    cells = np.concatenate([np.floor(trajectory.state[:, :3] / CELL).astype(int) for trajectory in explored])
    visited = len(np.unique(cells, axis=0))
    switches = [np.count_nonzero(np.diff(trajectory.state[:, 6])) for trajectory in explored]
    return {
        "tool_cells": float(visited),
        "tool_cells_per_frame": visited / len(cells),
        "gripper_switches": float(np.mean(switches)),
        "scene_changed": float(np.mean([_changed(trajectory.primary) for trajectory in explored])),
    }


def _changed(frames: np.ndarray) -> float:
    """Share of pixels that differ from the frame before; frames uint8 (T + 1, H, W, 3)."""
    grey = frames.astype(np.float32).mean(-1) / 255
    return float((np.abs(np.diff(grey, axis=0)) > _CHANGED).mean())
