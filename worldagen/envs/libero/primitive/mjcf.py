"""Writes a `Thing` as the MJCF text that robosuite's MujocoXMLObject reads."""

import xml.etree.ElementTree as ET
from collections.abc import Iterable

from worldagen.envs.libero.primitive.shapes import Body, Shape, Site, Thing

# LIBERO's contact settings: stiff, slightly soft at the last millimetre, with torsional and rolling friction.
CONTACT = {"solimp": "0.998 0.998 0.001", "solref": "0.001 1", "friction": "0.95 0.3 0.1"}
# robosuite takes group 0 for physics (mass is counted there only, see its inertiagrouprange) and group 1 for pictures.
PHYSICS, PICTURE = "0", "1"


def numbers(values: Iterable[float]) -> str:
    return " ".join(f"{value:.6g}" for value in values)


def thing_xml(thing: Thing) -> str:
    """The MJCF text of one object file."""
    root = ET.Element("mujoco", model=thing.file.rsplit("/", 1)[-1].removesuffix(".xml"))
    outer = ET.SubElement(ET.SubElement(root, "worldbody"), "body")
    _add_body(outer, thing.body)
    radius = (thing.radius, thing.radius, 0)
    for name, pos in (
        ("bottom_site", (0, 0, thing.bottom)),
        ("top_site", (0, 0, thing.top)),
        ("horizontal_radius_site", radius),
    ):
        ET.SubElement(outer, "site", name=name, pos=numbers(pos), size="0.005", rgba="0 0 0 0")
    ET.indent(root)
    return ET.tostring(root, encoding="unicode")


def body_xml(body: Body) -> str:
    """The MJCF text of a body that is part of a room."""
    parent = ET.Element("worldbody")
    _add_body(parent, body)
    return ET.tostring(parent[0], encoding="unicode")


def _add_body(parent: ET.Element, body: Body) -> None:
    element = ET.SubElement(parent, "body", name=body.name, pos=numbers(body.pos), quat=numbers(body.quat))
    if body.mass is not None:
        ET.SubElement(element, "inertial", pos="0 0 0", mass=numbers([body.mass]), diaginertia="1 1 1")
    if body.joint is not None:
        ET.SubElement(
            element,
            "joint",
            name=body.joint.name,
            type=body.joint.kind,
            axis=numbers(body.joint.axis),
            limited="true",
            range=numbers(body.joint.range),
            damping=numbers([body.joint.damping]),
        )
    for site in body.sites:
        _add_site(element, site)
    for shape in body.shapes:
        _add_geoms(element, shape, body)
    for child in body.children:
        _add_body(element, child)


def _add_site(parent: ET.Element, site: Site) -> None:
    ET.SubElement(
        parent,
        "site",
        name=site.name,
        type=site.kind,
        pos=numbers(site.pos),
        quat=numbers(site.quat),
        size=numbers(site.size),
        rgba=numbers(site.rgba),
        group="0",
    )


def _add_geoms(parent: ET.Element, shape: Shape, body: Body) -> None:
    geometry = {
        "type": shape.kind,
        "size": numbers(shape.size),
        "pos": numbers(shape.pos),
        "quat": numbers(shape.quat),
        "rgba": numbers((*shape.colour, 1)),
    }
    if shape.use != "draw":
        solid = {**geometry, **CONTACT, "density": numbers([body.density]), "contype": str(int(not body.passive))}
        ET.SubElement(parent, "geom", solid, group=PHYSICS)
    if shape.use != "collide":
        ET.SubElement(parent, "geom", geometry, group=PICTURE, contype="0", conaffinity="0")
