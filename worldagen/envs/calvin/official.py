"""The Engine around the unmodified calvin_env package: its PlayTableSimEnv and its task oracle."""

import importlib
import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pybullet
from omegaconf import OmegaConf
from yaml import YAMLError

from worldagen.envs.calvin.bullet import state_bytes
from worldagen.envs.calvin.engine import BLOCKS, Camera, check_camera
from worldagen.envs.calvin.package import CalvinEnvError, checkout, load
from worldagen.envs.calvin.stage import Stage, choose_device
from worldagen.types import EnvSpec

_SEED = 0
"""calvin_env's own default; decides where the blocks lie before the first reset, which later contacts still feel."""


_loading = threading.Lock()
"""Simulators of one process may run in several threads."""


class OfficialEngine:
    """See `Engine`. With the software renderer several may live in one process; with OpenGL only one, as the first
    user of PyBullet. Raises CalvinEnvError otherwise, and where there is no whole checkout."""

    def __init__(self, spec: EnvSpec) -> None:
        root = checkout()
        # First, because calvin_env draws with OpenGL only through PyBullet's first connection.
        shown = _build(root, spec) if spec.renderer == "egl" else None
        self._env = _build(root, replace(spec, renderer="tiny"))
        # Raw step() draws every camera; here somebody has to ask for it.
        self._cameras = {camera.name: camera for camera in self._env.cameras}
        self._env.cameras = []
        self.client: Any = self._env.p
        self._stage = Stage(self.client, shown.p) if shown else None
        self.robot_id: int = self._env.robot.robot_uid
        objects = {thing.name: thing.uid for thing in self._env.scene.get_objects()}
        self.body_ids: dict[str, int] = {
            **objects,
            "plane": self.client.getBodyUniqueId(self.client.getNumBodies() - 1),
        }
        self._blocks = [BLOCKS.index(block.name) for block in self._env.scene.movable_objects]
        tasks = _load(root, "tasks/new_playtable_tasks").tasks
        from calvin_env.envs.tasks import Tasks  # importable since `load`

        self._oracle = Tasks(tasks)
        self._info: dict[str, Any] = {}

    @property
    def static_view(self) -> Sequence[float]:
        return self._cameras["static"].viewMatrix

    @static_view.setter
    def static_view(self, matrix: Sequence[float]) -> None:
        self._cameras["static"].viewMatrix = matrix

    def reset(self, robot_obs: np.ndarray, scene_obs: np.ndarray) -> None:
        """Build the scene anew (50 ms): contacts, button states and solver caches survive calvin_env's own reset."""
        env = self._env
        env.seed(_SEED)
        env.scene.np_random = env.np_random
        env.robot.gripper_action = int(robot_obs[14])
        env.load()
        env.reset(np.asarray(robot_obs, np.float64), self._reordered(np.asarray(scene_obs, np.float64), self._blocks))
        self._info = env.get_info()

    def step(self, action: np.ndarray) -> None:
        _, _, _, self._info = self._env.step(np.asarray(action, np.float64))

    def robot_obs(self) -> np.ndarray:
        return self._env.robot.get_observation()[0]

    def scene_obs(self) -> np.ndarray:
        return self._reordered(self._env.scene.get_obs(), np.argsort(self._blocks))

    def target_pose(self) -> np.ndarray:
        return np.array([*self._env.robot.target_pos, *self._env.robot.target_orn])

    def info(self) -> dict[str, Any]:
        return self._info

    def completed(self, start: dict[str, Any], current: dict[str, Any], task: str) -> bool:
        return task in self._oracle.get_task_info_for_set(start, current, {task})

    def achieved(self, start: dict[str, Any], current: dict[str, Any]) -> set[str]:
        """The oracle's own verdict: all tasks achieved between two infos."""
        return self._oracle.get_task_info(start, current)

    def render(self, camera: Camera, size: int) -> np.ndarray:
        """The pixels of calvin_env's own camera."""
        check_camera(camera)
        lens = self._cameras[camera]
        client = self.client
        if self._stage:
            self._stage.update()
            client = self._stage.client
        image = client.getCameraImage(
            width=size,
            height=size,
            viewMatrix=lens.viewMatrix if camera == "static" else self._gripper_view(lens.gripper_cam_link),
            projectionMatrix=client.computeProjectionMatrixFOV(lens.fov, lens.aspect, lens.nearval, lens.farval),
        )
        return np.ascontiguousarray(np.reshape(image[2], (size, size, 4))[:, :, :3], dtype=np.uint8)

    def state_digest(self) -> bytes:
        robot = self._env.robot
        command = np.array([*robot.target_pos, *robot.target_orn, robot.gripper_action])
        return state_bytes(self.client) + self.scene_obs().tobytes() + command.tobytes()

    def close(self) -> None:
        for client in (self.client, *([self._stage.client] if self._stage else [])):
            if client.isConnected():
                client.disconnect()

    def _gripper_view(self, link: int) -> Any:
        """View matrix of the camera on the gripper, which looks along y of its link."""
        position, orientation = self.client.getLinkState(self.robot_id, link)[:2]
        axes = np.reshape(self.client.getMatrixFromQuaternion(orientation), (3, 3))
        return self.client.computeViewMatrix(position, position + axes[:, 1], -axes[:, 2])

    @staticmethod
    def _reordered(scene_obs: np.ndarray, blocks: Any) -> np.ndarray:
        """The block poses of a scene_obs taken in another order; each scene of calvin_env has its own."""
        return np.concatenate([scene_obs[:6], scene_obs[6:].reshape(3, 6)[blocks].ravel()])


def _build(root: Path, spec: EnvSpec) -> Any:
    """The package's PlayTableSimEnv for a scene, configured as its own conf/ does."""
    module = load(root)
    if spec.renderer == "egl":
        if pybullet.isConnected():
            raise CalvinEnvError(
                "calvin_env draws with OpenGL only through PyBullet's first connection, and this process has one "
                "already; use one such environment a process (pool.envs_per_worker=1), or env.renderer=tiny"
            )
        choose_device()

    class PlayTable(module.PlayTableSimEnv):  # type: ignore[name-defined, misc]
        def load(self) -> None:
            """The robot forgets in two places to name its physics server, so the default must be the right one."""
            names = vars(importlib.import_module("calvin_env.robot.robot"))
            with _loading:
                before = names["p"]
                names["p"] = self.p
                try:
                    super().load()
                finally:
                    names["p"] = before

    try:
        env = PlayTable(**_arguments(root, spec))
    except SystemExit as error:  # it ends the process when the renderer is missing
        raise CalvinEnvError("PyBullet could not load its OpenGL renderer; use env.renderer=tiny") from error
    except (OSError, YAMLError, pybullet.error) as error:
        raise CalvinEnvError(
            f"{spec.suite} cannot be built from the checkout {root}, which is damaged "
            f"({' '.join(str(error).split())}); delete it and fetch it again"
        ) from error
    env.close = lambda: None  # its destructor calls this, prints, and disconnects whoever has the number by then
    return env


def _arguments(root: Path, spec: EnvSpec) -> dict[str, Any]:
    """Arguments of PlayTableSimEnv, put together from the checkout's conf/ without hydra's global state."""
    robot: Any = OmegaConf.merge(_load(root, "robot/panda"), _load(root, "robot/panda_longer_finger"))
    OmegaConf.update(robot, "_convert_", "all")  # plain lists: reading OmegaConf's takes a fifth of a control step
    cameras = {name: _load(root, f"cameras/cameras/{name}") for name in ("static", "gripper")}
    sizes = {"static": spec.image_size, "gripper": spec.wrist_image_size or spec.image_size}
    for name, camera in cameras.items():
        camera.width = camera.height = sizes[name]
    scene = _load(root, f"scene/calvin_scene_{spec.suite[-1].upper()}")
    whole = OmegaConf.create(
        {
            "env": _load(root, "env/play_table_env"),
            "robot": robot,
            "scene": scene,
            "cameras": cameras,
            "use_vr": False,
            "data_path": str(root / "data"),
        }
    )
    OmegaConf.resolve(whole)
    arguments = {str(name): value for name, value in whole.env.items() if not str(name).startswith("_")}
    changed = {"seed": _SEED, "show_gui": False, "use_scene_info": True, "use_egl": spec.renderer == "egl"}
    return arguments | changed


def _load(root: Path, name: str) -> Any:
    return OmegaConf.load(root / "conf" / f"{name}.yaml")
