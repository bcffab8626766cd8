"""Where blocks lie and can go in CALVIN's furniture, read from the scene."""

import numpy as np

from worldagen.envs.calvin.engine import BLOCKS
from worldagen.envs.calvin.scene import Scene
from worldagen.envs.motion import UP

DOOR = 0.28
"""Length in metres of the sliding door."""
_SHELF = 0.264
"""Half the length in metres of the shelf behind it."""
_EDGE = -0.18
"""World y of the table's front edge, the same in every scene."""
_DROP = 0.03
"""Metres that a block falls into the drawer."""
_FINGERS, _HAND = 0.055, 0.12
"""Half the width in metres of the open fingers and of the hand."""
_AJAR = 0.025
"""Metres short of its end at which the sliding door is open enough."""


def in_drawer(scene: Scene, block: str) -> np.ndarray:
    """float64 (3,): where the centre of a block is let go: over the drawer's floor, clear of other blocks."""
    drawer = scene.link("drawer_link")
    depth = (front(scene) + _EDGE) / 2
    height = drawer.at(0.0, 0.021, 0.0)[2] + half_height(scene, block) + _DROP
    return _free(scene, block, [np.array([drawer.position[0] + x, depth, height]) for x in (0.0, -0.1, 0.1)])


def in_slider(scene: Scene, block: str) -> np.ndarray:
    """float64 (3,): where the centre of a block is let go: on the plank, in the half that the door leaves open."""
    plank = scene.link("plank_link")
    height = plank.at(0.0, 0.02, 0.0)[2] + half_height(scene, block)
    (left, right), depth = opening(scene), plank.position[1] - 0.025
    xs = sorted(np.linspace(left + 0.035, right - 0.035, 9), key=lambda x: abs(x - (left + right) / 2))
    return _free(scene, block, [np.array([x, depth, height]) for x in xs])


def front(scene: Scene) -> float:
    """World y of the inner side of the drawer's front."""
    return float(scene.link("drawer_link").at(0.0, 0.0, 0.157)[1])


def upwards(scene: Scene) -> np.ndarray:
    return UP


def outwards(scene: Scene) -> np.ndarray:
    """float64 (3,): normal of the table's sloping face, in which slider and switch are."""
    return scene.link("slide_link").rotation[:, 2]


def opening(scene: Scene) -> tuple[float, float]:
    """Ends, in x, of the larger part of the shelf that the sliding door leaves open."""
    door, plank = scene.link("slide_link").position[0], scene.link("plank_link").position[0]
    left, right = (plank - _SHELF, door), (door + DOOR, plank + _SHELF)
    return max(left, right, key=lambda ends: ends[1] - ends[0])


def inside(scene: Scene, block: str) -> bool:
    """Whether a block is behind the table's face."""
    return bool((scene.block(block).position - scene.link("slide_link").position) @ outwards(scene) < 0.0)


def door_away(scene: Scene, block: str) -> float:
    """Where the sliding door must go (+1 left, -1 right) for the hand to reach a block behind it; 0 where it can."""
    x, door, joint = scene.block(block).position[0], scene.link("slide_link").position[0], scene.joint("slide_link")
    if not inside(scene, block):
        return 0.0
    if x < door + joint - _FINGERS:  # free once the door is at its right end
        return -1.0 if x + _HAND > door and joint > _AJAR else 0.0
    return 1.0 if x - _HAND < door + DOOR and joint < scene.travel("slide_link") - _AJAR else 0.0


def half_height(scene: Scene, block: str) -> float:
    return float(np.abs(scene.block(block).rotation[2]) @ scene.block_size(block)) / 2


def _free(scene: Scene, block: str, spots: list[np.ndarray]) -> np.ndarray:
    """The first of the `spots` that no other block is near to, or else the one farthest from them."""
    others = [scene.block(name).position for name in BLOCKS if name != block]
    room = [min(float(np.linalg.norm(spot - other)) for other in others) for spot in spots]
    return next((spot for spot, space in zip(spots, room, strict=True) if space > 0.09), spots[int(np.argmax(room))])
