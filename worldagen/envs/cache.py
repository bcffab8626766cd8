"""Where generated files are kept between runs."""

import functools
import hashlib
import os
from collections.abc import Callable
from pathlib import Path

from worldagen.atomic import first_folder


def cache_dir() -> Path:
    """Folder for everything that is generated once and reused: WORLDAGEN_CACHE, or ~/.cache/worldagen."""
    return Path(os.environ.get("WORLDAGEN_CACHE") or Path.home() / ".cache" / "worldagen")


def generated(name: str, sources: Path, write: Callable[[Path], None]) -> Path:
    """The folder `name-VERSION` in our cache, filled by `write` now if no process has done so yet.

    VERSION is a hash of the Python files under `sources`: a changed generator writes a new folder.
    """
    target = cache_dir() / f"{name}-{_version(sources)}"
    if not target.is_dir():
        with first_folder(target) as partial:
            write(partial)
    return target


@functools.cache
def _version(sources: Path) -> str:
    return hashlib.sha256(b"".join(file.read_bytes() for file in sorted(sources.rglob("*.py")))).hexdigest()[:12]


def gather_caches() -> None:
    """Make the simulator's libraries keep their caches in ours instead of in the home folder or inside packages.

    Compiled numba functions, Mesa's shaders and matplotlib's folder; a variable that is already set stays as it is.
    To be called before any of them is imported.
    """
    places = {"NUMBA_CACHE_DIR": "numba", "MESA_SHADER_CACHE_DIR": "mesa", "MPLCONFIGDIR": "matplotlib"}
    for variable, folder in places.items():
        os.environ.setdefault(variable, str(cache_dir() / folder))
