"""Drawing with OpenGL: a PyBullet connection that never simulates and only shows what another one does.

An exact reset loads the scene anew, and PyBullet's OpenGL renderer keeps what was loaded before (11 MB each time). So
the scene that is drawn is loaded once, and its bodies are put to where the simulated ones are. For a given scene its
pixels are those of drawing in the simulation itself.
"""

import os
from typing import Any

from worldagen.envs.egl import GLError
from worldagen.envs.gl import APT_LINE, egl_device, probe

_DEVICE_VARIABLE = "EGL_VISIBLE_DEVICES"
"""PyBullet's; an index into EGL's list of devices."""
_PROBE = """
import importlib.util, pybullet
pybullet.connect(pybullet.DIRECT)
plugin = importlib.util.find_spec("eglRenderer")
assert plugin is not None and plugin.origin is not None, "this pybullet has no eglRenderer"
assert pybullet.loadPlugin(plugin.origin, "_eglRendererPlugin") >= 0, "eglRenderer could not be loaded"
pybullet.getCameraImage(8, 8)
"""
_WARM_UP = 3
"""Frames until the renderer draws the same picture for the same scene; the first ones lack shadows."""


def choose_device() -> None:
    """Choose the GPU (or the CPU) that PyBullet draws on in this process; before it connects."""
    os.environ[_DEVICE_VARIABLE] = egl_device(os.environ.get(_DEVICE_VARIABLE))


def check_opengl() -> None:
    """Raise GLError when PyBullet cannot draw with OpenGL on this machine."""
    failure = probe(_PROBE, {_DEVICE_VARIABLE: egl_device(os.environ.get(_DEVICE_VARIABLE))})
    if failure is not None:
        raise GLError(
            f"PyBullet cannot draw with OpenGL here ({failure}). Install what is missing with:\n  {APT_LINE}\n"
            "or use its software renderer, env.renderer=tiny"
        )


class Stage:
    """Shows the bodies of the physics server `simulated` in `client`, which holds the same ones under the same ids."""

    def __init__(self, simulated: Any, client: Any) -> None:
        self._simulated, self.client = simulated, client
        self._colours: dict[tuple[int, int], Any] = {}
        for _ in range(_WARM_UP):
            client.getCameraImage(64, 64)

    def update(self) -> None:
        """Take over poses, joint positions and colours."""
        source, target = self._simulated, self.client
        for body in map(source.getBodyUniqueId, range(source.getNumBodies())):
            target.resetBasePositionAndOrientation(body, *source.getBasePositionAndOrientation(body))
            for joint in range(source.getNumJoints(body)):
                target.resetJointState(body, joint, source.getJointState(body, joint)[0])
            for _, link, *_, colour in (shape[:8] for shape in source.getVisualShapeData(body)):
                if self._colours.get((body, link)) != colour:
                    target.changeVisualShape(body, link, rgbaColor=colour)
                    self._colours[body, link] = colour
