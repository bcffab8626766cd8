"""CALVIN's play table on plain PyBullet, as an Engine."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from worldagen.envs.calvin.bullet import state_bytes
from worldagen.envs.calvin.engine import BLOCKS, Camera, check_camera
from worldagen.envs.calvin.native.cameras import Cameras, static_view
from worldagen.envs.calvin.native.client import Client
from worldagen.envs.calvin.native.errors import DisconnectedError
from worldagen.envs.calvin.native.info import world_info
from worldagen.envs.calvin.native.scenes import SCENES
from worldagen.envs.calvin.native.state import check_robot_obs, check_scene_obs
from worldagen.envs.calvin.native.urdfs import check_urdfs, urdfs_of
from worldagen.envs.calvin.native.world import SUBSTEPS, build_world
from worldagen.envs.calvin.rules import completed
from worldagen.types import EnvSpec


class NativeEngine:
    """One scene in a physics client of its own; several may live in one process.

    Raises NativeError where official assets are asked for and missing or damaged, and DisconnectedError after `close`.
    """

    def __init__(self, spec: EnvSpec) -> None:
        self._urdfs, self._scene = urdfs_of(spec), SCENES[spec.suite]
        check_urdfs(self._urdfs)
        self.client = Client()
        self._world = build_world(self.client, self._urdfs, self._scene)
        self.static_view: Sequence[float] = static_view(self.client)
        self._cameras = Cameras(self.client, self._world.fixed if spec.assets == "primitive" else ())
        self.robot_id = self._world.robot.id
        self.body_ids = {"table": self._world.table, "plane": self._world.plane, **self._world.blocks}

    def reset(self, robot_obs: np.ndarray, scene_obs: np.ndarray) -> None:
        """Load the scene anew, since contacts survive anything else, and start from this state. Of robot_obs only
        gripper width, arm joints and last gripper action are read, as in calvin_env.

        Raises NativeError for a wrong length, a value that is not finite, or a joint or light outside its range.
        """
        self._check_open()
        check_robot_obs(robot_obs)
        check_scene_obs(self._world, scene_obs)
        world = self._world = build_world(self.client, self._urdfs, self._scene)
        self._cameras.forget()
        slider, drawer, button, switch, bulb, led = scene_obs[:6]
        world.slider.reset(slider)
        world.drawer.reset(drawer)
        world.bulb.set(bulb == 1)
        world.led.set(led == 1)
        world.button.reset(button)
        world.switch.reset(switch)
        for name, pose in zip(BLOCKS, scene_obs[6:].reshape(-1, 6), strict=True):
            quaternion = self.client.getQuaternionFromEuler(pose[3:])
            self.client.resetBasePositionAndOrientation(world.blocks[name], pose[:3], quaternion)
        world.robot.reset(robot_obs)
        self.client.stepSimulation()

    def step(self, action: np.ndarray) -> None:
        """One control step of 1/30 s. Raises NativeError for anything but floats (7,) with gripper exactly -1 or 1."""
        self._check_open()
        self._world.robot.act(action)
        for _ in range(SUBSTEPS):
            self.client.stepSimulation()
        self._world.button.step()
        self._world.switch.step()

    def robot_obs(self) -> np.ndarray:
        self._check_open()
        return self._world.robot.observation()

    def scene_obs(self) -> np.ndarray:
        self._check_open()
        world = self._world
        joints = [part.position for part in (world.slider, world.drawer, world.button.joint, world.switch.joint)]
        lights = [float(light.on) for light in (world.bulb, world.led)]
        return np.concatenate([joints, lights, *(self._block_pose(world.blocks[name]) for name in BLOCKS)])

    def target_pose(self) -> np.ndarray:
        self._check_open()
        return self._world.robot.target_pose()

    def info(self) -> dict[str, Any]:
        self._check_open()
        return world_info(self._world)

    def completed(self, start: dict[str, Any], current: dict[str, Any], task: str) -> bool:
        return completed(start, current, task)

    def render(self, camera: Camera, size: int) -> np.ndarray:
        """uint8 (size, size, 3), RGB, upright."""
        self._check_open()
        check_camera(camera)
        return self._cameras.render(self._world.robot, camera, size, self.static_view)

    def state_digest(self) -> bytes:
        """Poses, velocities and joint states of all bodies, the lights and the running target pose."""
        self._check_open()
        return state_bytes(self.client) + self.scene_obs().tobytes() + self._world.robot.command().tobytes()

    def close(self) -> None:
        """Disconnect and free everything. May be called again."""
        if self.client.isConnected():
            self.client.disconnect()

    def _block_pose(self, block: int) -> np.ndarray:
        position, quaternion = self.client.getBasePositionAndOrientation(block)
        return np.array([*position, *self.client.getEulerFromQuaternion(quaternion)])

    def _check_open(self) -> None:
        if not self.client.isConnected():
            raise DisconnectedError("the physics client of this play table is disconnected; build a new engine")
