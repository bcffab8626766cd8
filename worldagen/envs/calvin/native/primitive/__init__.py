"""The primitive assets: every body of the four scenes from convex solids, no file taken from CALVIN.

Kinematics, masses and surfaces of contact are CALVIN's; looks are simplified, so that software rendering is fast.
"""

from pathlib import Path

from worldagen.envs.calvin.native.primitive.meshes import CAMERA_DIRECTION, View
from worldagen.envs.calvin.native.primitive.panda import write_panda, write_pedestal
from worldagen.envs.calvin.native.primitive.solids import Solid, box
from worldagen.envs.calvin.native.primitive.table import FURNITURE, write_table
from worldagen.envs.calvin.native.primitive.urdf import Link, Material, Part, write_urdf
from worldagen.envs.calvin.native.primitive.woods import write_woods

_BLOCK_LENGTHS = {"small": 0.05, "middle": 0.07, "big": 0.1}
_BLOCK_COLORS = {"block_red": (1.0, 0.0, 0.0), "block_blue": (0.0, 0.0, 1.0), "block_pink": (1.0, 0.0, 1.0)}
_TILE, _TILES = 0.5, range(-3, 3)
"""Their edge in metres, and how many there are each way: the cameras hardly see further."""


def write_assets(folder: Path) -> None:
    """Write the URDFs of all scenes with their meshes and textures (a few hundred kB) into an existing folder."""
    write_woods(folder)
    write_panda(folder / "panda.urdf")
    write_pedestal(folder / "pedestal.urdf")
    write_plane(folder / "plane.urdf")
    for letter in FURNITURE:
        write_table(folder / f"table_{letter}.urdf", letter)
    for name, color in _BLOCK_COLORS.items():
        for size, length in _BLOCK_LENGTHS.items():
            write_block(folder / f"{name}_{size}.urdf", length, color)


def write_block(path: Path, length: float, color: tuple[float, float, float]) -> None:
    half, half_length = (-0.025, 0.025), (-length / 2, length / 2)
    part = Part((box(half_length, half, half),), Material(color))
    write_urdf(path, [Link("base_link", (part,), 1.0, contact={"lateral_friction": 0.7, "spinning_friction": 0.001})])


def write_plane(path: Path) -> None:
    """The floor: gray tiles on what is white where nothing is drawn."""
    ground = Part((box((-100, 100), (-100, 100), (-10, 0)),), Material(), drawn=False)
    tiles = tuple(_tile(x, y) for x in _TILES for y in _TILES if (x + y) % 2)
    gray = Part(tiles, Material((0.81, 0.81, 0.81)), collides=False)
    write_urdf(
        path,
        [
            Link(
                "planeLink",
                (ground, gray),
                view=View(CAMERA_DIRECTION, ((0, 0, -1), (1, 0, 0), (-1, 0, 0), (0, 1, 0), (0, -1, 0))),
                contact={"lateral_friction": 1.0},
            )
        ],
    )


def _tile(column: int, row: int) -> Solid:
    left, near = column * _TILE, row * _TILE
    return box((left, left + _TILE), (near, near + _TILE), (-0.001, 0))
