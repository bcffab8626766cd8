"""Which EGL device is which GPU: the two number them differently on machines with several.

Ray names the GPUs of an actor in CUDA_VISIBLE_DEVICES, MuJoCo is told an index into EGL's list of devices. EGL knows
the CUDA number of each of its devices (extension EGL_NV_device_cuda). `python -m worldagen.envs.egl` prints the lists.
"""

import ctypes
import functools
import itertools
import json
import os
import subprocess
import sys
from dataclasses import asdict, dataclass

from worldagen.errors import WorldagenError

_CUDA_DEVICE = 0x323A
"""EGL_CUDA_DEVICE_NV."""
_MOST_DEVICES = 64
_NONE = ("", "-1", "NoDevFiles")
"""Values of CUDA_VISIBLE_DEVICES for no GPU: Ray's and CUDA's own, and Slurm's."""


class GLError(WorldagenError, RuntimeError):
    """Nothing can render without a display here, or not on the GPU that was asked for. The message says what to do."""


@dataclass(frozen=True)
class Devices:
    """What this machine has, whatever CUDA_VISIBLE_DEVICES says."""

    egl: tuple[int | None, ...]
    """CUDA number of each EGL device; None for one that is no CUDA device (Mesa's software renderer)."""
    cuda: tuple[str, ...]
    """UUID of each CUDA device, `GPU-` and 32 hexadecimal digits in five groups."""

    def __str__(self) -> str:
        egl = [f"{index}: " + ("no GPU" if gpu is None else f"CUDA {gpu}") for index, gpu in enumerate(self.egl)]
        cuda = [f"{index}: {uuid}" for index, uuid in enumerate(self.cuda)]
        return f"EGL devices [{', '.join(egl)}], CUDA devices [{', '.join(cuda)}]"


def requested_gpus(visible: str | None) -> list[str]:
    """The GPUs that a value of CUDA_VISIBLE_DEVICES names; like CUDA, up to the first that is none."""
    return list(itertools.takewhile(lambda name: name not in _NONE, map(str.strip, (visible or "").split(","))))


def egl_devices_of(gpus: list[str], devices: Devices) -> list[int]:
    """EGL index of each GPU, given by number or by UUID (whole or its beginning). Raises GLError naming both lists."""
    return [_egl_index(gpu, devices) for gpu in gpus]


def software_device(devices: Devices) -> int | None:
    """Index of the first EGL device that is no GPU; None when there is none."""
    return next((index for index, gpu in enumerate(devices.egl) if gpu is None), None)


def _egl_index(gpu: str, devices: Devices) -> int:
    numbers = [int(gpu)] if gpu.isdigit() else [n for n, uuid in enumerate(devices.cuda) if uuid.startswith(gpu)]
    found = [index for index, number in enumerate(devices.egl) if number in numbers]
    if len(found) != 1:
        raise GLError(
            f"GPU {gpu!r} (from CUDA_VISIBLE_DEVICES) is {len(found) or 'none'} of the devices that EGL can draw on: "
            f"{devices}. Install NVIDIA's OpenGL libraries (libnvidia-gl; in a container NVIDIA_DRIVER_CAPABILITIES="
            "all), or draw on the CPU: pool.worker_gpus=0, or env.gl=osmesa"
        )
    return found[0]


@functools.cache
def query_devices() -> Devices:
    """Ask EGL and CUDA in a process of its own: without CUDA_VISIBLE_DEVICES, by which they renumber, and because a
    broken driver may end it. Raises GLError when EGL cannot be asked."""
    environment = {name: value for name, value in os.environ.items() if name != "CUDA_VISIBLE_DEVICES"}
    try:
        done = subprocess.run(
            [sys.executable, "-m", __name__, "--json"], env=environment, capture_output=True, text=True, timeout=60
        )
    except subprocess.TimeoutExpired as error:
        raise GLError(
            "EGL did not list its devices within 60 s: restart the GPU driver, or use env.gl=osmesa"
        ) from error
    if done.returncode:
        lines = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        raise GLError(f"EGL cannot list its devices ({lines[-1]}); use env.gl=osmesa")
    lists = json.loads(done.stdout)
    return Devices(tuple(lists["egl"]), tuple(lists["cuda"]))


def _ask_egl() -> list[int | None]:
    egl = ctypes.CDLL("libEGL.so.1")
    egl.eglGetProcAddress.restype = ctypes.c_void_p
    egl.eglGetProcAddress.argtypes = [ctypes.c_char_p]
    pointers = ctypes.POINTER(ctypes.c_void_p)
    listing = ctypes.CFUNCTYPE(ctypes.c_uint, ctypes.c_int, pointers, ctypes.POINTER(ctypes.c_int))
    attribute = ctypes.CFUNCTYPE(ctypes.c_uint, ctypes.c_void_p, ctypes.c_int, ctypes.POINTER(ctypes.c_ssize_t))
    addresses = [egl.eglGetProcAddress(name) for name in (b"eglQueryDevicesEXT", b"eglQueryDeviceAttribEXT")]
    if not all(addresses):
        raise OSError("libEGL lacks EGL_EXT_device_enumeration or EGL_EXT_device_query")
    handles, count = (ctypes.c_void_p * _MOST_DEVICES)(), ctypes.c_int()
    if not listing(addresses[0])(_MOST_DEVICES, handles, ctypes.byref(count)):
        raise OSError("eglQueryDevicesEXT failed")
    devices: list[int | None] = []
    for handle in handles[: count.value]:
        value = ctypes.c_ssize_t()
        known = attribute(addresses[1])(handle, _CUDA_DEVICE, ctypes.byref(value))
        devices.append(value.value if known else None)
    return devices


def _ask_cuda() -> list[str]:
    """UUIDs by CUDA number; empty where there is no NVIDIA driver."""
    try:
        cuda = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return []
    count = ctypes.c_int()
    if cuda.cuInit(0) or cuda.cuDeviceGetCount(ctypes.byref(count)):
        return []
    uuids = []
    for number in range(count.value):
        device, uuid = ctypes.c_int(), (ctypes.c_ubyte * 16)()
        if cuda.cuDeviceGet(ctypes.byref(device), number) or cuda.cuDeviceGetUuid(uuid, device):
            raise OSError(f"CUDA cannot describe device {number}")
        text = bytes(uuid).hex()
        uuids.append("GPU-" + "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:])))
    return uuids


if __name__ == "__main__":
    machine = Devices(tuple(_ask_egl()), tuple(_ask_cuda()))
    print(json.dumps(asdict(machine)) if "--json" in sys.argv else machine)
