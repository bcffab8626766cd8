"""What CALVIN's experts do: move a slider, hook a drawer, press, lift, push, turn, place and stack.

A script maps the scene and the gripper's last command to the next action and remembers nothing else.
"""

from collections.abc import Callable

import numpy as np

from worldagen.envs.calvin.engine import BLOCKS
from worldagen.envs.calvin.hand import (
    FINGER,
    PUSH,
    act,
    approach,
    carry,
    distance,
    fist,
    grasp,
    in_hand,
    level,
    nearest,
)
from worldagen.envs.calvin.motion import pointing
from worldagen.envs.calvin.places import door_away, half_height, in_drawer, inside
from worldagen.envs.calvin.scene import Scene
from worldagen.envs.motion import CLOSE, OPEN, UP

Script = Callable[[Scene, float], np.ndarray]
"""(scene, last gripper command) -> float32 (7,) action."""
Spot = Callable[[Scene, str], np.ndarray]
"""(scene, block) -> float64 (3,) where its centre is to go."""
Axis = Callable[[Scene], np.ndarray]
"""scene -> float64 (3,) unit vector that points out of the place to go to."""

_NUDGE = 0.012
"""Metres ahead of the tool while pushing a block, which is not to slide on."""


def move_slider(direction: float) -> Script:
    """Straddle the slider's handle from the front and push it along the table; `direction` +1 is to the left."""

    def script(scene: Scene, gripper: float) -> np.ndarray:
        slider = scene.link("slide_link")
        offset = slider.at(0.14, -0.03, 0.065) - scene.tool
        out = slider.rotation[:, 2]
        aside = abs(offset[0])
        if offset @ out > -0.02 and aside < 0.03:
            way = np.array([-direction * PUSH, offset[1], offset[2]])
        else:
            way = approach(scene, offset, 0.1, out)
        return act(scene, way, pointing(), OPEN)

    return script


def open_drawer(scene: Scene, gripper: float) -> np.ndarray:
    """Hook the fingers behind the drawer's handle and pull."""
    drawer = scene.link("drawer_link")
    offset = drawer.at(0.0, 0.045, 0.212) - scene.tool
    hooked = abs(offset[0]) < 0.06 and offset[2] > -0.02
    way = [offset[0], -PUSH, offset[2]] if hooked else approach(scene, offset, 0.1)
    return act(scene, way, pointing(), fist(scene, gripper))


def close_drawer(scene: Scene, gripper: float) -> np.ndarray:
    """Push the drawer's handle from the front."""
    drawer = scene.link("drawer_link")
    offset = drawer.at(0.0, 0.045, 0.285) - scene.tool
    behind = abs(offset[0]) < 0.06 and offset[2] > -0.02
    way = [offset[0], PUSH, offset[2]] if behind else approach(scene, offset, 0.1)
    return act(scene, way, pointing(), fist(scene, gripper))


def press_button(scene: Scene, gripper: float) -> np.ndarray:
    """Press the button with closed fingers; let it come up first where it is down."""
    offset = scene.link("button_link").at(0.0, 0.025, 0.0) - scene.tool
    if scene.joint("button_link") > 0.5 * scene.travel("button_link"):
        way = PUSH * UP
    elif np.hypot(*offset[:2]) < 0.015:
        way = offset - PUSH * UP
    else:
        way = approach(scene, offset, 0.06)
    return act(scene, way, pointing(), fist(scene, gripper))


def flip_switch(direction: float) -> Script:
    """Push the switch's bar along its slot; `direction` +1 is up, from below, -1 down, from above."""

    def script(scene: Scene, gripper: float) -> np.ndarray:
        switch = scene.link("switch_link")
        out, along = switch.rotation[:, 1], -switch.rotation[:, 2]
        offset = switch.at(0.0, 0.05, -0.008 + 0.045 * direction) - scene.tool
        aside = offset - (offset @ along) * along
        if np.linalg.norm(aside) < 0.02 and direction * (offset @ along) < 0.01:
            way = aside + direction * PUSH * along
        else:
            way = approach(scene, offset, 0.1, out)
        return act(scene, way, pointing(tilt=np.deg2rad(45)), fist(scene, gripper))

    return script


def lift(block: str) -> Script:
    """Grasp a block across its narrow side and lift it; move the sliding door first where the block is behind it."""

    def script(scene: Scene, gripper: float) -> np.ndarray:
        if in_hand(scene, gripper) == block:
            return act(scene, PUSH * UP, level(scene, block), CLOSE)
        door = door_away(scene, block)
        return move_slider(door)(scene, gripper) if door else grasp(scene, block, gripper)

    return script


def rotate(block: str, direction: float) -> Script:
    """Grasp a block where it stands and turn it; `direction` +1 is counter-clockwise seen from above."""

    def script(scene: Scene, gripper: float) -> np.ndarray:
        if in_hand(scene, gripper) == block:
            target, down = scene.target, 0.0 if scene.rests(block) else -0.01  # the rule wants it to stand on something
            way = [*(target[:2] - scene.tool[:2]), down]
            return act(scene, way, np.array([*target[3:5], target[5] + direction]), CLOSE)
        return grasp(scene, block, gripper, yaw=np.pi / 2 - 0.5 * direction)

    return script


def place(part: str, spot: Spot, axis: Axis) -> Script:
    """Carry the held block, or the nearest one that is not there yet, to a `spot` of a part of the table."""

    def script(scene: Scene, gripper: float) -> np.ndarray:
        block = in_hand(scene, gripper)
        if block:
            return carry(scene, block, spot(scene, block) - scene.block(block).position, axis(scene), 0.01)
        around = nearest(scene, BLOCKS)
        if distance(scene, around) < 0.05 and scene.touches(around, part):
            return act(scene, PUSH * axis(scene), scene.target[3:], OPEN)
        return grasp(
            scene, nearest(scene, [name for name in BLOCKS if not scene.touches(name, part)] or BLOCKS), gripper
        )

    return script


def stack(scene: Scene, gripper: float) -> np.ndarray:
    """Carry the held block, or the nearest one, onto another block, one that stands on the table where there is one."""
    block = in_hand(scene, gripper)
    if block:
        others = [name for name in BLOCKS if name != block]
        base = nearest(scene, [name for name in others if scene.touches(name, "base_link")] or others)
        top = scene.block(base).position + (half_height(scene, base) + half_height(scene, block)) * UP
        beside = (top - scene.link("button_link").position) * (1.0, 1.0, 0.0)
        top += beside * max(0.0, min(1.0, 0.09 / float(np.linalg.norm(beside)) - 1.0) * 0.3)
        return carry(scene, block, top - scene.block(block).position, UP, 0.005)
    around = nearest(scene, BLOCKS)
    if distance(scene, around) < 0.05 and _stacked(scene, around):
        return act(scene, PUSH * UP, scene.target[3:], OPEN)
    return grasp(scene, around, gripper)


def unstack(scene: Scene, gripper: float) -> np.ndarray:
    """Grasp the block that stands on another one and drag it off sideways, away from the third."""
    block = in_hand(scene, gripper)
    if block:
        third = max((name for name in BLOCKS if name != block), key=lambda name: distance(scene, name))
        obstacles = [scene.block(third).position, scene.link("button_link").position]
        aside = [scene.tool + np.array([x, 0.0, 0.0]) for x in (-0.08, 0.08)]
        room = [min(float(np.linalg.norm((spot - thing)[:2])) for thing in obstacles) for spot in aside]
        way = np.array([PUSH if room[1] > room[0] else -PUSH, 0.0, -0.003])
        return act(scene, way, level(scene, block), CLOSE)
    return grasp(scene, next(filter(lambda name: _stacked(scene, name), BLOCKS), nearest(scene, BLOCKS)), gripper)


def slide_into_drawer(scene: Scene, gripper: float) -> np.ndarray:
    """Grasp a block on the table, slide it over the edge and let it fall into the open drawer."""
    block = in_hand(scene, gripper)
    if block:
        offset = in_drawer(scene, block) - scene.block(block).position
        if np.abs(offset[:2]).max() < 0.02:
            return act(scene, np.zeros(3), scene.target[3:], OPEN)
        beyond = abs(offset[1]) < 0.05
        return act(scene, np.array([offset[0] * beyond, offset[1], 0.0]), level(scene, block), CLOSE)
    rest = [name for name in BLOCKS if scene.touches(name, "base_link") and not inside(scene, name)]
    if not rest:
        return act(scene, PUSH * UP, scene.target[3:], OPEN)
    return grasp(scene, nearest(scene, rest), gripper)


def push(block: str, direction: float) -> Script:
    """Push a block along the table with closed fingers; `direction` +1 is to the right."""

    def script(scene: Scene, gripper: float) -> np.ndarray:
        pose = scene.block(block)
        reach = np.abs(pose.rotation[0]) @ scene.block_size(block) / 2 + FINGER
        offset = pose.position - [direction * (reach + 0.01), 0.0, 0.005] - scene.tool
        if abs(offset[1]) < 0.02 and offset[2] > -0.02:
            way = np.array([direction * _NUDGE, offset[1], offset[2]])
        else:
            way = approach(scene, offset, 0.08)
        return act(scene, way, pointing(), fist(scene, gripper))

    return script


def _stacked(scene: Scene, block: str) -> bool:
    parts = any(scene.touches(block, part) for part in ("base_link", "drawer_link", "plank_link"))
    return not parts and any(scene.touches(block, other) for other in BLOCKS if other != block)
