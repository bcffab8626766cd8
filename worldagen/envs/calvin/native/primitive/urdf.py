"""Links and joints made of convex solids, as URDF."""

import xml.etree.ElementTree as ET
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from worldagen.envs.calvin.native.primitive.meshes import View, surface, write_mesh
from worldagen.envs.calvin.native.primitive.solids import Solid, Vector

Color = tuple[float, float, float]


@dataclass(frozen=True)
class Material:
    color: Color = (1.0, 1.0, 1.0)
    texture: str = ""
    """File name of a picture in the folder of the URDF; the colour tints it."""


@dataclass(frozen=True)
class Part:
    """Solids of one material."""

    solids: tuple[Solid, ...]
    material: Material
    collides: bool = True
    drawn: bool = True


@dataclass(frozen=True)
class Link:
    name: str
    parts: tuple[Part, ...] = ()
    mass: float = 0.0
    centre: Vector = (0.0, 0.0, 0.0)
    """Of mass. The inertia is Bullet's own, from the solids."""
    view: View | None = None
    """For links that hardly turn."""
    contact: Mapping[str, float | None] = field(default_factory=dict)
    """Bullet's contact parameters, e.g. lateral_friction; None for those that are switches."""


@dataclass(frozen=True)
class Joint:
    name: str
    kind: str
    """fixed, prismatic or revolute."""
    parent: str
    child: str
    xyz: Vector
    rpy: Vector = (0.0, 0.0, 0.0)
    axis: Vector = (0.0, 0.0, 0.0)
    limits: tuple[float, float] = (0.0, 0.0)
    """m or rad."""
    effort: float = 0.0
    velocity: float = 0.0


def write_urdf(path: Path, links: Iterable[Link], joints: Iterable[Joint] = ()) -> Path:
    """Write a body, its meshes beside it."""
    robot = ET.Element("robot", name=path.stem)
    for link in links:
        _add_link(robot, link, path)
    for joint in joints:
        _add_joint(robot, joint)
    ET.indent(robot)
    path.write_text(ET.tostring(robot, encoding="unicode") + "\n")
    return path


def _add_link(robot: ET.Element, link: Link, path: Path) -> None:
    element = ET.SubElement(robot, "link", name=link.name)
    if link.contact:
        contact = ET.SubElement(element, "contact")
        for name, value in link.contact.items():
            ET.SubElement(contact, name, {} if value is None else {"value": str(value)})
    inertial = ET.SubElement(element, "inertial")
    ET.SubElement(inertial, "origin", xyz=_text(link.centre))
    ET.SubElement(inertial, "mass", value=str(link.mass))
    ET.SubElement(inertial, "inertia", ixx="0.1", ixy="0", ixz="0", iyy="0.1", iyz="0", izz="0.1")
    for number, part in enumerate(link.parts):
        mesh = path.with_name(f"{path.stem}_{link.name}_{number}.obj")
        if part.drawn:
            write_mesh(mesh, surface(part.solids, link.view), part.material.texture)
            _add_visual(element, mesh.name, part.material)
        for index, solid in enumerate(part.solids if part.collides else ()):
            _add_collision(element, solid, mesh.with_name(f"{mesh.stem}_{index}.obj"))


def _add_visual(element: ET.Element, mesh: str, material: Material) -> None:
    visual = ET.SubElement(element, "visual")
    ET.SubElement(ET.SubElement(visual, "geometry"), "mesh", filename=mesh)
    name = "_".join(f"{value:g}" for value in material.color)  # Bullet takes materials of one name for the same
    ET.SubElement(ET.SubElement(visual, "material", name=name), "color", rgba=_text((*material.color, 1.0)))


def _add_collision(element: ET.Element, solid: Solid, mesh: Path) -> None:
    collision = ET.SubElement(element, "collision")
    if solid.is_box:
        low, high = solid.points.min(axis=0), solid.points.max(axis=0)
        ET.SubElement(collision, "origin", xyz=_text((low + high) / 2))
        ET.SubElement(ET.SubElement(collision, "geometry"), "box", size=_text(high - low))
    else:
        write_mesh(mesh, solid.triangles)
        ET.SubElement(ET.SubElement(collision, "geometry"), "mesh", filename=mesh.name)


def _add_joint(robot: ET.Element, joint: Joint) -> None:
    element = ET.SubElement(robot, "joint", name=joint.name, type=joint.kind)
    ET.SubElement(element, "parent", link=joint.parent)
    ET.SubElement(element, "child", link=joint.child)
    ET.SubElement(element, "origin", xyz=_text(joint.xyz), rpy=_text(joint.rpy))
    if joint.kind != "fixed":
        lower, upper = map(str, joint.limits)
        ET.SubElement(element, "axis", xyz=_text(joint.axis))
        limit = {"lower": lower, "upper": upper, "effort": str(joint.effort), "velocity": str(joint.velocity)}
        ET.SubElement(element, "limit", limit)


def _text(values: Iterable[float] | np.ndarray) -> str:
    return " ".join(f"{value:.8g}" for value in values)
