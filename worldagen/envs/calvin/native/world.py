"""Loading one scene into a physics client, in calvin_env's order: Bullet's solver depends on it."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from worldagen.envs.calvin.native.articulation import Button, Joint, Light, Switch
from worldagen.envs.calvin.native.client import Client
from worldagen.envs.calvin.native.robot import Panda
from worldagen.envs.calvin.native.scenes import Scene
from worldagen.envs.calvin.native.urdfs import Urdfs, load_urdf

SUBSTEPS, TIME_STEP = 8, 1 / 240.0
"""Physics steps in a control step, and their length in s: 30 control steps a second."""
SCALE = 0.8
"""Table and blocks are modelled larger than they are."""
_YELLOW, _GREEN = (1, 1, 0, 1), (0, 1, 0, 1)


@dataclass(frozen=True)
class World:
    """One scene: its bodies by pybullet's id, and the parts that move and light up."""

    client: Client
    robot: Panda
    blocks: dict[str, int]
    table: int
    links: dict[str, int]
    """The table's links by name, `base_link` included."""
    plane: int
    slider: Joint
    drawer: Joint
    button: Button
    switch: Switch
    bulb: Light
    led: Light

    @property
    def fixed(self) -> tuple[tuple[int, int], ...]:
        """Body and link of what never moves nor changes."""
        return (self.plane, -1), (self.table, -1), (self.table, self.links["plank_link"])


def build_world(client: Client, urdfs: Urdfs, scene: Scene) -> World:
    """Load a scene into an emptied server. Raises NativeError for a file that is missing or that Bullet cannot read."""
    client.resetSimulation()
    client.setTimeStep(TIME_STEP)
    client.setGravity(0, 0, -9.8)
    robot = Panda(client, urdfs.robot, urdfs.pedestal)
    poses = scene.first_poses()
    blocks = {name: _load_block(client, path, *poses[name]) for name, path in urdfs.blocks.items()}
    table = load_urdf(client, urdfs.table, globalScaling=SCALE)
    infos = [client.getJointInfo(table, index) for index in range(client.getNumJoints(table))]
    links = {info[12].decode(): info[0] for info in infos} | {"base_link": -1}
    slider, drawer = Joint(client, table, "base__slide"), Joint(client, table, "base__drawer")
    slider.brake()
    drawer.brake()
    bulb, led = Light(client, table, links["light_link"], _YELLOW), Light(client, table, links["led_link"], _GREEN)
    return World(
        client=client,
        robot=robot,
        blocks=blocks,
        table=table,
        links=links,
        slider=slider,
        drawer=drawer,
        button=Button(Joint(client, table, "base__button"), led),
        switch=Switch(Joint(client, table, "base__switch"), bulb),
        bulb=bulb,
        led=led,
        plane=load_urdf(client, urdfs.plane),
    )


def _load_block(client: Client, path: Path, position: np.ndarray, yaw: float) -> int:
    return load_urdf(
        client,
        path,
        basePosition=position,
        baseOrientation=client.getQuaternionFromEuler([0, 0, yaw]),
        globalScaling=SCALE,
    )
