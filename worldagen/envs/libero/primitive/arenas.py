"""The room and table of each LIBERO scene file, with tiny textures under the file names LIBERO asks for."""

from pathlib import Path

import numpy as np
from PIL import Image

from worldagen.envs.libero.primitive.furniture import BOOKCASE, COFFEE_TABLE, DESK, KITCHEN_UNIT, LIVING_ROOM_UNIT
from worldagen.envs.libero.primitive.mjcf import body_xml

TEXTURE_EDGE = 64

# hf-libero replaces the floor and wall texture of a scene by the file of a named style; each gets one plain colour.
TEXTURES = {
    "light-gray-floor-tile.png": (150, 150, 155),
    "light-gray-plaster.png": (205, 207, 210),
    "gray_ceramic_tile.png": (128, 134, 140),
    "yellow_linen_wall_texture.png": (222, 204, 158),
    "seamless_wood_planks_floor.png": (140, 104, 72),
    "table.png": (196, 164, 132),
}

ROOM = """\
<mujoco model="arena">
  <asset>
    <texture type="skybox" builtin="gradient" width="64" height="64" rgb1="0.9 0.9 1" rgb2="0.2 0.3 0.4"/>
    <texture name="texplane" type="2d" file="../textures/light-gray-floor-tile.png"/>
    <texture name="tex-wall" type="2d" file="../textures/light-gray-plaster.png"/>
    <texture name="tex-table" type="cube" file="../textures/table.png"/>
    <material name="floorplane" texture="texplane" texrepeat="3 3" texuniform="true" specular="0" shininess="0"/>
    <material name="walls_mat" texture="tex-wall" texrepeat="3 3" texuniform="true" specular="0.2" shininess="0.1"/>
    <material name="table_texture" texture="tex-table" specular="0.2" shininess="0"/>
  </asset>
  <worldbody>
    {walls}
    {furniture}
    <light name="light1" pos="1 1 4" {light}/>
    <light name="light2" pos="-3 -3 4" {light}/>
    <camera name="frontview" mode="fixed" pos="1 0 1.45" quat="0.56 0.43 0.43 0.56"/>
    <camera name="birdview" mode="fixed" pos="-0.2 0 3" quat="0.7071 0 0 0.7071"/>
    <camera name="agentview" mode="fixed" pos="0.5 0 1.35" quat="0.653 0.271 0.271 0.653"/>
    <camera name="sideview" mode="fixed" pos="-0.0565 1.2761 1.488" quat="0.0099 0.0069 0.5912 0.8064"/>
  </worldbody>
</mujoco>
"""

FLOOR = '<geom name="floor" type="plane" size="3 3 0.125" group="1" material="floorplane"/>'
FLOOR_BODY = f'<body name="floor">{FLOOR}</body>'
"""A body, where hf-libero hangs the regions of a task on it."""

TABLE = """\
<body name="table" pos="0 0 0.4">
      <geom name="table_collision" type="box" size="0.4 0.4 0.4" group="0" friction="1 0.005 0.0001"/>
      <geom name="table_visual" type="box" size="0.4 0.4 0.4" {drawn} material="table_texture"/>
      <site name="table_top" pos="0 0 0.4" size="0.001" rgba="0 0 0 0"/>
      {legs}
    </body>"""

DRAWN = 'group="1" contype="0" conaffinity="0"'
LIGHT = 'dir="0 -0.15 -1" diffuse="0.8 0.8 0.8" specular="0.3 0.3 0.3" castshadow="false"'

# name, x and y of the centre, half width, z axis of the wall plane turned to this heading in degrees
WALLS = (
    ("wall_leftcorner_visual", -1.25, 2.25, 1.06, -45),
    ("wall_rightcorner_visual", -1.25, -2.25, 1.06, 45),
    ("wall_left_visual", 1.25, 3.0, 1.75, -90),
    ("wall_right_visual", 1.25, -3.0, 1.75, 90),
    ("wall_rear_visual", -2.0, 0.0, 1.5, 0),
    ("wall_front_visual", 3.0, 0.0, 3.0, 180),
)


def _wall(name: str, x: float, y: float, half_width: float, heading: float) -> str:
    turn = np.radians(heading) / 2
    return (
        f'<geom name="{name}" type="box" size="0.01 {half_width} 1.5" pos="{x} {y} 1.5" '
        f'quat="{np.cos(turn):.6g} 0 0 {np.sin(turn):.6g}" {DRAWN} material="walls_mat"/>'
    )


def _leg(number: int) -> str:
    return f'<geom name="table_leg{number}_visual" type="cylinder" size="0.05 0.1" {DRAWN} rgba="0.45 0.33 0.24 1"/>'


def table() -> str:
    """hf-libero sets the size and place of this table and its legs."""
    legs = "\n      ".join(_leg(number) for number in range(1, 5))
    return TABLE.format(legs=legs, drawn=DRAWN)


def room(*furniture: str) -> str:
    """The text of a scene file: walls, lights, cameras and the furniture."""
    walls = "\n    ".join(_wall(*wall) for wall in WALLS)
    return ROOM.format(walls=walls, furniture="\n    ".join(furniture), light=LIGHT)


ARENAS = {
    f"scenes/libero_{name}_base_style.xml": room(*furniture)
    for name, furniture in {
        "tabletop": (FLOOR, table()),
        "floor": (FLOOR_BODY,),
        "kitchen_tabletop": (FLOOR, table(), body_xml(KITCHEN_UNIT)),
        "living_room_tabletop": (FLOOR_BODY, body_xml(COFFEE_TABLE), body_xml(LIVING_ROOM_UNIT)),
        "study": (FLOOR, body_xml(DESK), body_xml(BOOKCASE)),
    }.items()
}


def write_textures(folder: Path) -> None:
    """Write one small PNG per texture: its colour with faint fixed noise, so that large faces are not featureless."""
    folder.mkdir(parents=True)
    noise = np.random.default_rng(0).integers(-8, 9, size=(TEXTURE_EDGE, TEXTURE_EDGE, 1))
    for name, colour in TEXTURES.items():
        pixels = np.clip(np.array(colour) + noise, 0, 255).astype(np.uint8)
        Image.fromarray(pixels).save(folder / name)
