"""Which files a scene is built from: CALVIN's own, or primitives generated here."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pybullet

from worldagen.envs.cache import generated
from worldagen.envs.calvin.native import primitive
from worldagen.envs.calvin.native.errors import NativeError
from worldagen.envs.calvin.native.primitive import write_assets
from worldagen.envs.calvin.native.scenes import SCENES, Scene
from worldagen.envs.calvin.package import checkout
from worldagen.types import EnvSpec

_REMEDY = "fetch calvin_env again, or use env.assets=primitive"
_TABLE_LINKS = {f"{part}_link" for part in ("button", "switch", "slide", "drawer", "led", "light", "plank")}


@dataclass(frozen=True)
class Urdfs:
    """The files of a scene."""

    robot: Path
    blocks: dict[str, Path]
    """By name (`block_red`, ...), in the order in which they are loaded."""
    table: Path
    plane: Path
    pedestal: Path | None = None
    """What the arm stands on, where it is not to be drawn as calvin_env does."""


def urdfs_of(spec: EnvSpec) -> Urdfs:
    """The files that `spec` asks for. Raises CalvinEnvError when they are official and there is no whole checkout."""
    scene = SCENES[spec.suite]
    return _official(scene, checkout() / "data") if spec.assets == "official" else _primitive(scene, primitive_folder())


def primitive_folder() -> Path:
    """The generated assets in our cache, made now if no process has made them yet."""
    return generated("calvin-primitive", Path(primitive.__file__).parent, write_assets)


def _primitive(scene: Scene, folder: Path) -> Urdfs:
    return Urdfs(
        robot=folder / "panda.urdf",
        blocks={name: folder / f"{name}_{size}.urdf" for name, size in scene.blocks.items()},
        table=folder / f"table_{scene.letter}.urdf",
        plane=folder / "plane.urdf",
        pedestal=folder / "pedestal.urdf",
    )


def _official(scene: Scene, data: Path) -> Urdfs:
    table = f"calvin_table_{scene.letter}"
    return Urdfs(
        robot=data / "franka_panda/panda_longer_finger.urdf",
        blocks={name: data / f"blocks/{name}_{size}.urdf" for name, size in scene.blocks.items()},
        table=data / table / f"urdf/{table}.urdf",
        plane=data / "plane/plane.urdf",
    )


def check_urdfs(urdfs: Urdfs) -> None:
    """Raise NativeError for a file that is missing or damaged: Bullet ends the process over some of them."""
    for path in (urdfs.robot, *urdfs.blocks.values(), urdfs.plane):
        _check_urdf(path)
    missing = _TABLE_LINKS - _check_urdf(urdfs.table)
    if missing:
        raise NativeError(f"{urdfs.table} is damaged: it has no {', '.join(sorted(missing))}; {_REMEDY}")


def _check_urdf(path: Path) -> set[str]:
    """Names of its links."""
    if not path.is_file():
        raise NativeError(f"{path} is missing; {_REMEDY}")
    text = path.read_text()
    try:
        robot = ElementTree.fromstring(text[max(text.find("<robot"), 0) :])  # some declare a version that XML never had
    except ElementTree.ParseError as error:
        raise NativeError(f"{path} is damaged: {error}; {_REMEDY}") from error
    links = {link.get("name", "") for link in robot.iter("link")}
    roots = links - {child.get("link", "") for child in robot.iter("child")}
    if len(roots) != 1:
        raise NativeError(f"{path} is damaged: one link must have no parent, here {sorted(roots)}; {_REMEDY}")
    for mesh in robot.iter("mesh"):
        file = path.parent / mesh.get("filename", "").removeprefix("package://")
        if not file.is_file():
            raise NativeError(f"{path} is damaged: its mesh {file} is missing; {_REMEDY}")
    return links


def load_urdf(client: Any, path: Path, **settings: Any) -> int:
    """pybullet's id of the body. Raises NativeError for a file that Bullet cannot read."""
    try:
        return client.loadURDF(str(path), **settings)
    except pybullet.error as error:
        raise NativeError(f"{path} is damaged: Bullet cannot load it ({error}); {_REMEDY}") from error
