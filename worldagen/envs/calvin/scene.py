"""Ground truth of a running CALVIN scene: what scripted experts see instead of images."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.spatial.transform import Rotation

from worldagen.envs.calvin.engine import BLOCKS, Engine

_SHUT = 0.01
"""Metres between the fingers; the narrow side of a block keeps them 0.04 apart."""


@dataclass(frozen=True)
class Pose:
    position: np.ndarray
    """float64 (3,), metres, world."""
    rotation: np.ndarray
    """float64 (3, 3)."""

    def at(self, x: float, y: float, z: float) -> np.ndarray:
        """float64 (3,): world position of a point of this frame."""
        return self.position + self.rotation @ (x, y, z)


class Scene:
    """Reads poses, joints and contacts straight from the engine; every access is the state of now.

    Positions are world coordinates in metres: x to the right along the table, y away from the robot, z up.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._client = engine.client
        self._table = engine.body_ids["table"]
        self._links = _link_numbers(engine.client, self._table)
        robot_links = _link_numbers(engine.client, engine.robot_id)
        self._fingers = [
            {link for name, link in robot_links.items() if "finger" in name and side in name}
            for side in ("left", "right")
        ]

    @property
    def tool(self) -> np.ndarray:
        """float64 (3,): point between the fingertips."""
        return self._engine.robot_obs()[:3]

    @property
    def gripper(self) -> float:
        """The gripper's last command, -1 close or +1 open."""
        return float(self._engine.robot_obs()[14])

    @property
    def shut(self) -> bool:
        """Whether the fingers hold nothing but each other."""
        return bool(self._engine.robot_obs()[6] < _SHUT)

    @property
    def tool_angles(self) -> np.ndarray:
        """float64 (3,): x-y-z Euler angles of the tool."""
        return self._engine.robot_obs()[3:6]

    @property
    def target(self) -> np.ndarray:
        """float64 (6,): the running target pose that the next action is added to: position, x-y-z Euler angles."""
        return self._engine.target_pose()

    def link(self, name: str) -> Pose:
        """Frame of a part of the table, e.g. `slide_link`. The frames sit alike on their parts in all four scenes."""
        position, quaternion = self._client.getLinkState(self._table, self._links[name])[4:6]
        return Pose(np.array(position), Rotation.from_quat(quaternion).as_matrix())

    def joint(self, link: str) -> float:
        """Position in metres of the joint that moves a part of the table."""
        return float(self._client.getJointState(self._table, self._links[link])[0])

    def travel(self, link: str) -> float:
        """Upper limit in metres of the joint that moves a part of the table; the lower one is 0."""
        return float(self._client.getJointInfo(self._table, self._links[link])[9])

    def block(self, name: str) -> Pose:
        """Centre of a block and its axes; x is along its longest edge."""
        position, quaternion = self._client.getBasePositionAndOrientation(self._engine.body_ids[name])
        return Pose(np.array(position), Rotation.from_quat(quaternion).as_matrix())

    def block_size(self, name: str) -> np.ndarray:
        """float64 (3,): edges of a block in metres."""
        return np.array(self._client.getCollisionShapeData(self._engine.body_ids[name], -1)[0][3])

    @property
    def held(self) -> str | None:
        """Name of the block that both fingers touch."""
        robot = self._engine.robot_id
        for name in BLOCKS:
            contacts = self._client.getContactPoints(bodyA=robot, bodyB=self._engine.body_ids[name])
            links = {contact[3] for contact in contacts}
            if all(links & finger for finger in self._fingers):
                return name
        return None

    def rests(self, block: str) -> bool:
        """Whether a block touches anything but the robot."""
        contacts = self._client.getContactPoints(self._engine.body_ids[block])
        return any(contact[2] != self._engine.robot_id for contact in contacts)

    def touches(self, block: str, other: str) -> bool:
        """Whether a block touches a part of the table (`base_link` is its body) or another block."""
        if other in BLOCKS:
            body, link = self._engine.body_ids[other], -1
        else:
            body, link = self._table, self._links[other]
        return bool(self._client.getContactPoints(self._engine.body_ids[block], body, -1, link))


def _link_numbers(client: Any, body: int) -> dict[str, int]:
    joints = range(client.getNumJoints(body))
    return {"base_link": -1, **{client.getJointInfo(body, joint)[12].decode(): joint for joint in joints}}
