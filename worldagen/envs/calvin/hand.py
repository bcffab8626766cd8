"""What CALVIN's hand does: go somewhere around what is in the way, grasp a block, carry it, make a fist."""

from collections.abc import Sequence

import numpy as np
from scipy.spatial.transform import Rotation

from worldagen.envs.calvin.engine import BLOCKS
from worldagen.envs.calvin.motion import arm_action, pointing
from worldagen.envs.calvin.places import front, inside, opening, outwards
from worldagen.envs.calvin.scene import Pose, Scene
from worldagen.envs.motion import CLOSE, OPEN, UP, funnel

PUSH = 0.03
"""Metres ahead of the tool that are asked for while moving without a goal: nearly the arm's full speed."""
FINGER = 0.012
"""Half the thickness in metres of the closed fingers."""
_LANE = 0.55
"""World z above which a held block passes over all that stands on the table."""
_OUT = 0.12
"""Metres before the table's face at which the hand passes its handles."""
_SPAN = 0.055
"""Half the width in metres of the open fingers."""
_LEAN = np.deg2rad(30)
"""What the table's face leans back."""
_BUTTON = np.array([0.07, 0.06, 0.07])
"""Edges of a box around the button."""


def act(scene: Scene, way: Sequence[float] | np.ndarray, angles: np.ndarray, gripper: float) -> np.ndarray:
    """Go `way`; but stay until the fingers have let go of a block that is not to be held."""
    if gripper == OPEN and scene.held:
        way, angles = np.zeros(3), scene.target[3:]
    return arm_action(way, scene.tool, scene.target, angles, gripper)


def approach(scene: Scene, offset: np.ndarray, clearance: float, axis: np.ndarray = UP) -> np.ndarray:
    """The way to a goal entered along `axis`: out of the table's face first, then above all that stands on it."""
    out, tool = outwards(scene), scene.tool
    if (tool - scene.link("slide_link").position) @ out < _OUT and abs(offset[0]) > (0.03 if axis is UP else 0.08):
        return PUSH * out
    way = funnel(offset, clearance, axis, slope=3.0, radius=0.006)
    rise, far = _LANE - tool[2], np.linalg.norm(offset - (offset @ axis) * axis) > 0.05
    if far and _between(scene):
        return max(rise, PUSH) * UP
    if far and rise > 0.0:
        return np.array([*way[:2] * np.clip(1.0 - rise / 0.06, 0.0, 1.0), max(rise, way[2])])
    return way


def grasp(scene: Scene, block: str, gripper: float, yaw: float = np.pi / 2, tilt: float = 30.0) -> np.ndarray:
    """Go to a block and close the fingers on it.

    Where it is behind the table's face the hand comes from the front and leans back so far that it stays outside.
    """
    goal, turn = _grasp_pose(scene, block, yaw)
    clearance, axis = 0.08, UP
    if inside(scene, block):
        ends = opening(scene)
        goal[0] = np.clip(goal[0], ends[0] + _SPAN, ends[1] - _SPAN)
        turn = np.clip(turn, np.pi / 2 - 0.15, np.pi / 2 + 0.15)
        tilt, clearance, axis = np.interp(goal[0], (-0.25, 0.0), (30.0, 60.0)), 0.15, outwards(scene)
    elif scene.touches(block, "drawer_link"):
        tilt = 10.0  # leaning back, the hand would push the drawer shut
        goal[1] = np.clip(front(scene) + _SPAN + 0.02, goal[1], goal[1] + 0.012)
    offset, angles = goal - scene.tool, pointing(turn, np.deg2rad(tilt))
    near = np.linalg.norm(offset)
    if gripper == CLOSE and (near > 0.03 or scene.shut) and _between(scene):
        return act(scene, PUSH * UP, angles, CLOSE)  # opened here, the fingers would push the block aside
    gripper = CLOSE if near < (0.012 if gripper == OPEN else 0.03) and not scene.shut else OPEN
    if gripper == OPEN:
        offset = offset + _clear_until_turned(scene, angles, leaning=axis is not UP) * axis
    return act(scene, approach(scene, offset, clearance, axis), angles, gripper)


def _clear_until_turned(scene: Scene, angles: np.ndarray, leaning: bool) -> float:
    """Metres by which the fingers stay clear of a block while the hand has yet to turn to Euler `angles`, and, where it
    is to lean back far, to lean back."""
    left = np.abs((angles - scene.tool_angles + np.pi) % (2 * np.pi) - np.pi)
    return 0.08 * float(np.clip(((left[1:].max() if leaning else left[2]) - 0.1) / 0.2, 0.0, 1.0))


def _grasp_pose(scene: Scene, block: str, wanted: float) -> tuple[np.ndarray, float]:
    """Where to grasp a block, float64 (3,), and with what yaw: as near as possible to its centre and to the `wanted`
    yaw, with room for both fingers beside its neighbours."""
    pose, size = scene.block(block), scene.block_size(block)
    others = [(scene.block(name), scene.block_size(name)) for name in BLOCKS if name != block]
    others.append((scene.link("button_link"), _BUTTON))
    best: tuple[float, np.ndarray, float] = (np.inf, pose.position, wanted)
    for axis in range(3):
        play = 0.035 - size[axis] / 2
        if abs(pose.rotation[2, axis]) > 0.7 or play < 0.0:
            continue
        across = pose.rotation[:, axis]
        yaw = np.arctan2(across[1], across[0]) + np.pi / 2
        yaw += np.pi * np.round((wanted - yaw) / np.pi)
        for shift in (0.0, play, -play):
            centre = pose.position + shift * across
            tips = [centre + side * 0.047 * across for side in (-1, 1)]
            crowded = sum(_within(other, size, tip, FINGER) for other, size in others for tip in tips)
            cost = 10.0 * crowded + abs(yaw - wanted) + 10.0 * abs(shift)
            best = min(best, (cost, centre, yaw), key=lambda entry: entry[0])
    return best[1], float(best[2])


def carry(scene: Scene, block: str, offset: np.ndarray, axis: np.ndarray, reach: float) -> np.ndarray:
    """Carry the held block along `offset` and let it go. Through the table's face the hand leans back like the face, of
    which the sliding door leaves less open than the hand is wide."""
    there = np.linalg.norm(offset[:2]) < 0.012 and abs(offset[2]) < reach
    if there:
        return act(scene, np.zeros(3), scene.target[3:], OPEN)
    angles = level(scene, block, keep=False)
    if axis is not UP:
        angles[1] = min(angles[1], -_LEAN)
    return act(scene, approach(scene, offset, 0.12, axis), angles, CLOSE)


def level(scene: Scene, block: str, keep: bool = True) -> np.ndarray:
    """float64 (3,): Euler angles of the hand at which the block it holds stands upright, without turning it."""
    turn = scene.block(block).rotation
    upright = turn[:, np.argmax(np.abs(turn[2]))] * np.sign(turn[2, np.argmax(np.abs(turn[2]))])
    axis = np.cross(upright, UP)
    tool = Rotation.from_euler("xyz", scene.tool_angles)
    roll, pitch, yaw = (Rotation.from_rotvec(axis) * tool).as_euler("xyz")
    return np.array([roll, pitch, yaw if keep else np.pi / 2 + np.pi * np.round((yaw - np.pi / 2) / np.pi)])


def fist(scene: Scene, gripper: float) -> float:
    """Closed fingers, but for a block between them, which is to be left where it is."""
    if gripper == CLOSE:
        return OPEN if scene.held else CLOSE
    return OPEN if _between(scene) else CLOSE


def _between(scene: Scene) -> bool:
    """Whether a block that is not held is between the fingers, or nearly."""
    free = [name for name in BLOCKS if name != scene.held]
    return any(_within(scene.block(name), scene.block_size(name), scene.tool, 0.035) for name in free)


def _within(block: Pose, size: np.ndarray, point: np.ndarray, margin: float) -> bool:
    return bool(np.all(np.abs(block.rotation.T @ (point - block.position)) < size / 2 + margin))


def in_hand(scene: Scene, gripper: float) -> str | None:
    return scene.held if gripper == CLOSE else None


def nearest(scene: Scene, blocks: Sequence[str]) -> str:
    return min(blocks, key=lambda name: distance(scene, name))


def distance(scene: Scene, block: str) -> float:
    return float(np.linalg.norm(scene.block(block).position - scene.tool))
