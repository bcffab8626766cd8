"""The calvin_env package: finding or fetching a checkout of it, and importing it unmodified.

It is on no package index, and its configuration and assets lie beside the package, so a checkout is needed.
"""

import importlib
import importlib.util
import logging
import os
import shutil
import subprocess
import sys
import types
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from worldagen.atomic import first_folder
from worldagen.envs.cache import cache_dir
from worldagen.errors import WorldagenError

logger = logging.getLogger(__name__)

URL = "https://github.com/mees/calvin_env.git"
COMMIT = "797142c588c21e76717268b7b430958dbd13bf48"
ROOT_VARIABLE = "CALVIN_ENV_ROOT"
_NEEDED = ("calvin_env/envs/play_table_env.py", "conf/env/play_table_env.yaml", "conf/tasks/new_playtable_tasks.yaml")
_NEEDED_DATA = ("data/calvin_table_D/urdf", "data/blocks", "data/plane/plane.urdf", "data/franka_panda")
_REMEDY = (
    f"run `python -m worldagen.envs.calvin install`, or name a checkout of {URL} in env.calvin_root or {ROOT_VARIABLE}"
)


class CalvinEnvError(WorldagenError, RuntimeError):
    """calvin_env is missing, incomplete, or cannot be used in this process. The message names the remedy."""


def installed_path(commit: str = COMMIT) -> Path:
    """Where `install` puts a checkout."""
    return cache_dir() / f"calvin_env-{commit[:12]}"


def find_checkout(calvin_root: str = "") -> Path | None:
    """The checkout in `calvin_root`, else in CALVIN_ENV_ROOT, else the installed one; None where there is none.

    Raises CalvinEnvError when a named folder holds no whole checkout.
    """
    named = calvin_root or os.environ.get(ROOT_VARIABLE, "")
    if named:
        return check_checkout(Path(named).expanduser().resolve(), "env.calvin_root" if calvin_root else ROOT_VARIABLE)
    return check_checkout(installed_path(), "the cache") if installed_path().is_dir() else None


def checkout() -> Path:
    """The checkout in use. Raises CalvinEnvError when there is none."""
    found = find_checkout()
    if found is None:
        raise CalvinEnvError(f"calvin_env was not found; {_REMEDY}, or use env.engine=native")
    return found


def check_checkout(path: Path, named_by: str) -> Path:
    """Return `path` if it is a whole checkout of calvin_env, else raise CalvinEnvError saying what is missing."""
    for kind, needed in (
        ("no checkout of calvin_env", _NEEDED),
        ("a checkout of calvin_env without its data", _NEEDED_DATA),
    ):
        missing = [name for name in needed if not (path / name).exists()]
        if missing:
            raise CalvinEnvError(f"{path} (from {named_by}) is {kind}: {', '.join(missing)} missing; {_REMEDY}")
    return path


def install(url: str = URL, commit: str = COMMIT) -> Path:
    """Clone calvin_env at the pinned commit into our cache, unless it is there; returns the checkout.

    Its submodule (a tactile sensor) is not needed. Raises CalvinEnvError when git or the repository cannot be had.
    """
    target = installed_path(commit)
    if target.is_dir():
        return check_checkout(target, "the cache")
    if shutil.which("git") is None:
        raise CalvinEnvError("git was not found on this machine; install it (`sudo apt-get install -y git`)")
    with first_folder(target) as partial:
        _git("clone", "--quiet", "--no-checkout", url, str(partial), what=f"cloning {url}")
        _git("-C", str(partial), "checkout", "--quiet", "--detach", commit, what=f"checking out {commit} of {url}")
        check_checkout(partial, url)
    return target


def _git(*arguments: str, what: str) -> None:
    environment = {**os.environ, "GIT_TERMINAL_PROMPT": "0"}  # a wrong address must fail, not ask for a password
    done = subprocess.run(
        ["git", *arguments], env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True
    )
    if done.returncode:
        raise CalvinEnvError(
            f"{what} failed: {done.stderr.strip()}\nCheck the network, or clone it elsewhere, copy it here and name "
            f"the folder in env.calvin_root or {ROOT_VARIABLE}"
        )


def load(root: Path) -> types.ModuleType:
    """Import the package of the checkout `root`; returns its module `envs.play_table_env`.

    sys.path and the other modules of the process stay as they are. Raises CalvinEnvError when another copy of
    calvin_env has been imported before.
    """
    loaded = sys.modules.get("calvin_env")
    if loaded is None:
        init = root / "calvin_env" / "__init__.py"
        spec = importlib.util.spec_from_file_location("calvin_env", init, submodule_search_locations=[str(init.parent)])
        assert spec is not None and spec.loader is not None
        loaded = sys.modules["calvin_env"] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(loaded)
    elif Path(str(loaded.__file__)).resolve().parents[1] != root:
        raise CalvinEnvError(f"calvin_env has been imported from {loaded.__file__}, not from {root}; use a new process")
    os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")  # it imports GitPython, which insists on finding git
    with _gymnasium_as_gym(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="(?s).*version_base", category=UserWarning)  # hydra, on its decorator
        module = importlib.import_module("calvin_env.envs.play_table_env")
    logging.getLogger("calvin_env").setLevel(logging.WARNING)  # it reports every load of a scene
    # The constructor logs the commit it runs from, which takes a git repository without changes.
    module.__dict__["get_git_commit_hash"] = lambda path: COMMIT
    return module


@contextmanager
def _gymnasium_as_gym() -> Iterator[None]:
    """What the package imports of gym (Env, utils.seeding) is the same in gymnasium; gym itself is no longer kept up
    and need not be installed. Whoever imports gym afterwards gets gym."""
    gymnasium = importlib.import_module("gymnasium")
    seeding = importlib.import_module("gymnasium.utils.seeding")
    alias = {"gym": gymnasium, "gym.utils": gymnasium.utils, "gym.utils.seeding": seeding}
    before = {name: sys.modules[name] for name in alias if name in sys.modules}
    sys.modules.update(alias)
    try:
        yield
    finally:
        for name in alias:
            del sys.modules[name]
        sys.modules.update(before)
