"""The choice of an OpenGL backend, with real probes where a library is present or made to look absent."""

import os
import subprocess
import sys

import pytest

from worldagen.envs import gl


@pytest.fixture(autouse=True)
def own_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "environ", os.environ.copy())
    for name in ("MUJOCO_GL", "PYOPENGL_PLATFORM", "MUJOCO_EGL_DEVICE_ID", "CUDA_VISIBLE_DEVICES"):
        os.environ.pop(name, None)


def test_auto_finds_a_backend_that_renders() -> None:
    found = gl.choose_gl()
    assert found in gl.BACKENDS
    assert os.environ["MUJOCO_GL"] == found


def test_auto_falls_through_to_the_next_and_keeps_the_environment_of_the_one_that_works(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(gl, "_probe", lambda environment: None if environment["MUJOCO_GL"] == "osmesa" else "no EGL")
    assert gl.choose_gl() == "osmesa"
    assert os.environ["MUJOCO_GL"] == "osmesa" and "MUJOCO_EGL_DEVICE_ID" not in os.environ


def test_a_backend_that_was_asked_for_is_never_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gl, "_probe", lambda environment: "broken" if environment["MUJOCO_GL"] == "egl" else None)
    with pytest.raises(gl.GLError, match="egl: broken"):
        gl.choose_gl("egl")
    os.environ["MUJOCO_GL"] = "egl"
    with pytest.raises(gl.GLError, match="egl: broken"):
        gl.choose_gl("auto")


def test_unknown_backend() -> None:
    with pytest.raises(ValueError, match="unknown OpenGL backend 'vulkan'; use auto, egl or osmesa"):
        gl.choose_gl("vulkan")


def test_without_libraries_the_error_prints_the_line_that_installs_them() -> None:
    code = (
        "import worldagen.envs.gl as gl\ngl._PROBE = 'import ctypes; ctypes.CDLL(\"libno-such-gl.so\")'\ngl.choose_gl()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=os.environ)
    assert done.returncode == 1
    assert done.stderr.rstrip().endswith("libosmesa6 libegl1 libegl-mesa0 libopengl0 libgl1-mesa-dri")
    assert "egl: OSError: libno-such-gl.so" in done.stderr and "osmesa: OSError" in done.stderr


@pytest.mark.parametrize(
    ("visible", "inherited", "device"),
    [(None, None, "0"), ("", None, "0"), ("", "1", "1"), ("3", None, "3"), ("3", "0", "3"), ("2,3", "3", "3")],
)
def test_the_egl_device_is_one_that_robosuite_accepts(visible: str | None, inherited: str | None, device: str) -> None:
    given = {"CUDA_VISIBLE_DEVICES": visible, "MUJOCO_EGL_DEVICE_ID": inherited}
    os.environ.update({name: value for name, value in given.items() if value is not None})
    gl.select_gl("egl")
    assert os.environ["MUJOCO_EGL_DEVICE_ID"] == device
