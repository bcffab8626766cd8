"""The choice of an OpenGL backend, with real probes where a library is present or made to look absent."""

import os
import subprocess
import sys

import pytest

from worldagen.envs import gl
from worldagen.envs.egl import Devices, query_devices


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
    monkeypatch.setattr(
        gl, "probe", lambda code, environment: None if environment["MUJOCO_GL"] == "osmesa" else "no EGL"
    )
    assert gl.choose_gl() == "osmesa"
    assert os.environ["MUJOCO_GL"] == "osmesa" and "MUJOCO_EGL_DEVICE_ID" not in os.environ


def test_a_backend_that_was_asked_for_is_never_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gl, "probe", lambda code, environment: "broken" if environment["MUJOCO_GL"] == "egl" else None)
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


CROSSED = Devices(egl=(2, 0, None, 1), cuda=("GPU-aaaa-0", "GPU-aabb-1", "GPU-cccc-2"))
"""Three GPUs that EGL lists in another order, and a software renderer among them."""


@pytest.mark.parametrize(
    ("visible", "inherited", "device"),
    [
        (None, None, "0"),
        (None, "3", "3"),
        ("0", None, "1"),
        ("1", "0", "3"),
        ("2", "3", "0"),
        ("1,2", "0", "0"),
        ("1,2", None, "3"),
        ("GPU-aaaa-0", None, "1"),
        ("GPU-cc,1", None, "0"),
        ("", "0", "2"),
        ("-1", None, "2"),
        ("NoDevFiles", None, "2"),
        ("1,-1,0", "1", "3"),
    ],
)
def test_the_egl_device_is_the_gpu_of_this_process(
    monkeypatch: pytest.MonkeyPatch, visible: str | None, inherited: str | None, device: str
) -> None:
    monkeypatch.setattr(gl, "query_devices", lambda: CROSSED)
    given = {"CUDA_VISIBLE_DEVICES": visible, "MUJOCO_EGL_DEVICE_ID": inherited}
    os.environ.update({name: value for name, value in given.items() if value is not None})
    gl.select_gl("egl")
    assert os.environ["MUJOCO_EGL_DEVICE_ID"] == device


@pytest.mark.parametrize("visible", ["3", "GPU-dddd", "GPU-aa", "MIG-1234", "0,7"])
def test_a_gpu_that_egl_does_not_have_is_an_error_naming_both_lists(
    monkeypatch: pytest.MonkeyPatch, visible: str
) -> None:
    monkeypatch.setattr(gl, "query_devices", lambda: CROSSED)
    os.environ["CUDA_VISIBLE_DEVICES"] = visible
    with pytest.raises(
        gl.GLError, match=r"EGL devices \[0: CUDA 2, 1: CUDA 0, 2: no GPU, .*CUDA devices \[0: GPU-aaaa"
    ):
        gl.select_gl("egl")
    gl.select_gl("osmesa")


def test_auto_goes_on_to_a_backend_that_needs_no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gl, "query_devices", lambda: Devices(egl=(None,), cuda=("GPU-aaaa-0",)))
    monkeypatch.setattr(gl, "probe", lambda code, environment: None)
    os.environ["CUDA_VISIBLE_DEVICES"] = "0"
    assert gl.choose_gl() == "osmesa"
    with pytest.raises(gl.GLError, match=r"GPU '0' .* is none of the devices"):
        gl.choose_gl("egl")


def test_no_gpu_and_no_software_renderer_is_announced(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(gl, "query_devices", lambda: Devices(egl=(1, 0), cuda=("GPU-a", "GPU-b")))
    os.environ["CUDA_VISIBLE_DEVICES"] = ""
    gl.select_gl("egl")
    assert "EGL has nothing else to draw on: EGL devices [0: CUDA 1, 1: CUDA 0]" in caplog.text


def test_this_machines_devices_are_listed_whatever_cuda_may_see() -> None:
    seen = query_devices()
    assert seen.egl, "EGL lists at least a software renderer"
    numbers = [number for number in seen.egl if number is not None]
    assert len(set(numbers)) == len(numbers) and set(numbers) <= set(range(len(seen.cuda)))
    os.environ["CUDA_VISIBLE_DEVICES"] = "GPU-nobody-has-this"
    query_devices.cache_clear()
    assert query_devices() == seen
