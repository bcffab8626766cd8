"""Not drawing what a camera cannot see: the same pixels from fewer triangles.

MuJoCo hands every visible geom to OpenGL, and in software the vertices are what costs: most of them belong to parts of
the robot behind the wrist camera, or below the table that it looks at. A geom is left out when it lies outside the
camera's view, or when all of it that is in view lies behind a table top. Mirrors are respected.
"""

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import mujoco
import numpy as np
from scipy.spatial import ConvexHull

DRAWN, UNDRAWN = 1, 5
"""Geom groups: robosuite draws group 1 (visual geometry), and nothing draws group 5."""
_MARGIN = 0.002
"""Metres by which a geom must be out of sight: far more than the rounding of OpenGL's coordinates."""
_FINE_MESH = 1000
"""Vertices from which a mesh is worth a closer look than the box around it."""
_SMALLEST_TOP = 0.2
"""Metres from the middle of a table top to its nearest edge."""
_PLANE, _BOX = int(mujoco.mjtGeom.mjGEOM_PLANE), int(mujoco.mjtGeom.mjGEOM_BOX)
_CUBE = np.array(list(itertools.product((-1.0, 1.0), repeat=3)))


@dataclass(frozen=True)
class _View:
    """The pyramid that a camera sees."""

    eye: np.ndarray
    rays: np.ndarray
    """Unit vectors (4, 3) from the eye through the corners of the image."""
    normals: np.ndarray
    """Outward unit normals (5, 3) of its sides, and of the plane behind which nothing is seen; all through the eye."""

    def mirrored(self, normal: np.ndarray, point: np.ndarray) -> "_View":
        flip = np.eye(3) - 2 * np.outer(normal, normal)
        return _View(self.eye - 2 * normal * (normal @ (self.eye - point)), self.rays @ flip, self.normals @ flip)

    def misses(self, points: np.ndarray) -> np.ndarray:
        """Convex bodies with corners (n, m, 3) that lie wholly beyond one of its planes: bool (n,)."""
        beyond = np.all(_products(points - self.eye, self.normals) > _MARGIN, axis=1)
        return np.any(beyond, axis=1)


@dataclass(frozen=True)
class _Screen:
    """What an opaque face hides from an eye: all that is below the face, and between the planes through its edges."""

    eye: np.ndarray
    height: float
    """Of the eye above the face."""
    below: np.ndarray
    """(k, 3): the face's normal, and others, each of which gives points in view no less than the normal gives. So
    a body is below, as far as it is in view, if one of them puts all of it there."""
    sides: np.ndarray
    """Outward unit normals of the planes through its edges, less those that have the whole view inside."""

    def hides(self, points: np.ndarray) -> np.ndarray:
        """Convex bodies with corners (n, m, 3) of which no part in view is in front or beside: bool (n,)."""
        offsets = points - self.eye
        below = np.all(_products(offsets, self.below) < -self.height - _MARGIN, axis=1)
        between = np.all(_products(offsets, self.sides) < -_MARGIN, axis=(1, 2))
        return np.any(below, axis=1) & between


def _products(points: np.ndarray, normals: np.ndarray) -> np.ndarray:
    """(n, m, k) scalar products of points (n, m, 3) with normals (k, 3), as one product of matrices."""
    return (points.reshape(-1, 3) @ normals.T).reshape(*points.shape[:2], len(normals))


class Culling:
    """What can be seen in one compiled model, whose square images are drawn by fixed perspective cameras."""

    def __init__(self, model: mujoco.MjModel) -> None:
        self.model = model
        drawn = model.geom_group == DRAWN
        self.geoms = np.flatnonzero(drawn & (model.geom_type != _PLANE))
        self.boxes = model.geom_aabb[self.geoms, None, :3] + _CUBE * model.geom_aabb[self.geoms, None, 3:]
        """float (n, 8, 3): corners of the box around each geom, in its own frame."""
        self.hulls = {
            number: hull for number, geom in enumerate(self.geoms.tolist()) if len(hull := _hull(model, geom))
        }
        """Position in `geoms` -> corners (m, 3) of the convex hull of a fine mesh, in the geom's frame."""
        boxes = np.flatnonzero(drawn & (model.geom_type == _BOX) & _opaque(model))
        self.tops = boxes[model.geom_size[boxes, :2].min(axis=1, initial=np.inf) >= _SMALLEST_TOP]
        """Boxes that lie flat; walls have nothing behind them."""
        self.mirrors = np.flatnonzero(drawn & _reflecting(model) & np.isin(model.geom_type, (_PLANE, _BOX)))
        self.shadows = bool(model.light_castshadow.any())
        """A shadow shows even if what throws it does not; nothing is left out then."""

    @contextmanager
    def __call__(self, data: mujoco.MjData, camera: int) -> Iterator[None]:
        """Within this context, geoms that `camera` (an id) cannot see are in a group that is not drawn."""
        hidden = np.zeros(0, int) if self.shadows else self.geoms[self.unseen(data, camera)]
        self.model.geom_group[hidden] = UNDRAWN
        try:
            yield
        finally:
            self.model.geom_group[hidden] = DRAWN

    def unseen(self, data: mujoco.MjData, camera: int) -> np.ndarray:
        """bool (len(self.geoms),)."""
        view = self._view(data, camera)
        screens = [screen for top in self.tops if (screen := self._screen(view, self._face(data, top, view.eye)))]
        mirrored = [view.mirrored(*self._mirror(data, mirror)) for mirror in self.mirrors.tolist()]

        def out_of_sight(points: np.ndarray) -> np.ndarray:
            unseen = view.misses(points)
            for screen in screens:
                unseen = unseen if unseen.all() else unseen | screen.hides(points)
            for image in mirrored:
                unseen = unseen & image.misses(points)
            return unseen

        positions, rotations = data.geom_xpos[self.geoms], data.geom_xmat[self.geoms].reshape(-1, 3, 3)
        unseen = out_of_sight(np.einsum("nij,nmj->nmi", rotations, self.boxes) + positions[:, None])
        doubtful = ~unseen & out_of_sight(positions[:, None])  # what shows its middle is seen
        for number, hull in self.hulls.items():
            if doubtful[number]:
                unseen[number] = out_of_sight((hull @ rotations[number].T + positions[number])[None])[0]
        return unseen

    def _view(self, data: mujoco.MjData, camera: int) -> _View:
        slope = np.tan(np.deg2rad(self.model.cam_fovy[camera]) / 2)
        axes = data.cam_xmat[camera].reshape(3, 3).T
        rays = (np.array([[1, 1, 0], [-1, 1, 0], [-1, -1, 0], [1, -1, 0]]) * slope - [0, 0, 1]) @ axes  # looks along -z
        rays /= np.linalg.norm(rays, axis=1, keepdims=True)
        return _View(data.cam_xpos[camera].copy(), rays, np.vstack([_sides(rays), axes[2]]))

    def _face(self, data: mujoco.MjData, box: int, eye: np.ndarray) -> np.ndarray:
        """Corners (4, 3) of the upper or lower face of a box, whichever is on the side of the eye, in a circle."""
        x, y, z = data.geom_xmat[box].reshape(3, 3).T * self.model.geom_size[box, :, None]
        z = z * np.sign(z @ (eye - data.geom_xpos[box]))
        return data.geom_xpos[box] + z + [x + y, x - y, -x - y, y - x]

    def _screen(self, view: _View, face: np.ndarray) -> "_Screen | None":
        """None where the eye is so near to the face that parts of it may not be drawn."""
        normal = np.cross(face[1] - face[0], face[2] - face[0])
        normal *= np.sign(normal @ (view.eye - face[0])) / np.linalg.norm(normal)
        height = normal @ (view.eye - face[0])
        if height < 3 * self.model.vis.map.znear * self.model.stat.extent:
            return None
        below = np.array([normal, *(normal - weight * side for side in view.normals[:4] for weight in (0.25, 0.5))])
        sides = _sides(face - view.eye)
        return _Screen(view.eye, height, below, sides[(view.rays @ sides.T > -1e-3).any(axis=0)])

    def _mirror(self, data: mujoco.MjData, geom: int) -> tuple[np.ndarray, np.ndarray]:
        """Normal of a reflecting plane or box, and a point of its surface."""
        normal = data.geom_xmat[geom].reshape(3, 3)[:, 2].copy()
        height = self.model.geom_size[geom, 2] * (self.model.geom_type[geom] == _BOX)
        return normal, data.geom_xpos[geom] + height * normal


def _hull(model: mujoco.MjModel, geom: int) -> np.ndarray:
    """Corners (n, 3) of the convex hull of a fine mesh, whose frame is at its centre of mass; empty for others."""
    mesh = model.geom_dataid[geom]
    if model.geom_type[geom] != mujoco.mjtGeom.mjGEOM_MESH or model.mesh_vertnum[mesh] < _FINE_MESH:
        return np.zeros((0, 3))
    vertices = model.mesh_vert[model.mesh_vertadr[mesh] :][: model.mesh_vertnum[mesh]].astype(np.float64)
    return vertices[ConvexHull(vertices).vertices]


def _sides(edges: np.ndarray) -> np.ndarray:
    """Outward unit normals (n, 3) of the sides of the pyramid with these edges (n, 3), given in a circle."""
    normals = np.cross(edges, np.roll(edges, -1, axis=0))
    normals *= -np.sign(normals @ edges.mean(axis=0))[:, None]
    return normals / np.linalg.norm(normals, axis=1, keepdims=True)


def _material(model: mujoco.MjModel, values: np.ndarray, default: np.ndarray) -> np.ndarray:
    """A property of each geom's material, or the default where it has none."""
    return np.where(model.geom_matid >= 0, values[model.geom_matid], default) if len(values) else default


def _opaque(model: mujoco.MjModel) -> np.ndarray:
    own = model.geom_rgba[:, 3]
    return (own == 1) & (_material(model, model.mat_rgba[:, 3], own) == 1) & bool((model.tex_nchannel < 4).all())


def _reflecting(model: mujoco.MjModel) -> np.ndarray:
    return _material(model, model.mat_reflectance, np.zeros(model.ngeom)) > 0
