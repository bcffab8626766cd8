"""CALVIN's two cameras, at any size."""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence, Set
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from worldagen.envs.calvin.native.robot import Panda

Camera = Literal["static", "gripper"]
Link = tuple[int, int]
"""A body and one of its links."""
Shape = tuple[int, int, int]
"""The same, and the number of one of the link's shapes."""
Shapes = dict[Shape, tuple[float, ...]]
_STILL = 5e-4
"""m: what moved by less is not drawn anew; a tenth of the static camera's pixel."""
_LOOK_FROM = (2.871459009488717, -2.166602199425597, 2.555159848480571)
_LOOK_AT = (-0.026242351159453392, -0.0302329882979393, 0.3920000493526459)
_UP = (0.4041403970338857, 0.22629790978217404, 0.8862616969685161)
_STATIC_LENS = {"fov": 10, "aspect": 1, "nearVal": 0.01, "farVal": 10}
_GRIPPER_LENS = {"fov": 75, "aspect": 1, "nearVal": 0.01, "farVal": 2}


@dataclass(frozen=True)
class Picture:
    pixels: np.ndarray
    """uint32 (size, size): red, green, blue and an unused byte."""
    depth: np.ndarray
    """(size, size), larger for what is further away."""

    @property
    def rgb(self) -> np.ndarray:
        """uint8 (size, size, 3)."""
        return np.ascontiguousarray(self.pixels.view(np.uint8).reshape(*self.pixels.shape, 4)[:, :, :3])

    def over(self, below: "Picture") -> "Picture":
        """This picture where it shows something nearer, else the one below."""
        nearer = self.depth <= below.depth
        return Picture(np.where(nearer, self.pixels, below.pixels), np.minimum(self.depth, below.depth))


class Cameras:
    """Draws one world.

    Software rendering costs by the pixel. So, where `fixed` names links that can never move, the static camera draws in
    three layers, by depth: the fixed links, once; over them what has not moved since the reset, until it does; and over
    those the rest, every time. Where it names none, everything is drawn every time, as in calvin_env.
    """

    def __init__(self, client: Any, fixed: Collection[Link] = ()) -> None:
        self._client, self._fixed = client, fixed
        self._layers: dict[str, tuple[object, Picture]] = {}
        self.forget()

    def forget(self) -> None:
        """After a reset: take everything as resting again."""
        self._layers.pop("resting", None)
        self._poses: dict[Link, np.ndarray] = {}
        self._moved: set[Link] = set()

    def render(self, robot: Panda, camera: Camera, size: int, static_view: Sequence[float]) -> np.ndarray:
        """uint8 (size, size, 3)."""
        if camera == "gripper":
            return self._draw(_gripper_view(self._client, robot), _GRIPPER_LENS, size).rgb
        if not self._fixed:
            return self._draw(static_view, _STATIC_LENS, size).rgb
        return self._layered(robot, tuple(static_view), size)

    def _layered(self, robot: Panda, view: tuple[float, ...], size: int) -> np.ndarray:
        shapes = self._shapes()
        self._note_motion(robot)
        fixed = {shape for shape in shapes if shape[:2] in self._fixed}
        active = {shape for shape in shapes if shape[0] == robot.id or shape[:2] in self._moved}
        floor = self._layer("fixed", shapes, fixed, view, size)
        backdrop = self._layer("resting", shapes, shapes.keys() - fixed - active, view, size, floor)
        with self._hidden(shapes, shapes.keys() - active):
            return self._draw(view, _STATIC_LENS, size).over(backdrop).rgb

    def _layer(
        self, name: str, shapes: Shapes, drawn: Set[Shape], view: tuple[float, ...], size: int, below: Any = None
    ) -> Picture:
        """Some of the shapes, over the layer below; drawn anew when anything about them has changed."""
        made_of = view, size, {shape: shapes[shape] for shape in drawn}, id(below)
        if name not in self._layers or self._layers[name][0] != made_of:
            with self._hidden(shapes, shapes.keys() - drawn):
                picture = self._draw(view, _STATIC_LENS, size)
            self._layers[name] = made_of, picture.over(below) if below else picture
        return self._layers[name][1]

    def _note_motion(self, robot: Panda) -> None:
        poses = self._link_poses(robot)
        self._poses = self._poses or poses
        self._moved |= {link for link in poses if np.abs(poses[link] - self._poses[link]).max() > _STILL}

    def _shapes(self) -> Shapes:
        """What there is to draw, and its colour."""
        colors = {}
        for body in self._bodies():
            count: Counter[int] = Counter()
            for _, link, *_, color in self._client.getVisualShapeData(body):
                colors[body, link, count[link]] = color
                count[link] += 1
        return colors

    def _link_poses(self, robot: Panda) -> dict[Link, np.ndarray]:
        """Joint position (1,) of every link and pose (7,) of every base but the arm's."""
        poses: dict[Link, np.ndarray] = {}
        for body in self._bodies():
            if body != robot.id:
                position, quaternion = self._client.getBasePositionAndOrientation(body)
                poses[body, -1] = np.array((*position, *quaternion))
                for link in range(self._client.getNumJoints(body)):
                    poses[body, link] = np.array(self._client.getJointState(body, link)[:1])
        return poses

    def _bodies(self) -> Iterable[int]:
        return map(self._client.getBodyUniqueId, range(self._client.getNumBodies()))

    @contextmanager
    def _hidden(self, shapes: Shapes, hidden: Iterable[Shape]) -> Iterator[None]:
        """TinyRenderer leaves out what is fully transparent."""
        colors = {shape: shapes[shape] for shape in hidden}
        self._paint({shape: (*color[:3], 0.0) for shape, color in colors.items()})
        yield
        self._paint(colors)

    def _paint(self, shapes: Shapes) -> None:
        for (body, link, index), color in shapes.items():
            self._client.changeVisualShape(body, link, shapeIndex=index, rgbaColor=color)

    def _draw(self, view: Sequence[float], lens: Mapping[str, float], size: int) -> Picture:
        projection = self._client.computeProjectionMatrixFOV(**lens)
        _, _, pixels, depth, _ = self._client.getCameraImage(size, size, view, projection)
        return Picture(
            np.reshape(np.ascontiguousarray(pixels, np.uint8), (size, size, 4)).view(np.uint32)[:, :, 0],
            np.reshape(depth, (size, size)),
        )


def static_view(client: Any) -> tuple[float, ...]:
    """OpenGL view matrix of CALVIN's static camera."""
    return client.computeViewMatrix(_LOOK_FROM, _LOOK_AT, _UP)


def _gripper_view(client: Any, robot: Panda) -> tuple[float, ...]:
    position, rotation = robot.camera_pose()
    return client.computeViewMatrix(position, position + rotation[:, 1], -rotation[:, 2])
