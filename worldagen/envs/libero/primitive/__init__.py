"""Stand-ins for LIBERO's object models, generated from tables of boxes and cylinders.

The official models (about 200 MB of meshes and textures) are not part of the `hf-libero` package. These keep what a
task depends on (joints, sites, masses, and the collision geometry a gripper or an object touches), so every task
compiles to the same state vector, loads the shipped initial states and evaluates the shipped goal predicates. Pictures
differ.
Joint, site and box dimensions are LIBERO's own (MIT licence, https://github.com/Lifelong-Robot-Learning/LIBERO).
"""

from pathlib import Path

from worldagen.envs.libero.primitive.appliances import APPLIANCES
from worldagen.envs.libero.primitive.arenas import ARENAS, write_textures
from worldagen.envs.libero.primitive.containers import CONTAINERS
from worldagen.envs.libero.primitive.cookware import COOKWARE
from worldagen.envs.libero.primitive.fixtures import FIXTURES
from worldagen.envs.libero.primitive.groceries import GROCERIES
from worldagen.envs.libero.primitive.mjcf import thing_xml
from worldagen.envs.libero.primitive.stationery import STATIONERY
from worldagen.envs.libero.primitive.tableware import TABLEWARE

THINGS = (*GROCERIES, *TABLEWARE, *COOKWARE, *STATIONERY, *CONTAINERS, *FIXTURES, *APPLIANCES)
"""Every object and fixture of the 130 tasks."""


def write_tree(path: Path) -> None:
    """Write the asset tree into the folder `path`, laid out as `libero/libero/assets`.

    Raises FileExistsError if the folder is not empty.
    """
    if path.exists() and any(path.iterdir()):
        raise FileExistsError(
            f"the asset tree needs an empty folder, but {path} holds files; remove it or choose another"
        )
    files = {thing.file: thing_xml(thing) for thing in THINGS}
    files |= ARENAS
    for file, text in files.items():
        target = path / file
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
    write_textures(path / "textures")
