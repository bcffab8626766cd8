"""Convex solids: what every primitive is made of."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.spatial import ConvexHull

Vector = tuple[float, float, float]
_SIDES = 8


@dataclass(frozen=True, eq=False)
class Solid:
    """The convex hull of some points, in metres."""

    points: np.ndarray
    """(n, 3)."""
    is_box: bool = False
    """Whether it is a box along the axes, which Bullet handles faster than other solids."""

    @cached_property
    def triangles(self) -> np.ndarray:
        """(m, 3, 3): the corners of its surface, counter-clockwise seen from outside."""
        corners = self.points[self._hull.simplices]
        inward = np.einsum("ij,ij->i", _normals(corners), self._hull.equations[:, :3]) < 0
        corners[inward] = corners[inward][:, ::-1]
        return corners

    def contains(self, points: np.ndarray, slack: float = 1e-6) -> np.ndarray:
        """bool (k,): which of the points (k, 3) lie inside."""
        distances = points @ self._hull.equations[:, :3].T + self._hull.equations[:, 3]
        return (distances <= slack).all(axis=1)

    @cached_property
    def _hull(self) -> ConvexHull:
        return ConvexHull(self.points)


def box(x: tuple[float, float], y: tuple[float, float], z: tuple[float, float]) -> Solid:
    return Solid(np.array([(a, b, c) for a in x for b in y for c in z]), is_box=True)


def prism(axis: int, span: tuple[float, float], outline: Sequence[tuple[float, float]]) -> Solid:
    """An outline in the plane of the two other axes (in their order), drawn out along `axis`."""
    flat = np.tile(outline, (2, 1))
    return Solid(np.insert(flat, axis, np.repeat(span, len(outline)), axis=1))


def loft(axis: int, *rings: tuple[float, float, tuple[float, float]], sides: int = _SIDES) -> Solid:
    """The hull around rings: (position along `axis`, radius, centre on the two other axes in their order)."""
    turns = 2 * np.pi * (np.arange(sides) + 0.5) / sides
    circle = np.stack([np.cos(turns), np.sin(turns)], axis=1) / np.cos(np.pi / sides)
    points = [np.insert(np.add(circle * radius, centre), axis, offset, axis=1) for offset, radius, centre in rings]
    return Solid(np.concatenate(points))


def tube(axis: int, span: tuple[float, float], radius: float, centre: tuple[float, float] = (0.0, 0.0)) -> Solid:
    """An upright octagonal tube, closed, around a cylinder of that radius."""
    return loft(axis, (span[0], radius, centre), (span[1], radius, centre))


def _normals(triangles: np.ndarray) -> np.ndarray:
    return np.cross(triangles[:, 1] - triangles[:, 0], triangles[:, 2] - triangles[:, 0])
