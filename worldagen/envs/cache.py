"""Where generated files are kept between runs."""

import os
from pathlib import Path


def cache_dir() -> Path:
    """Folder for everything that is generated once and reused: WORLDAGEN_CACHE, or ~/.cache/worldagen."""
    return Path(os.environ.get("WORLDAGEN_CACHE") or Path.home() / ".cache" / "worldagen")


def gather_caches() -> None:
    """Make the simulator's libraries keep their caches in ours instead of in the home folder or inside packages.

    Compiled numba functions, Mesa's shaders and matplotlib's folder; a variable that is already set stays as it is.
    To be called before any of them is imported.
    """
    places = {"NUMBA_CACHE_DIR": "numba", "MESA_SHADER_CACHE_DIR": "mesa", "MPLCONFIGDIR": "matplotlib"}
    for variable, folder in places.items():
        os.environ.setdefault(variable, str(cache_dir() / folder))
