"""Which files a scene is built from: CALVIN's own, or primitives generated here."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pybullet

from worldagen.envs.calvin.native.errors import NativeError
from worldagen.envs.calvin.native.layouts import LAYOUTS
from worldagen.envs.calvin.package import checkout
from worldagen.types import EnvSpec


@dataclass(frozen=True)
class Urdfs:
    """The files of a scene."""

    robot: Path
    blocks: dict[str, Path]
    """By name (`block_red`, ...), in the order in which they are loaded."""
    table: Path
    plane: Path


def urdfs_of(spec: EnvSpec) -> Urdfs:
    """The files that `spec` asks for. Raises CalvinEnvError when they are official and there is no whole checkout."""
    return _official(spec.suite, checkout() / "data")


def _official(suite: str, data: Path) -> Urdfs:
    layout = LAYOUTS[suite]
    table = f"calvin_table_{layout.scene}"
    return Urdfs(
        robot=data / "franka_panda/panda_longer_finger.urdf",
        blocks={name: data / f"blocks/{name}_{size}.urdf" for name, size in layout.blocks.items()},
        table=data / table / f"urdf/{table}.urdf",
        plane=data / "plane/plane.urdf",
    )


def load_urdf(client: Any, path: Path, **settings: Any) -> int:
    """pybullet's id of the body. Raises NativeError for a file that is missing or that Bullet cannot read."""
    if not path.is_file():
        raise NativeError(f"{path} is missing; fetch calvin_env again, or use env.assets=primitive")
    try:
        return client.loadURDF(str(path), **settings)
    except pybullet.error as error:
        remedy = "fetch calvin_env again, or use env.assets=primitive"
        raise NativeError(f"{path} is damaged: Bullet cannot load it ({error}); {remedy}") from error
