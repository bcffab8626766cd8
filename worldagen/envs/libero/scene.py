"""Ground truth of a running LIBERO task: what scripted experts see instead of images."""

from typing import Any

import numpy as np

_TOOL = "gripper0_grip_site"
_FINGERS = "gripper0_finger_joint1", "gripper0_finger_joint2"
_NEARLY_OPEN = 0.07
"""Metres between the fingers; wide open is 0.08."""
_NEARLY_SHUT = 0.0025
"""The rim of a bowl keeps them 0.004 apart."""
_CLOSING = 0.05
"""Metres a second; free fingers close at 0.2."""


class Scene:
    """Reads poses, joints and contacts straight from the simulator; every access is the state of now.

    `domain` is hf-libero's task environment (`BDDLBaseDomain`). Positions are world coordinates in metres.
    """

    def __init__(self, domain: Any) -> None:
        self._domain = domain

    @property
    def _data(self) -> Any:
        return self._domain.sim.data

    @property
    def tool(self) -> np.ndarray:
        """float64 (3,): point between the fingertips."""
        return self._data.get_site_xpos(_TOOL).copy()

    @property
    def tool_rotation(self) -> np.ndarray:
        """float64 (3, 3): columns are the tool's axes; z points out of the hand, x is the axis the fingers move on."""
        return self._data.get_site_xmat(_TOOL).copy()

    def body(self, name: str) -> np.ndarray:
        """float64 (3,): origin of a body, e.g. `flat_stove_1_button`. An object's own body ends in `_main`."""
        return self._data.get_body_xpos(name).copy()

    def body_rotation(self, name: str) -> np.ndarray:
        """float64 (3, 3)."""
        return self._data.get_body_xmat(name).reshape(3, 3).copy()

    def site(self, name: str) -> np.ndarray:
        """float64 (3,): centre of a site, e.g. `flat_stove_1_cook_region`."""
        return self._data.get_site_xpos(name).copy()

    def joint(self, name: str) -> float:
        """Position of a one-axis joint, in metres or radians."""
        return float(self._data.get_joint_qpos(name))

    @property
    def fingers_open(self) -> bool:
        return self._gap > _NEARLY_OPEN

    @property
    def fingers_shut(self) -> bool:
        """True when the fingers hold nothing but each other."""
        return self._gap < _NEARLY_SHUT

    @property
    def fingers_stalled(self) -> bool:
        """True when the fingers have stopped closing, short of open: they met something, or each other."""
        speed = self._data.get_joint_qvel(_FINGERS[0]) - self._data.get_joint_qvel(_FINGERS[1])
        return not self.fingers_open and bool(speed > -_CLOSING)

    @property
    def _gap(self) -> float:
        return self.joint(_FINGERS[0]) - self.joint(_FINGERS[1])
