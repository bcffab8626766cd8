"""What a primitive object is made of: shapes, sites, joints and the bodies that hold them.

Lengths in metres, masses in kilograms, angles in degrees; box sizes are half edges and quaternions (w, x, y, z), as in
MuJoCo.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

Triple = tuple[float, float, float]
Quaternion = tuple[float, float, float, float]
Colour = tuple[float, float, float]


@dataclass(frozen=True)
class Shape:
    """One geom: by default it collides and is drawn."""

    kind: Literal["box", "cylinder", "capsule", "sphere"]
    size: tuple[float, ...]
    """Half edges; radius and half length of a cylinder or capsule; radius of a sphere."""
    pos: Triple
    colour: Colour
    quat: Quaternion = (1.0, 0.0, 0.0, 0.0)
    use: Literal["both", "collide", "draw"] = "both"


@dataclass(frozen=True)
class Site:
    """A named region that the task predicates look up."""

    name: str
    size: tuple[float, ...]
    pos: Triple
    quat: Quaternion = (1.0, 0.0, 0.0, 0.0)
    kind: Literal["box", "cylinder"] = "box"
    rgba: Quaternion = (0.8, 0.8, 0.8, 0.0)


@dataclass(frozen=True)
class Joint:
    """The one degree of freedom of a movable part. `range` in metres (slide) or radians (hinge)."""

    name: str
    kind: Literal["slide", "hinge"]
    axis: Triple
    range: tuple[float, float]
    damping: float


@dataclass(frozen=True)
class Body:
    """A body with its shapes, sites and child bodies. With a `mass`, its inertia is given instead of computed."""

    name: str
    shapes: tuple[Shape, ...] = ()
    sites: tuple[Site, ...] = ()
    children: "tuple[Body, ...]" = ()
    pos: Triple = (0.0, 0.0, 0.0)
    quat: Quaternion = (1.0, 0.0, 0.0, 0.0)
    joint: Joint | None = None
    mass: float | None = None
    density: float = 100.0
    passive: bool = False
    """Collides with all but other passive bodies: a door and the frame that it closes into."""


@dataclass(frozen=True)
class Thing:
    """One object file: its path in the tree, its bodies, and the offsets by which LIBERO places it.

    LIBERO gives nearly everything the same offsets, whatever its size; most objects therefore start in the air.
    """

    file: str
    body: Body
    bottom: float = -0.06
    top: float = 0.04
    radius: float = 0.025


def box(size: Triple, pos: Triple, colour: Colour, quat: Quaternion = (1.0, 0.0, 0.0, 0.0)) -> Shape:
    return Shape("box", size, pos, colour, quat)


def cylinder(radius: float, half_length: float, pos: Triple, colour: Colour) -> Shape:
    return Shape("cylinder", (radius, half_length), pos, colour)


def unseen(shape: Shape) -> Shape:
    """The same shape, colliding but not drawn."""
    return replace(shape, use="collide")


def scenery(shape: Shape) -> Shape:
    """The same shape, drawn but not colliding."""
    return replace(shape, use="draw")


def rotation(axis: Literal["x", "y", "z"], degrees: float) -> Quaternion:
    """Quaternion of a turn by `degrees` about a coordinate axis."""
    half = np.radians(degrees) / 2
    x, y, z = (float(np.sin(half)) * (name == axis) for name in "xyz")
    return (float(np.cos(half)), x, y, z)


def turned(shapes: Iterable[Shape], quat: Quaternion) -> tuple[Shape, ...]:
    """The shapes, turned together about the origin."""
    return tuple(replace(shape, pos=rotate(shape.pos, quat), quat=compose(quat, shape.quat)) for shape in shapes)


def moved(shapes: Iterable[Shape], by: Triple) -> tuple[Shape, ...]:
    """The shapes, moved together."""
    return tuple(
        replace(shape, pos=(shape.pos[0] + by[0], shape.pos[1] + by[1], shape.pos[2] + by[2])) for shape in shapes
    )


def weighed(mass: float, shapes: tuple[Shape, ...], sites: tuple[Site, ...] = ()) -> Body:
    """The body of a movable object of `mass` kilograms."""
    return Body("object", shapes, sites, density=density(mass, shapes))


def density(mass: float, shapes: Iterable[Shape]) -> float:
    """The density at which what collides of the shapes weighs `mass` kilograms together."""
    return mass / sum(volume(shape) for shape in shapes if shape.use != "draw")


def volume(shape: Shape) -> float:
    """Cubic metres of a box or cylinder."""
    if shape.kind == "box":
        return float(8 * np.prod(shape.size))
    if shape.kind == "cylinder":
        radius, half_length = shape.size
        return float(2 * np.pi * radius**2 * half_length)
    raise ValueError(f"the volume of a {shape.kind} is not known here; build what collides of boxes and cylinders")


def rotate(point: Triple, quat: Quaternion) -> Triple:
    """The point, turned about the origin."""
    w, u, v = quat[0], np.array(quat[1:]), np.array(point)
    x, y, z = v + 2 * np.cross(u, np.cross(u, v) + w * v)
    return (float(x), float(y), float(z))


def compose(first: Quaternion, second: Quaternion) -> Quaternion:
    """Quaternion product: the turn `second`, seen in the frame turned by `first`."""
    w, u = first[0], np.array(first[1:])
    s, v = second[0], np.array(second[1:])
    x, y, z = w * v + s * u + np.cross(u, v)
    return (float(w * s - u @ v), float(x), float(y), float(z))


def ring(count: int, radius: float, height: float, size: Triple, lean: float, colour: Colour) -> tuple[Shape, ...]:
    """`count` equal boxes around the z axis, `size` (radial, tangential, vertical), tops leaning outward by `lean`."""
    angles = 360.0 * np.arange(count) / count
    return tuple(
        box(
            size,
            (radius * float(np.cos(np.radians(angle))), radius * float(np.sin(np.radians(angle))), height),
            colour,
            compose(rotation("z", angle), rotation("y", lean)),
        )
        for angle in angles
    )


def prism(count: int, radius: float, half_height: float, pos: Triple, colour: Colour) -> tuple[Shape, ...]:
    """An upright round solid with 2 * `count` flat sides at `radius`, made of `count` boxes through one axis.

    Boxes rest and are gripped more steadily than cylinders are.
    """
    half_side = radius * float(np.tan(np.pi / (2 * count)))
    return tuple(
        box((radius, half_side, half_height), pos, colour, rotation("z", 180.0 * number / count))
        for number in range(count)
    )
