"""Shifts inside CALVIN, made through its engine's physics server.

Left as they are: the blocks' and lamps' colours, which instructions and policies tell them by, and the height of the
table, to which CALVIN's own initial states and task rules hold absolutely.
"""

from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np

from worldagen.envs import shifts as numbers
from worldagen.envs.calvin.engine import Engine
from worldagen.types import Shift

_SURFACES = ("table", "plane")
_LAMPS = ("led_link", "light_link")
_FIXED_JOINT = 4
"""pybullet.JOINT_FIXED"""


def turn_camera(engine: Engine, shifts: Sequence[Shift]) -> None:
    """Move the static camera; once for an engine."""
    shift = numbers.active(shifts).get("camera")
    if shift is None:
        return
    view = np.reshape(engine.static_view, (4, 4)).T  # OpenGL's order
    position, axes = numbers.camera_turn(shift).applied(-view[:3, :3].T @ view[:3, 3], view[:3, :3].T)
    view[:3, :3], view[:3, 3] = axes.T, -axes.T @ position
    engine.static_view = view.T.ravel().tolist()


def change_scene(engine: Engine, shifts: Sequence[Shift]) -> None:
    """Colours, friction and masses; after each reset, which loads the scene anew."""
    active = numbers.active(shifts)
    if "colour" in active:
        _repaint(engine, active["colour"])
    if "friction" in active:
        _change_friction(engine, numbers.ratio(active["friction"]))
    if "mass" in active:
        _change_mass(engine, numbers.ratio(active["mass"]))


def lit(image: np.ndarray, shifts: Sequence[Shift]) -> np.ndarray:
    """An image (H, W, 3) under shifted light. Of its renderers PyBullet's own takes a colour of the light, OpenGL does
    not; both draw in proportion to it, so that it can as well be multiplied afterwards."""
    shift = numbers.active(shifts).get("light")
    if shift is None:
        return image
    factors, _ = numbers.light_change(shift)
    return np.clip(np.rint(image * factors), 0, 255).astype(np.uint8)


def _repaint(engine: Engine, shift: Shift) -> None:
    """Colour every link of one shape; a texture is multiplied by the colour.

    Links of several shapes (slider and drawer of the primitive assets) stay as they are: PyBullet's software renderer
    draws them in the right colours once, and after a change in those of their first shape.
    """
    client = engine.client
    for name in _SURFACES:
        body = engine.body_ids[name]
        names = {link: client.getJointInfo(body, link)[12].decode() for link in _joints(engine, body)}
        shapes = client.getVisualShapeData(body)
        count = Counter(shape[1] for shape in shapes)
        for link, rgba in ((shape[1], np.array(shape[7])) for shape in shapes):
            surface = names.get(link, name)
            if surface not in _LAMPS and count[link] == 1:
                rgba[:3] = numbers.repainted(rgba[:3], shift, surface)
                client.changeVisualShape(body, link, rgbaColor=rgba.tolist())


def _change_friction(engine: Engine, ratio: float) -> None:
    """Bullet multiplies the friction of the two bodies in contact, so that each takes the root of the change."""
    for body in (engine.robot_id, *engine.body_ids.values()):
        for link in (-1, *_joints(engine, body)):
            friction = engine.client.getDynamicsInfo(body, link)[1]
            engine.client.changeDynamics(body, link, lateralFriction=friction * ratio**0.5)


def _change_mass(engine: Engine, ratio: float) -> None:
    for body, link in _moving(engine):
        mass, _, inertia = engine.client.getDynamicsInfo(body, link)[:3]
        engine.client.changeDynamics(
            body, link, mass=mass * ratio, localInertiaDiagonal=[value * ratio for value in inertia]
        )


def _moving(engine: Engine) -> Iterator[tuple[int, int]]:
    """Blocks and the moving parts of the table: body and link."""
    for body in engine.body_ids.values():
        if engine.client.getDynamicsInfo(body, -1)[0] > 0:
            yield body, -1
        for link in _joints(engine, body):
            if engine.client.getJointInfo(body, link)[2] != _FIXED_JOINT:
                yield body, link


def _joints(engine: Engine, body: int) -> range:
    return range(engine.client.getNumJoints(body))
