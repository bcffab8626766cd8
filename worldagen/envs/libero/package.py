"""The installed benchmark packages: where hf-libero is, and importing it and robosuite without their side effects.

Left to themselves they ask a question on stdin, write a configuration file to the home folder and append to one log
file in /tmp for all users. Nothing in them is changed here; they are only told otherwise before they are imported.
"""

import importlib
import importlib.util
import json
import logging
import os
import sys
import tempfile
import threading
import types
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from worldagen.envs.cache import gather_caches
from worldagen.envs.gl import BACKENDS, choose_gl, select_gl

logger = logging.getLogger(__name__)
_IMPORTING = threading.Lock()
"""Simulators may be built in several threads of one process."""


def find_package(name: str = "libero") -> Path:
    """Folder of an installed package, found without importing it. Raises ImportError when it is not installed."""
    spec = importlib.util.find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        raise ImportError(f"{name} is not installed; run `pip install --no-deps -r requirements-libero.txt`")
    return Path(next(iter(spec.submodule_search_locations)))


def benchmark_root() -> Path:
    """Folder that holds bddl_files, init_files and the benchmark's tables."""
    return find_package() / "libero"


def prepare(assets_path: Path) -> None:
    """Import hf-libero and robosuite in this process, with the assets at `assets_path`.

    Chooses an OpenGL backend when MUJOCO_GL names none. A later call only changes the assets. Raises ImportError when
    the packages are missing and GLError when nothing can render.
    """
    with _IMPORTING:
        if "libero.libero" not in sys.modules:
            backend = os.environ.get("MUJOCO_GL", "")
            select_gl(backend if backend in BACKENDS else choose_gl())
            gather_caches()
            _log_mujoco_warnings()
            _preset_robosuite_macros()
            _import_libero(assets_path)
    sys.modules["libero.libero"].__dict__["_assets_path_cache"] = str(assets_path)
    with _without("CUDA_VISIBLE_DEVICES"):  # robosuite insists on an EGL device that CUDA knows by the same number
        importlib.import_module("libero.libero.envs")


@contextmanager
def _without(variable: str) -> Iterator[None]:
    value = os.environ.pop(variable, None)
    try:
        yield
    finally:
        if value is not None:
            os.environ[variable] = value


def _log_mujoco_warnings() -> None:
    """MuJoCo's warnings go to our log; by default it appends them to MUJOCO_LOG.TXT in the working folder."""
    importlib.import_module("mujoco").set_mju_user_warning(logger.warning)


def _preset_robosuite_macros() -> None:
    """Load robosuite's settings ahead of robosuite, whose import opens /tmp/robosuite.log as they say."""
    spec = importlib.util.spec_from_file_location("robosuite.macros", find_package("robosuite") / "macros.py")
    assert spec is not None and spec.loader is not None
    macros = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(macros)
    macros.__dict__["FILE_LOGGING_LEVEL"] = None
    sys.modules["robosuite.macros"] = macros
    sys.modules["robosuite.macros_private"] = types.ModuleType("robosuite.macros_private")  # else it warns thrice


def _import_libero(assets_path: Path) -> None:
    """Import libero.libero with a configuration of its own, which it reads during the import and not again."""
    root = benchmark_root()
    paths = {
        "benchmark_root": root,
        "bddl_files": root / "bddl_files",
        "init_states": root / "init_files",
        "datasets": root.parent / "datasets",
        "assets": assets_path,
    }
    with tempfile.TemporaryDirectory(prefix="worldagen-libero-") as folder:
        # JSON is YAML.
        Path(folder, "config.yaml").write_text(json.dumps({name: str(path) for name, path in paths.items()}))
        os.environ["LIBERO_CONFIG_PATH"] = folder
        importlib.import_module("libero.libero")
    del os.environ["LIBERO_CONFIG_PATH"]
