"""What CALVIN's experts do: move a slider, hook a drawer, press, lift, push, turn, place and stack.

A script maps the scene and the gripper's last command to the next action and remembers nothing else.
"""

from collections.abc import Callable, Sequence

import numpy as np
from scipy.spatial.transform import Rotation

from worldagen.envs.calvin.engine import BLOCKS
from worldagen.envs.calvin.motion import arm_action, pointing
from worldagen.envs.calvin.scene import Pose, Scene
from worldagen.envs.motion import CLOSE, OPEN, UP, funnel

Script = Callable[[Scene, float], np.ndarray]
"""(scene, last gripper command) -> float32 (7,) action."""

Spot = Callable[[Scene, str], np.ndarray]
"""(scene, block) -> float64 (3,) where its centre is to go."""
Axis = Callable[[Scene], np.ndarray]
"""scene -> float64 (3,) unit vector that points out of the place to go to."""

_PUSH = 0.03
"""Metres ahead of the tool that are asked for while pushing or pulling."""
_LANE = 0.55
"""World z above which a held block passes over all that stands on the table."""
_OUT = 0.12
"""Metres before the table's face at which the hand passes its handles."""
_SHELF, _DOOR, _SPAN, _DROP = 0.264, 0.28, 0.055, 0.03
"""Metres: half the length of the shelf, length of the sliding door, half the width of the open fingers, and how far a
block falls into the drawer."""
_BUTTON = np.array([0.07, 0.06, 0.07])
"""Edges of a box around the button."""
_HAND, _AJAR = 0.12, 0.025
"""Metres: half the width of the hand, and how near to its end the sliding door is open enough."""
_EDGE = -0.18
"""World y of the table's front edge, the same in every scene."""
_NUDGE = 0.012
"""The same for a block, which is not to slide on."""
_FINGER = 0.012
"""Half the thickness of the closed fingers."""


def move_slider(direction: float) -> Script:
    """Straddle the slider's handle from the front and push it along the table; `direction` +1 is to the left."""

    def script(scene: Scene, gripper: float) -> np.ndarray:
        slider = scene.link("slide_link")
        offset = slider.at(0.14, -0.03, 0.065) - scene.tool
        out = slider.rotation[:, 2]
        aside = abs(offset[0])
        if offset @ out > -0.02 and aside < 0.03:
            way = np.array([-direction * _PUSH, offset[1], offset[2]])
        else:
            way = _approach(scene, offset, 0.1, out)
        return _act(scene, way, pointing(), OPEN)

    return script


def open_drawer(scene: Scene, gripper: float) -> np.ndarray:
    """Hook the fingers behind the drawer's handle and pull."""
    drawer = scene.link("drawer_link")
    offset = drawer.at(0.0, 0.045, 0.212) - scene.tool
    hooked = abs(offset[0]) < 0.06 and offset[2] > -0.02
    way = [offset[0], -_PUSH, offset[2]] if hooked else _approach(scene, offset, 0.1)
    return _act(scene, way, pointing(), _fist(scene, gripper))


def close_drawer(scene: Scene, gripper: float) -> np.ndarray:
    """Push the drawer's handle from the front."""
    drawer = scene.link("drawer_link")
    offset = drawer.at(0.0, 0.045, 0.285) - scene.tool
    behind = abs(offset[0]) < 0.06 and offset[2] > -0.02
    way = [offset[0], _PUSH, offset[2]] if behind else _approach(scene, offset, 0.1)
    return _act(scene, way, pointing(), _fist(scene, gripper))


def press_button(scene: Scene, gripper: float) -> np.ndarray:
    """Press the button with closed fingers; let it come up first where it is down."""
    offset = scene.link("button_link").at(0.0, 0.025, 0.0) - scene.tool
    if scene.joint("button_link") > 0.5 * scene.travel("button_link"):
        way = _PUSH * UP
    elif np.hypot(*offset[:2]) < 0.015:
        way = offset - _PUSH * UP
    else:
        way = _approach(scene, offset, 0.06)
    return _act(scene, way, pointing(), _fist(scene, gripper))


def flip_switch(direction: float) -> Script:
    """Push the switch's bar along its slot; `direction` +1 is up, from below, -1 down, from above."""

    def script(scene: Scene, gripper: float) -> np.ndarray:
        switch = scene.link("switch_link")
        out, along = switch.rotation[:, 1], -switch.rotation[:, 2]
        offset = switch.at(0.0, 0.05, -0.008 + 0.045 * direction) - scene.tool
        aside = offset - (offset @ along) * along
        if np.linalg.norm(aside) < 0.02 and direction * (offset @ along) < 0.01:
            way = aside + direction * _PUSH * along
        else:
            way = _approach(scene, offset, 0.1, out)
        return _act(scene, way, pointing(tilt=np.deg2rad(45)), _fist(scene, gripper))

    return script


def lift(block: str) -> Script:
    """Grasp a block across its narrow side and lift it; move the sliding door first where the block is behind it."""

    def script(scene: Scene, gripper: float) -> np.ndarray:
        if _holds(scene, block, gripper):
            return _act(scene, _PUSH * UP, _level(scene, block), CLOSE)
        door = _door_away(scene, block)
        return move_slider(door)(scene, gripper) if door else _grasp(scene, block, gripper)

    return script


def rotate(block: str, direction: float) -> Script:
    """Grasp a block where it stands and turn it; `direction` +1 is counter-clockwise seen from above."""

    def script(scene: Scene, gripper: float) -> np.ndarray:
        if _holds(scene, block, gripper):
            target, down = scene.target, 0.0 if scene.rests(block) else -0.01  # the rule wants it to stand on something
            way = [*(target[:2] - scene.tool[:2]), down]
            return _act(scene, way, np.array([*target[3:5], target[5] + direction]), CLOSE)
        return _grasp(scene, block, gripper, yaw=np.pi / 2 - 0.5 * direction)

    return script


def place(part: str, spot: Spot, axis: Axis) -> Script:
    """Carry the held block, or the nearest one that is not there yet, to a `spot` of a part of the table."""

    def script(scene: Scene, gripper: float) -> np.ndarray:
        block = _in_hand(scene, gripper)
        if block:
            return _carry(scene, block, spot(scene, block) - scene.block(block).position, axis(scene), 0.01)
        around = _nearest(scene, BLOCKS)
        if _distance(scene, around) < 0.05 and scene.touches(around, part):
            return _act(scene, _PUSH * axis(scene), scene.target[3:], OPEN)
        return _grasp(
            scene, _nearest(scene, [name for name in BLOCKS if not scene.touches(name, part)] or BLOCKS), gripper
        )

    return script


def stack(scene: Scene, gripper: float) -> np.ndarray:
    """Carry the held block, or the nearest one, onto another block, one that stands on the table where there is one."""
    block = _in_hand(scene, gripper)
    if block:
        others = [name for name in BLOCKS if name != block]
        base = _nearest(scene, [name for name in others if scene.touches(name, "base_link")] or others)
        top = scene.block(base).position + (_half_height(scene, base) + _half_height(scene, block)) * UP
        beside = (top - scene.link("button_link").position) * (1.0, 1.0, 0.0)
        top += beside * max(0.0, min(1.0, 0.09 / float(np.linalg.norm(beside)) - 1.0) * 0.3)
        return _carry(scene, block, top - scene.block(block).position, UP, 0.005)
    around = _nearest(scene, BLOCKS)
    if _distance(scene, around) < 0.05 and _stacked(scene, around):
        return _act(scene, _PUSH * UP, scene.target[3:], OPEN)
    return _grasp(scene, around, gripper)


def unstack(scene: Scene, gripper: float) -> np.ndarray:
    """Grasp the block that stands on another one and drag it off sideways, away from the third."""
    block = _in_hand(scene, gripper)
    if block:
        third = max((name for name in BLOCKS if name != block), key=lambda name: _distance(scene, name))
        obstacles = [scene.block(third).position, scene.link("button_link").position]
        aside = [scene.tool + np.array([x, 0.0, 0.0]) for x in (-0.08, 0.08)]
        room = [min(float(np.linalg.norm((spot - thing)[:2])) for thing in obstacles) for spot in aside]
        way = np.array([_PUSH if room[1] > room[0] else -_PUSH, 0.0, -0.003])
        return _act(scene, way, _level(scene, block), CLOSE)
    return _grasp(scene, next(filter(lambda name: _stacked(scene, name), BLOCKS), _nearest(scene, BLOCKS)), gripper)


def slide_into_drawer(scene: Scene, gripper: float) -> np.ndarray:
    """Grasp a block on the table, slide it over the edge and let it fall into the open drawer."""
    block = _in_hand(scene, gripper)
    if block:
        offset = in_drawer(scene, block) - scene.block(block).position
        if np.abs(offset[:2]).max() < 0.02:
            return _act(scene, np.zeros(3), scene.target[3:], OPEN)
        beyond = abs(offset[1]) < 0.05
        return _act(scene, np.array([offset[0] * beyond, offset[1], 0.0]), _level(scene, block), CLOSE)
    rest = [name for name in BLOCKS if scene.touches(name, "base_link") and not _inside(scene, name)]
    if not rest:
        return _act(scene, _PUSH * UP, scene.target[3:], OPEN)
    return _grasp(scene, _nearest(scene, rest), gripper)


def in_drawer(scene: Scene, block: str) -> np.ndarray:
    """float64 (3,): where the centre of a block is let go: over the drawer's floor, clear of other blocks."""
    drawer = scene.link("drawer_link")
    depth = (drawer.at(0.0, 0.0, 0.157)[1] + _EDGE) / 2
    height = drawer.at(0.0, 0.021, 0.0)[2] + _half_height(scene, block) + _DROP
    return _free(scene, block, [np.array([drawer.position[0] + x, depth, height]) for x in (0.0, -0.1, 0.1)])


def in_slider(scene: Scene, block: str) -> np.ndarray:
    """float64 (3,): where the centre of a block is let go: on the plank, in the half that the door leaves open."""
    plank = scene.link("plank_link")
    height = plank.at(0.0, 0.02, 0.0)[2] + _half_height(scene, block)
    (left, right), depth = _opening(scene), plank.position[1] - 0.025
    xs = sorted(np.linspace(left + 0.035, right - 0.035, 9), key=lambda x: abs(x - (left + right) / 2))
    return _free(scene, block, [np.array([x, depth, height]) for x in xs])


def upwards(scene: Scene) -> np.ndarray:
    return UP


def outwards(scene: Scene) -> np.ndarray:
    """float64 (3,): normal of the table's sloping face, in which slider and switch are."""
    return scene.link("slide_link").rotation[:, 2]


def push(block: str, direction: float) -> Script:
    """Push a block along the table with closed fingers; `direction` +1 is to the right."""

    def script(scene: Scene, gripper: float) -> np.ndarray:
        pose = scene.block(block)
        reach = np.abs(pose.rotation[0]) @ scene.block_size(block) / 2 + _FINGER
        offset = pose.position - [direction * (reach + 0.01), 0.0, 0.005] - scene.tool
        if abs(offset[1]) < 0.02 and offset[2] > -0.02:
            way = np.array([direction * _NUDGE, offset[1], offset[2]])
        else:
            way = _approach(scene, offset, 0.08)
        return _act(scene, way, pointing(), _fist(scene, gripper))

    return script


def _act(scene: Scene, way: Sequence[float] | np.ndarray, angles: np.ndarray, gripper: float) -> np.ndarray:
    """Go `way`; but stay until the fingers have let go of a block that is not to be held."""
    if gripper == OPEN and scene.held:
        way, angles = np.zeros(3), scene.target[3:]
    return arm_action(way, scene.tool, scene.target, angles, gripper)


def _approach(scene: Scene, offset: np.ndarray, clearance: float, axis: np.ndarray = UP) -> np.ndarray:
    """The way to a goal entered along `axis`: out of the table's face first, then above all that stands on it."""
    out, tool = outwards(scene), scene.tool
    if (tool - scene.link("slide_link").position) @ out < _OUT and abs(offset[0]) > (0.03 if axis is UP else 0.08):
        return _PUSH * out
    way = funnel(offset, clearance, axis, slope=3.0, radius=0.006)
    rise, far = _LANE - tool[2], np.linalg.norm(offset - (offset @ axis) * axis) > 0.05
    if far and _between(scene):
        return max(rise, _PUSH) * UP
    if far and rise > 0.0:
        return np.array([*way[:2] * np.clip(1.0 - rise / 0.06, 0.0, 1.0), max(rise, way[2])])
    return way


def _grasp(scene: Scene, block: str, gripper: float, yaw: float = np.pi / 2, tilt: float = 30.0) -> np.ndarray:
    """Go to a block and close the fingers on it.

    Where it is behind the table's face the hand comes from the front and leans back so far that it stays outside.
    """
    goal, turn = _grasp_pose(scene, block, yaw)
    clearance, axis = 0.08, UP
    if _inside(scene, block):
        ends = _opening(scene)
        goal[0] = np.clip(goal[0], ends[0] + _SPAN, ends[1] - _SPAN)
        turn = np.clip(turn, np.pi / 2 - 0.15, np.pi / 2 + 0.15)
        tilt, clearance, axis = np.interp(goal[0], (-0.25, 0.0), (30.0, 60.0)), 0.15, outwards(scene)
    offset, angles = goal - scene.tool, pointing(turn, np.deg2rad(tilt))
    near = np.linalg.norm(offset)
    if gripper == CLOSE and (near > 0.03 or scene.shut) and _between(scene):
        return _act(scene, _PUSH * UP, angles, CLOSE)  # opened here, the fingers would push the block aside
    gripper = CLOSE if near < (0.012 if gripper == OPEN else 0.03) and not scene.shut else OPEN
    return _act(scene, _approach(scene, offset, clearance, axis), angles, gripper)


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
            crowded = sum(_within(other, size, tip, _FINGER) for other, size in others for tip in tips)
            cost = 10.0 * crowded + abs(yaw - wanted) + 10.0 * abs(shift)
            best = min(best, (cost, centre, yaw), key=lambda entry: entry[0])
    return best[1], float(best[2])


def _within(block: Pose, size: np.ndarray, point: np.ndarray, margin: float) -> bool:
    return bool(np.all(np.abs(block.rotation.T @ (point - block.position)) < size / 2 + margin))


def _carry(scene: Scene, block: str, offset: np.ndarray, axis: np.ndarray, reach: float) -> np.ndarray:
    """Carry the held block along `offset` and let it go."""
    there = np.linalg.norm(offset[:2]) < 0.012 and abs(offset[2]) < reach
    if there:
        return _act(scene, np.zeros(3), scene.target[3:], OPEN)
    return _act(scene, _approach(scene, offset, 0.12, axis), _level(scene, block, keep=False), CLOSE)


def _opening(scene: Scene) -> tuple[float, float]:
    """Ends, in x, of the larger part of the shelf that the sliding door leaves open."""
    door, plank = scene.link("slide_link").position[0], scene.link("plank_link").position[0]
    left, right = (plank - _SHELF, door), (door + _DOOR, plank + _SHELF)
    return max(left, right, key=lambda ends: ends[1] - ends[0])


def _inside(scene: Scene, block: str) -> bool:
    """Whether a block is behind the table's face."""
    return bool((scene.block(block).position - scene.link("slide_link").position) @ outwards(scene) < 0.0)


def _door_away(scene: Scene, block: str) -> float:
    """Where the sliding door must go (+1 left, -1 right) for the hand to reach a block behind it; 0 where it can."""
    x, door, joint = scene.block(block).position[0], scene.link("slide_link").position[0], scene.joint("slide_link")
    if not _inside(scene, block):
        return 0.0
    if x < door + joint - _SPAN:  # free once the door is at its right end
        return -1.0 if x + _HAND > door and joint > _AJAR else 0.0
    return 1.0 if x - _HAND < door + _DOOR and joint < scene.travel("slide_link") - _AJAR else 0.0


def _in_hand(scene: Scene, gripper: float) -> str | None:
    return scene.held if gripper == CLOSE else None


def _holds(scene: Scene, block: str, gripper: float) -> bool:
    return _in_hand(scene, gripper) == block


def _distance(scene: Scene, block: str) -> float:
    return float(np.linalg.norm(scene.block(block).position - scene.tool))


def _nearest(scene: Scene, blocks: Sequence[str]) -> str:
    return min(blocks, key=lambda name: _distance(scene, name))


def _stacked(scene: Scene, block: str) -> bool:
    parts = any(scene.touches(block, part) for part in ("base_link", "drawer_link", "plank_link"))
    return not parts and any(scene.touches(block, other) for other in BLOCKS if other != block)


def _half_height(scene: Scene, block: str) -> float:
    return float(np.abs(scene.block(block).rotation[2]) @ scene.block_size(block)) / 2


def _free(scene: Scene, block: str, spots: list[np.ndarray]) -> np.ndarray:
    """The first of the `spots` that no other block is near to, or else the one farthest from them."""
    others = [scene.block(name).position for name in BLOCKS if name != block]
    room = [min(float(np.linalg.norm(spot - other)) for other in others) for spot in spots]
    return next((spot for spot, space in zip(spots, room, strict=True) if space > 0.09), spots[int(np.argmax(room))])


def _level(scene: Scene, block: str, keep: bool = True) -> np.ndarray:
    """float64 (3,): Euler angles of the hand at which the block it holds stands upright, without turning it."""
    turn = scene.block(block).rotation
    upright = turn[:, np.argmax(np.abs(turn[2]))] * np.sign(turn[2, np.argmax(np.abs(turn[2]))])
    axis = np.cross(upright, UP)
    tool = Rotation.from_euler("xyz", scene.tool_angles)
    roll, pitch, yaw = (Rotation.from_rotvec(axis) * tool).as_euler("xyz")
    return np.array([roll, pitch, yaw if keep else np.pi / 2 + np.pi * np.round((yaw - np.pi / 2) / np.pi)])


def _fist(scene: Scene, gripper: float) -> float:
    """Closed fingers, but for a block between them, which is to be left where it is."""
    if gripper == CLOSE:
        return OPEN if scene.held else CLOSE
    return OPEN if _between(scene) else CLOSE


def _between(scene: Scene) -> bool:
    """Whether a block that is not held is between the fingers, or nearly."""
    free = [name for name in BLOCKS if name != scene.held]
    return any(_within(scene.block(name), scene.block_size(name), scene.tool, 0.035) for name in free)
