"""The Panda arm under CALVIN's control: relative Cartesian actions on a running target pose."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from worldagen.envs.calvin.native.errors import NativeError
from worldagen.envs.calvin.native.urdfs import load_urdf

BASE_POSITION = (-0.34, -0.46, 0.24)
_PEDESTAL_POSITION = (BASE_POSITION[0] - 0.05, BASE_POSITION[1], 0.0)
_PEDESTAL_RADIUS = 0.13
HOME = (-1.21779206, 1.03987646, 2.11978261, -2.34205014, -0.87015947, 1.64119353, 0.55344866)
"""Arm joints at the start of an episode that names none, rad; also where the IK's null space pulls to."""
ARM = tuple(range(7))
FINGERS = (9, 11)
TCP_LINK, CAMERA_LINK = 15, 14
METRES_PER_UNIT, RADIANS_PER_UNIT = 0.02, 0.05
FINGER_OPEN, FINGER_CLOSED = 0.04, 0.0
_ARM_FORCE, _ARM_VELOCITY = 200.0, 2
_GRIPPER_FORCE, _OPENING_FORCE, _GRIPPER_VELOCITY = 200, 2.0, 1
_LOWER = np.array([-2.8973, -1.7628, -2.8973, -3.0718, -2.8973, -0.0175, -2.8973])
_UPPER = np.array([2.8973, 1.7628, 2.8973, -0.0698, 2.8973, 3.7525, 2.8973])
_DOFS = len(ARM) + len(FINGERS)


class Panda:
    """One arm in one client. Loading it also puts up its pedestal and gears the fingers together."""

    def __init__(self, client: Any, urdf: Path, pedestal: Path | None) -> None:
        self._client = client
        self.id = load_urdf(client, urdf, basePosition=BASE_POSITION, useFixedBase=True)
        self.gripper_action = 1
        self._target_position, self._target_euler = np.zeros(3), np.zeros(3)
        if pedestal:
            load_urdf(client, pedestal, basePosition=_PEDESTAL_POSITION, useFixedBase=True)
        else:
            _draw_pedestal(client)
        gear = client.createConstraint(
            self.id, FINGERS[0], self.id, FINGERS[1], client.JOINT_GEAR, [1, 0, 0], [0, 0, 0], [0, 0, 0]
        )
        client.changeConstraint(gear, gearRatio=-1, erp=0.1, maxForce=50)
        self._place(HOME, FINGER_OPEN)

    def reset(self, robot_obs: np.ndarray) -> None:
        """Put arm joints and fingers where robot_obs (15,) has them, and hold them there."""
        self._place(robot_obs[7:14], robot_obs[6] / 2)
        self.gripper_action = int(robot_obs[14])

    def _place(self, arm: Iterable[float], finger: float) -> None:
        for joint, angle in zip(ARM, arm, strict=True):
            self._client.resetJointState(self.id, joint, angle)
            self._move(joint, angle, _ARM_FORCE, _ARM_VELOCITY)
        for joint in FINGERS:
            self._client.resetJointState(self.id, joint, finger)
            self._move(joint, finger, _GRIPPER_FORCE, _GRIPPER_VELOCITY)
        position, euler = self._tcp()
        self._target_position, self._target_euler = np.array(position), np.array(euler)

    def act(self, action: np.ndarray) -> None:
        """Set the motors for one relative Cartesian action. Raises NativeError for one that CALVIN does not define."""
        check_action(action)
        self._target_position += action[:3] * METRES_PER_UNIT  # in the precision of the action, as in calvin_env
        self._target_euler += action[3:6] * RADIANS_PER_UNIT
        self.gripper_action = int(action[6])
        for joint, angle in zip(ARM, self._inverse_kinematics(), strict=True):
            self._move(joint, angle, _ARM_FORCE, _ARM_VELOCITY)
        opening = self.gripper_action == 1
        for joint in FINGERS:
            force = _OPENING_FORCE if opening else _GRIPPER_FORCE
            self._move(joint, FINGER_OPEN if opening else FINGER_CLOSED, force, _GRIPPER_VELOCITY)

    def observation(self) -> np.ndarray:
        """float64 (15,): tool position (3) m, Euler angles (3) rad, gripper width m, arm joints (7) rad, last gripper
        action."""
        position, euler = self._tcp()
        return np.array([*position, *euler, self._width(), *self._arm(), self.gripper_action])

    def target_pose(self) -> np.ndarray:
        """float64 (6,): position m and Euler angles rad that the next action adds to."""
        return np.array([*self._target_position, *self._target_euler])

    def info(self) -> dict[str, Any]:
        position, euler = self._tcp()
        return {
            "tcp_pos": position,
            "tcp_orn": euler,
            "gripper_opening_width": self._width(),
            "arm_joint_states": self._arm(),
            "gripper_action": self.gripper_action,
            "uid": self.id,
            "contacts": self._client.getContactPoints(bodyA=self.id),
        }

    def command(self) -> np.ndarray:
        """float64 (7,): the running target pose (position m, Euler angles rad) and the last gripper action."""
        return np.array([*self._target_position, *self._target_euler, self.gripper_action])

    def camera_pose(self) -> tuple[np.ndarray, np.ndarray]:
        """Position (3,) and rotation matrix (3, 3) of the camera on the hand."""
        position, quaternion = self._client.getLinkState(self.id, CAMERA_LINK)[:2]
        return np.array(position), np.array(self._client.getMatrixFromQuaternion(quaternion)).reshape(3, 3)

    def _move(self, joint: int, position: float, force: float, velocity: float) -> None:
        self._client.setJointMotorControl2(
            self.id,
            joint,
            self._client.POSITION_CONTROL,
            targetPosition=position,
            force=force,
            maxVelocity=velocity,
        )

    def _inverse_kinematics(self) -> np.ndarray:
        wide = [7] * _DOFS
        joints = self._client.calculateInverseKinematics(
            self.id,
            TCP_LINK,
            self._target_position,
            self._client.getQuaternionFromEuler(self._target_euler),
            [-7] * _DOFS,
            wide,
            wide,
            [*HOME, FINGER_OPEN, FINGER_OPEN],
        )
        return np.clip(joints[: len(ARM)], _LOWER, _UPPER)

    def _tcp(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        position, quaternion = self._client.getLinkState(self.id, TCP_LINK)[:2]
        return position, self._client.getEulerFromQuaternion(quaternion)

    def _width(self) -> float:
        left, right = self._client.getJointStates(self.id, FINGERS)
        return left[0] + right[0]

    def _arm(self) -> list[float]:
        return [state[0] for state in self._client.getJointStates(self.id, ARM)]


def _draw_pedestal(client: Any) -> None:
    """As calvin_env does it: to be seen, not touched."""
    x, y, _ = _PEDESTAL_POSITION
    shape = client.createVisualShape(
        client.GEOM_CYLINDER,
        rgbaColor=[1, 1, 1, 1],
        radius=_PEDESTAL_RADIUS,
        length=BASE_POSITION[2],
        visualFramePosition=[x, y, BASE_POSITION[2] / 2],
    )
    client.createMultiBody(baseVisualShapeIndex=shape)


def check_action(action: np.ndarray) -> None:
    """Raise NativeError unless `action` is a finite floating-point (7,) whose gripper value is exactly -1 or 1."""
    if not isinstance(action, np.ndarray) or action.shape != (7,) or not np.issubdtype(action.dtype, np.floating):
        given = f"{action.dtype} {action.shape}" if isinstance(action, np.ndarray) else repr(action)
        raise NativeError(f"an action must be a floating-point array of shape (7,), got {given}")
    if not np.isfinite(action).all():
        raise NativeError(f"an action must be finite, got {action}")
    if action[6] not in (-1, 1):
        raise NativeError(f"the gripper action must be -1 (close) or 1 (open), got {action[6]}; threshold it first")
