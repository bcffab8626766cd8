"""Surfaces as Wavefront files, without the triangles that nobody can see: drawing in software costs by the pixel."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from worldagen.envs.calvin.native.primitive.solids import Solid, Vector

CAMERA_DIRECTION = (0.71, -0.53, 0.53)
"""Where the static camera is, seen from the table; roughly."""
_TEXTURE_METRES = 0.5
"""What one repeat of a texture covers."""
_GAP = 1e-4
_FACING = 0.99
_GRID = np.array([(a, b, 19 - a - b) for a in range(20) for b in range(20 - a)]) / 19 * 0.98 + 0.02 / 3
"""Barycentric coordinates of points all over a triangle, off its edges."""


@dataclass(frozen=True)
class View:
    """How the cameras see a body whose frame hardly turns, in that frame."""

    towards: Vector
    """Direction to the static camera: what is nearer to it is drawn first, and what lies behind need not be shaded."""
    unseen: tuple[Vector, ...]
    """Directions in which a surface faces that no camera sees."""
    fillers: tuple[Solid, ...] = ()
    """Parts of other links that always fill a hole in this one."""


def surface(solids: Sequence[Solid], view: View | None = None) -> np.ndarray:
    """(m, 3, 3): the triangles of some solids, without those that lie inside the others or that no camera sees."""
    fillers = (*solids, *(view.fillers if view else ()))
    kept = []
    for solid in solids:
        triangles = solid.triangles
        normals = _unit_normals(triangles)
        hidden = _covered(triangles + _GAP * normals[:, None], [other for other in fillers if other is not solid])
        for direction in view.unseen if view else ():
            hidden |= normals @ direction > _FACING
        kept.append(triangles[~hidden])
    triangles = np.concatenate(kept)
    return triangles[np.argsort(-triangles.mean(axis=1) @ view.towards, kind="stable")] if view else triangles


def _covered(triangles: np.ndarray, solids: Sequence[Solid]) -> np.ndarray:
    """bool (m,): which triangles lie inside the solids together, tried at a grid of points."""
    points = np.einsum("kc,mcd->mkd", _GRID, triangles)
    inside: np.ndarray = np.zeros(points.shape[:2], dtype=bool)
    for solid in solids:
        inside |= solid.contains(points.reshape(-1, 3)).reshape(inside.shape)
    return np.all(inside, axis=1)


def write_mesh(path: Path, triangles: np.ndarray, texture: str = "") -> None:
    """Write triangles (m, 3, 3) as an OBJ with flat shading, textured by a file beside it if one is named."""
    normals = np.repeat(_unit_normals(triangles), 3, axis=0)
    lines = []
    if texture:
        path.with_suffix(".mtl").write_text(f"newmtl surface\nKd 1 1 1\nmap_Kd {texture}\n")
        lines = [f"mtllib {path.with_suffix('.mtl').name}", "usemtl surface"]
    lines += _rows("v", triangles.reshape(-1, 3))
    lines += _rows("vt", _texture_coordinates(triangles.reshape(-1, 3), normals))
    lines += _rows("vn", normals)
    lines += ["f " + " ".join(f"{n}/{n}/{n}" for n in range(k, k + 3)) for k in range(1, 3 * len(triangles), 3)]
    path.write_text("\n".join(lines) + "\n")


def _texture_coordinates(points: np.ndarray, normals: np.ndarray) -> np.ndarray:
    """(n, 2): every side is textured along the two axes that it mostly faces across."""
    facing = np.abs(normals).argmax(axis=1)
    across = np.array([(1, 2), (0, 2), (0, 1)])[facing]
    return np.take_along_axis(points, across, axis=1) / _TEXTURE_METRES


def _normals(triangles: np.ndarray) -> np.ndarray:
    return np.cross(triangles[:, 1] - triangles[:, 0], triangles[:, 2] - triangles[:, 0])


def _unit_normals(triangles: np.ndarray) -> np.ndarray:
    normals = _normals(triangles)
    return normals / np.linalg.norm(normals, axis=1, keepdims=True)


def _rows(kind: str, values: np.ndarray) -> Iterable[str]:
    return (f"{kind} " + " ".join(f"{value:.6g}" for value in row) for row in values)
