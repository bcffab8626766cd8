"""Headless OpenGL for MuJoCo: which backend works on this machine.

MuJoCo and robosuite read MUJOCO_GL once, when they are first imported, and a backend that cannot be loaded can take the
process down with it. So each candidate is tried in a process of its own, before either is imported here.
`python -m worldagen.envs.gl [--quiet]` exits with 1 when none works.
"""

import logging
import os
import subprocess
import sys

from worldagen.envs.cache import gather_caches
from worldagen.envs.egl import GLError, egl_devices_of, query_devices, requested_gpus, software_device

logger = logging.getLogger(__name__)

BACKENDS = ("egl", "osmesa")
"""In order of preference. On a CPU both use Mesa's llvmpipe (same pixels, same speed); only EGL can use a GPU."""

APT_LINE = (
    "sudo apt-get update && sudo apt-get install -y --no-install-recommends "
    "libosmesa6 libegl1 libegl-mesa0 libopengl0 libgl1-mesa-dri"
)

_PROBE = """
import mujoco
model = mujoco.MjModel.from_xml_string(
    '<mujoco><worldbody><light pos="0 0 3"/><geom size="1" rgba="1 1 1 1"/></worldbody></mujoco>'
)
data = mujoco.MjData(model)
mujoco.mj_forward(model, data)
renderer = mujoco.Renderer(model, 16, 16)
renderer.update_scene(data)
image = renderer.render()
renderer.close()
assert image.max() > 0, "the test image is black"
"""


def choose_gl(choice: str = "auto") -> str:
    """Choose a backend that renders here; set MUJOCO_GL (and, for EGL, its device) for this process and its children.

    `choice` is `egl`, `osmesa`, or `auto`: what MUJOCO_GL names if it is one of them, else the first that works.
    Returns the backend. Raises ValueError for an unknown choice and GLError when none works.
    """
    if choice not in ("auto", *BACKENDS):
        raise ValueError(f"unknown OpenGL backend {choice!r}; use auto, {' or '.join(BACKENDS)}")
    if choice == "auto" and os.environ.get("MUJOCO_GL") in BACKENDS:
        choice = os.environ["MUJOCO_GL"]
    gather_caches()
    failures = {}
    for backend in BACKENDS if choice == "auto" else (choice,):
        try:
            failure = probe(_PROBE, _environment(backend))
        except GLError as error:  # another backend may work
            failure = str(error)
        if failure is None:
            select_gl(backend)
            logger.info("rendering with %s", backend)
            return backend
        failures[backend] = failure
    raise GLError(_message(failures))


def select_gl(backend: str) -> None:
    """Select a backend that is known to work for this process and its children.

    With EGL: the device of a GPU that CUDA_VISIBLE_DEVICES names, else the software renderer. Raises GLError when the
    GPU is none of EGL's devices.
    """
    os.environ.update(_environment(backend))


def _environment(backend: str) -> dict[str, str]:
    """The variables that select `backend` in MuJoCo, robosuite and PyOpenGL."""
    environment = {"MUJOCO_GL": backend, "PYOPENGL_PLATFORM": backend}
    if backend == "egl":
        environment["MUJOCO_EGL_DEVICE_ID"] = egl_device(os.environ.get("MUJOCO_EGL_DEVICE_ID"))
    return environment


def egl_device(inherited: str | None) -> str:
    """Index of the EGL device for this process, announced where it is chosen: `inherited` may be the driver's.

    Where nobody speaks of GPUs (CUDA_VISIBLE_DEVICES is not set) it stays; among several GPUs it stays if it is one.
    """
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is None:
        return inherited or "0"
    gpus = requested_gpus(visible)
    if gpus:
        indices = [str(index) for index in egl_devices_of(gpus, query_devices())]
        chosen = inherited if inherited in indices else indices[0]
        logger.info("rendering on GPU %s, which is EGL device %s", gpus[indices.index(chosen)], chosen)
        return chosen
    software = software_device(query_devices())
    if software is None:
        logger.warning("no GPU is given to this process, but EGL has nothing else to draw on: %s", query_devices())
        return inherited or "0"
    logger.info("no GPU is given to this process: rendering on the CPU, EGL device %d", software)
    return str(software)


def probe(code: str, environment: dict[str, str], timeout: float = 120.0) -> str | None:
    """Run `code`, which renders an image, in a new process, since what is missing may take the process down with it.
    Returns None when that works, else the last line of what went wrong."""
    try:
        done = subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout,
        )
    except subprocess.TimeoutExpired:
        return f"no image within {timeout:.0f} s"
    if done.returncode == 0:
        return None
    lines = done.stderr.strip().splitlines()
    return lines[-1] if lines else f"exit code {done.returncode}"


def _message(failures: dict[str, str]) -> str:
    tried = "\n".join(f"  {backend}: {failure}" for backend, failure in failures.items())
    return f"no OpenGL backend can render without a display here:\n{tried}\nInstall one with:\n  {APT_LINE}"


if __name__ == "__main__":
    quiet = "--quiet" in sys.argv
    try:
        found = choose_gl()
    except GLError as error:
        sys.exit(1 if quiet else str(error))
    if not quiet:
        print(f"OpenGL: {found}")
