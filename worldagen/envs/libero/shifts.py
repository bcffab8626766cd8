"""Shifts inside LIBERO: edits of a task's compiled model, made once, before its first episode.

They touch what is drawn (camera, light, colour), what bodies are like (friction, mass) or where the robot stands
(table_height), so initial states, placements and goals hold as they are.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from worldagen.envs import shifts as numbers
from worldagen.types import Shift

_ROBOT = ("robot0", "mount0", "gripper0")
"""What the names of the robot's bodies begin with."""
_BASE = "robot0_base"
_UNPAINTED = np.array([0.5, 0.5, 0.5, 1.0], np.float32)
"""A geom of exactly this colour is drawn in that of its material."""


def apply_shifts(sim: Any, camera: str, shifts: Sequence[Shift]) -> None:
    """Change the model of `sim` (robosuite's MjSim, with its rendering context) and what follows from it.

    `camera` names the fixed camera. Call it once for a compiled model.
    """
    active = numbers.active(shifts)
    for name, change in _CHANGES.items():
        if name in active:
            change(sim, active[name])
    if "camera" in active:
        _turn_camera(sim, camera, active["camera"])
    if "table_height" in active:
        _lower_robot(sim, camera, numbers.table_raise(active["table_height"]))


def robots_floor(shifts: Sequence[Shift]) -> np.ndarray:
    """float64 (3,), metres: the origin of the robot's world in that of the simulator.

    A table that is higher is a robot that stands lower: nothing but the robot, its camera and what it measures differs,
    and all that rests on the table stays where the initial state has it.
    """
    shift = numbers.active(shifts).get("table_height")
    return np.array([0.0, 0.0, -numbers.table_raise(shift) if shift else 0.0])


def _turn_camera(sim: Any, name: str, shift: Shift) -> None:
    import mujoco  # MUJOCO_GL is chosen by now

    model = sim.model._model
    camera = model.camera(name)
    flat = np.zeros(9)
    mujoco.mju_quat2Mat(flat, camera.quat)
    camera.pos[:], axes = numbers.camera_turn(shift).applied(camera.pos, flat.reshape(3, 3))
    mujoco.mju_mat2Quat(camera.quat, axes.ravel())


def _lower_robot(sim: Any, camera: str, metres: float) -> None:
    model = sim.model._model
    for moved in (model.body(_BASE), model.camera(camera)):
        moved.pos[2] -= metres


def _change_light(sim: Any, shift: Shift) -> None:
    model = sim.model._model
    factors, angle = numbers.light_change(shift)
    for lights in (model.light_diffuse, model.light_ambient, model.light_specular):
        lights *= factors
    for name in ("ambient", "diffuse", "specular"):
        getattr(model.vis.headlight, name)[:] *= factors
    turn = numbers.rotation(np.array([0.0, 0.0, 1.0]), angle)
    for vectors in (model.light_pos, model.light_dir):
        vectors[:] = vectors @ turn.T


def _repaint(sim: Any, shift: Shift) -> None:
    """Colours of geoms and materials, and the pixels of textures. What belongs together has one new colour."""
    model = sim.model._model
    surfaces = [geom for geom in range(model.ngeom) if not _robots(model, model.geom_bodyid[geom])]
    for geom in surfaces:
        if model.geom_matid[geom] == -1 or (model.geom_rgba[geom] != _UNPAINTED).any():
            model.geom_rgba[geom, :3] = numbers.repainted(model.geom_rgba[geom, :3], shift, _owner(model, geom))
    for material in {int(model.geom_matid[geom]) for geom in surfaces} - {-1}:
        textures = set(model.mat_texid[material].tolist()) - {-1}
        for texture in textures:
            _repaint_texture(sim, texture, shift)
        if not textures:
            name = model.material(material).name
            model.mat_rgba[material, :3] = numbers.repainted(model.mat_rgba[material, :3], shift, name)


def _repaint_texture(sim: Any, texture: int, shift: Shift) -> None:
    import mujoco  # MUJOCO_GL is chosen by now

    model, context = sim.model._model, sim._render_context_offscreen
    start, channels = model.tex_adr[texture], model.tex_nchannel[texture]
    size = model.tex_height[texture] * model.tex_width[texture] * channels
    pixels = model.tex_data[start : start + size].reshape(-1, channels)
    painted = numbers.repainted(pixels[:, :3] / np.float32(255), shift, model.texture(texture).name)
    pixels[:, :3] = np.rint(255 * painted).astype(np.uint8)
    context.gl_ctx.make_current()
    mujoco.mjr_uploadTexture(model, context.con, texture)


def _change_friction(sim: Any, shift: Shift) -> None:
    sim.model._model.geom_friction[:, 0] *= numbers.ratio(shift)


def _change_mass(sim: Any, shift: Shift) -> None:
    import mujoco  # MUJOCO_GL is chosen by now

    model = sim.model._model
    moving = [body for body in range(model.nbody) if model.body_weldid[body] and not _robots(model, body)]
    model.body_mass[moving] *= numbers.ratio(shift)
    model.body_inertia[moving] *= numbers.ratio(shift)
    mujoco.mj_setConst(model, sim.data._data)


def _robots(model: Any, body: int) -> bool:
    return model.body(model.body_rootid[body]).name.startswith(_ROBOT)


def _owner(model: Any, geom: int) -> str:
    """Name of the object, fixture or arena that a geom is part of."""
    return model.body(model.body_rootid[model.geom_bodyid[geom]]).name


_CHANGES: dict[str, Callable[[Any, Shift], None]] = {
    "light": _change_light,
    "colour": _repaint,
    "friction": _change_friction,
    "mass": _change_mass,
}
