"""The play table of each scene: a desk with a niche behind a sliding door, a drawer, a button and a switch.

All numbers are facts of calvin_env's tables (data/calvin_table_*), in their own units: they are loaded at 0.8 of them.
The table's frame: x to the right as the robot sees it, y away from it, z up from the floor.
"""

import math
from dataclasses import dataclass, replace
from pathlib import Path

from scipy.spatial.transform import Rotation

from worldagen.envs.calvin.native.primitive.meshes import CAMERA_DIRECTION, View
from worldagen.envs.calvin.native.primitive.solids import Solid, Vector, box, loft, prism
from worldagen.envs.calvin.native.primitive.urdf import Joint, Link, Material, Part, write_urdf

_QUARTER, _SWITCH_TURN, _DOOR_TURN = math.radians(90), math.radians(150), math.radians(60)
"""The links' frames, turned about x."""
_HALF_WIDTH, _HALF_DEPTH = 0.55, 0.225
_UNDER, _RECESS, _TOP, _BEAM, _CROWN = 0.5, 0.525, 0.55, 0.7848, 0.8098
"""Heights: the slab's lower side, the niche's floor, the slab's upper side, the niche's ceiling, the wall's top."""
_NICHE_FRONT, _NICHE_BACK = 0.025, 0.2
_SLOPE = ((_NICHE_FRONT, _TOP), (0.175, _CROWN))
"""The wall leans back by 30 degrees, from its foot (y, z) to its top."""
_PLANK, _BOTTOM = 0.02625, 0.0279
"""Thickness of the floors of niche and drawer. CALVIN's are meshes, on which Bullet lets things rest 1 mm higher: so do
blocks in its initial states, and a task that starts with a block there asks whether it touches the floor."""
_HANDLE, _BLACK, _WHITE = Material((0.4, 0.4, 0.4)), Material((0.03, 0.03, 0.03)), Material()


@dataclass(frozen=True)
class Furniture:
    """Where one scene differs. Positions along x, in the table's units."""

    niche: tuple[float, float]
    slide: float
    slide_travel: float
    slide_centre: float
    """Of the door's mass; CALVIN has it beside the door in scenes A and D."""
    drawer: float
    button: float
    switch: float
    led: float
    bulb: tuple[float, float]
    """x and y."""
    wood: str
    front_wood: str
    """Of door and drawer."""


FURNITURE = {
    "A": Furniture(
        (-0.45, 0.2), -0.125, 0.35, -0.175, 0.125, -0.35, 0.375, -0.35, (0.375, 0.165), "mahogany", "mahogany"
    ),
    "B": Furniture((-0.225, 0.425), 0.11, 0.38, 0.175, 0.225, 0.35, -0.4, 0.35, (-0.4, 0.17), "birch", "birch"),
    "C": Furniture((-0.225, 0.425), 0.075, 0.3, 0.175, 0.125, -0.15, -0.4, -0.15, (-0.4, 0.165), "walnut", "mahogany"),
    "D": Furniture((-0.45, 0.2), -0.125, 0.35, -0.175, 0.225, -0.15, 0.375, -0.15, (0.375, 0.165), "oak", "oak"),
}


def write_table(path: Path, letter: str) -> Path:
    furniture = FURNITURE[letter]
    wood, front = Material(texture=f"{furniture.wood}.png"), Material(texture=f"{furniture.front_wood}.png")
    upright = _view(_QUARTER)
    plank = box(furniture.niche, (_NICHE_FRONT, _NICHE_BACK), (_RECESS, _TOP))
    links = [
        Link("base_link", (Part(_desk(furniture), wood),), view=replace(_view(0, (0, 1, 0)), fillers=(plank,))),
        Link(
            "button_link",
            (Part((loft(1, (0, 0.04, (0, 0)), (0.03, 0.04, (0, 0)), sides=12),), _BLACK),),
            0.1538,
            (0, 0.015, 0),
            view=upright,
        ),
        Link("switch_link", (Part(_switch_handle(), _HANDLE),), 0.2388, (0, 0.0502, -0.01), view=_view(_SWITCH_TURN)),
        Link(
            "slide_link",
            (Part((box((0, 0.35), (-0.1505, 0.1505), (0, 0.027)),), front), Part(_door_handle(), _HANDLE)),
            1.5435,
            (furniture.slide_centre, 0, 0.0204),
            view=_view(_DOOR_TURN, (0, 0.87, -0.5)),
        ),
        Link(
            "drawer_link",
            (Part(_drawer(), front), Part(_drawer_handle(), _HANDLE)),
            4.2313,
            (0, 0.0332, 0.0989),
            view=upright,
        ),
        Link(
            "led_link",
            (Part((box((-0.1, 0.1), (0, 0.02), (-0.025, 0.025)),), _WHITE),),
            0.204,
            (0, 0.01, 0),
            view=upright,
        ),
        Link("light_link", (Part((_bulb(),), _WHITE),), 0.1739, (0, 0.028, -0.035), view=upright),
        Link(
            "plank_link",
            (Part((box((-0.325, 0.325), (0, _PLANK), (-0.0875, 0.0875)),), wood),),
            2.8438,
            (0, 0.0125, 0),
            view=upright,
        ),
    ]
    return write_urdf(path, links, _joints(furniture))


def _view(turn: float, *unseen: Vector) -> View:
    """How the cameras see a link whose frame is turned about x: from above, and not from the `unseen` directions (in
    the table's frame)."""
    back = Rotation.from_euler("x", -turn)
    sides = ((0.0, 0.0, -1.0), *unseen)
    return View(tuple(back.apply(CAMERA_DIRECTION)), tuple(tuple(back.apply(side)) for side in sides))


def _joints(furniture: Furniture) -> list[Joint]:
    niche = sum(furniture.niche) / 2

    def joint(name: str, kind: str, xyz: tuple[float, float, float], **more: object) -> Joint:
        settings = {"rpy": (_QUARTER, 0, 0), **more}
        return Joint(f"base__{name}", kind, "base_link", f"{name}_link", xyz, **settings)  # type: ignore[arg-type]

    return [
        joint("button", "prismatic", (furniture.button, -0.15, 0.575), axis=(0, -1, 0), limits=(0, 0.025)),
        joint(
            "switch",
            "prismatic",
            (furniture.switch, 0.07616, 0.61861),
            rpy=(_SWITCH_TURN, 0, 0),
            axis=(0, 0, -1),
            limits=(0, 0.11),
        ),
        joint(
            "slide",
            "prismatic",
            (furniture.slide, 0.09375, 0.66908),
            rpy=(_DOOR_TURN, 0, 0),
            axis=(-1, 0, 0),
            limits=(0, furniture.slide_travel),
        ),
        joint("drawer", "prismatic", (furniture.drawer, 0, 0.4), axis=(0, 0, 1), limits=(0, 0.275)),
        joint("led", "fixed", (furniture.led, 0.2, 0.80981)),
        joint("light", "fixed", (*furniture.bulb, 0.80981)),
        joint("plank", "fixed", (niche, 0.1125, _RECESS)),
    ]


def _desk(furniture: Furniture) -> tuple[Solid, ...]:
    width, depth = (-_HALF_WIDTH, _HALF_WIDTH), (-_HALF_DEPTH, _HALF_DEPTH)
    left, right = furniture.niche
    drawer = furniture.drawer - 0.25, furniture.drawer + 0.25
    sides = ((-_HALF_WIDTH, left), (right, _HALF_WIDTH))
    legs = [box(x, y, (0, _UNDER)) for x in ((-0.55, -0.5), (0.5, 0.55)) for y in ((-0.225, -0.185), (0.185, 0.225))]
    slab = [
        box(width, (depth[0], _NICHE_FRONT), (_UNDER, _TOP)),
        box(width, (_NICHE_FRONT, depth[1]), (_UNDER, _RECESS)),
        *(box(side, (_NICHE_FRONT, depth[1]), (_RECESS, _TOP)) for side in sides),
    ]
    wall = [
        *(prism(0, side, [*_SLOPE, (depth[1], _CROWN), (depth[1], _TOP)]) for side in sides),
        prism(0, (left, right), [(0.1606, _BEAM), _SLOPE[1], (depth[1], _CROWN), (depth[1], _BEAM)]),
        box((left, right), (_NICHE_BACK, depth[1]), (_RECESS, _BEAM)),
    ]
    cabinet = [
        box((-0.525, drawer[0]), (-0.2, 0.2), (0.375, _UNDER)),
        box((drawer[1], 0.525), (-0.2, 0.2), (0.375, _UNDER)),
        box(drawer, (0.075, 0.2), (0.375, _UNDER)),
        box(drawer, (-0.2, 0.075), (0.375, 0.4)),
    ]
    button = loft(2, (_TOP, 0.05, (furniture.button, -0.15)), (0.575, 0.05, (furniture.button, -0.15)), sides=12)
    return *slab, *wall, *cabinet, *legs, button


def _drawer() -> tuple[Solid, ...]:
    """Its frame: y up, z towards the robot."""
    return (
        box((-0.2755, 0.2755), (-0.0255, 0.1007), (0.197, 0.2275)),
        box((-0.2215, 0.2215), (0, _BOTTOM), (-0.0475, 0.197)),
        box((-0.2515, -0.2215), (0, 0.1007), (-0.0755, 0.197)),
        box((0.2215, 0.2515), (0, 0.1007), (-0.0755, 0.197)),
        box((-0.2215, 0.2215), (0, 0.1007), (-0.0755, -0.0475)),
    )


def _drawer_handle() -> tuple[Solid, ...]:
    y, z = (0.025, 0.0765), (0.2275, 0.326)
    return (
        box((0.12, 0.1503), y, z),
        box((-0.1503, -0.12), y, z),
        box((-0.12, 0.12), (0.025, 0.0748), (0.298, z[1])),
    )


def _door_handle() -> tuple[Solid, ...]:
    """Its frame: y along the slope, z towards the robot."""
    x = (0.1493, 0.2007)
    return (
        box(x, (-0.1, -0.0721), (0.027, 0.1)),
        box(x, (0.0717, 0.101), (0.027, 0.1)),
        box(x, (-0.0721, 0.0717), (0.0715, 0.1)),
    )


def _switch_handle() -> tuple[Solid, ...]:
    z = (-0.03, 0.01)
    return (
        box((0.0485, 0.075), (0, 0.0802), z),
        box((-0.075, -0.0485), (0, 0.0802), z),
        box((-0.0485, 0.0485), (0.053, 0.0802), z),
    )


def _bulb() -> Solid:
    centre = (0, -0.035)
    return loft(1, (0, 0.02, centre), (0.02, 0.034, centre), (0.042, 0.034, centre), (0.062, 0.016, centre))
