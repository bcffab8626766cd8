"""CALVIN's two cameras, at any size."""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from worldagen.envs.calvin.native.robot import Panda

Camera = Literal["static", "gripper"]
_LOOK_FROM = (2.871459009488717, -2.166602199425597, 2.555159848480571)
_LOOK_AT = (-0.026242351159453392, -0.0302329882979393, 0.3920000493526459)
_UP = (0.4041403970338857, 0.22629790978217404, 0.8862616969685161)
_STATIC_LENS = {"fov": 10, "aspect": 1, "nearVal": 0.01, "farVal": 10}
_GRIPPER_LENS = {"fov": 75, "aspect": 1, "nearVal": 0.01, "farVal": 2}


def render(client: Any, robot: Panda, camera: Camera, size: int, static_view: Sequence[float]) -> np.ndarray:
    """uint8 (size, size, 3). The view has no camera of its own for other names: raises KeyError."""
    lens = {"static": _STATIC_LENS, "gripper": _GRIPPER_LENS}[camera]
    view = static_view if camera == "static" else _gripper_view(client, robot)
    image = client.getCameraImage(
        width=size, height=size, viewMatrix=view, projectionMatrix=client.computeProjectionMatrixFOV(**lens)
    )
    return np.ascontiguousarray(np.reshape(image[2], (size, size, 4))[:, :, :3])


def static_view(client: Any) -> tuple[float, ...]:
    """OpenGL view matrix of CALVIN's static camera."""
    return client.computeViewMatrix(_LOOK_FROM, _LOOK_AT, _UP)


def _gripper_view(client: Any, robot: Panda) -> tuple[float, ...]:
    position, rotation = robot.camera_pose()
    return client.computeViewMatrix(position, position + rotation[:, 1], -rotation[:, 2])
