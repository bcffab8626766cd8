"""The Panda arm with CALVIN's long fingers: the same joints, masses and fingertips; links of a few convex solids.

Joint origins and limits, masses and centres are facts of the Panda (calvin_env's panda_longer_finger.urdf); the solids
are as large as the meshes they stand for.
"""

import math
from collections.abc import Sequence
from pathlib import Path

from worldagen.envs.calvin.native.primitive.meshes import CAMERA_DIRECTION, View
from worldagen.envs.calvin.native.primitive.solids import Solid, box, loft, prism, tube
from worldagen.envs.calvin.native.primitive.urdf import Joint, Link, Material, Part, Vector, write_urdf

_WHITE, _GRAY = Material((0.95, 0.95, 0.95)), Material((0.72, 0.73, 0.75))
_X, _Y, _Z = 0, 1, 2
_QUARTER = math.pi / 2
_FINGER_CONTACT = {
    "friction_anchor": None,
    "stiffness": 30000.0,
    "damping": 1000.0,
    "spinning_friction": 0.1,
    "lateral_friction": 1.0,
}
_TIP_CONTACT = {"lateral_friction": 1.0, "spinning_friction": 0.001}
_FINGER = ((0.0062, 0.0002), (0.027, 0.0002), (0.0215, 0.0343), (0.0068, 0.0964), (0.0039, 0.0962), (0.0039, 0.0647))
"""Outline (y, z) of a finger as it collides: the hull of what is seen."""
_KNUCKLE = ((0.003, 0.0), (0.028, 0.0), (0.027, 0.02), (0.012, 0.026), (0.007, 0.02))
_BLADE = ((0.012, 0.022), (0.022, 0.024), (0.015, 0.05), (0.0068, 0.0964), (0.0039, 0.0962), (0.0034, 0.045))
_GEL = box((0.0161, 0.0210), (-0.0092, 0.0092), (0.0047, 0.0297))
"""The pad at the end of a finger: what touches things. CALVIN's is 1 mm thinner, but a mesh, which Bullet rounds up:
around a block, fingers 0.0398 m apart touch it on either side."""
_R = 0.055
_ARM: tuple[tuple[float, Vector, tuple[Solid, ...]], ...] = (
    (2.7, (0, -0.04, -0.05), (tube(_Z, (-0.192, -0.04), _R), tube(_Y, (-0.129, 0.0), _R))),
    (2.73, (0, -0.04, 0.06), (tube(_Y, (-0.194, -0.04), _R), tube(_Z, (0.0, 0.129), _R))),
    (
        2.04,
        (0.01, 0.01, -0.05),
        (loft(_Z, (-0.121, _R, (0, 0)), (-0.04, 0.05, (0.02, 0.01))), tube(_Y, (0.0, 0.111), _R, (0.0825, 0.0))),
    ),
    (
        2.08,
        (-0.03, 0.03, 0.02),
        (tube(_Z, (0.0, 0.111), _R), loft(_Y, (0.03, 0.05, (-0.06, 0.03)), (0.124, _R, (-0.0825, 0.0)))),
    ),
    (
        3.0,
        (0, 0.04, -0.12),
        (
            tube(_Z, (-0.265, -0.2), _R),
            loft(_Z, (-0.21, 0.045, (0, 0.01)), (-0.03, 0.03, (0, 0.075))),
            tube(_Y, (0.016, 0.129), 0.05),
        ),
    ),
    (1.3, (0.04, 0, 0), (tube(_Z, (-0.015, 0.055), 0.047), tube(_Y, (-0.051, 0.08), 0.044, (0.088, 0.0)))),
    (0.2, (0, 0, 0.08), (tube(_Z, (0.052, 0.107), 0.044),)),
)
"""Mass (kg), its centre and the solids of links 1 to 7."""
_ARM_JOINTS: tuple[tuple[Vector, float, tuple[float, float], float, float], ...] = (
    ((0, 0, 0.333), 0.0, (-2.9671, 2.9671), 87, 2.175),
    ((0, 0, 0), -_QUARTER, (-1.8326, 1.8326), 87, 2.175),
    ((0, -0.316, 0), _QUARTER, (-2.9671, 2.9671), 87, 2.175),
    ((0.0825, 0, 0), _QUARTER, (-3.1416, 0.0), 87, 2.175),
    ((-0.0825, 0.384, 0), -_QUARTER, (-2.9671, 2.9671), 12, 2.61),
    ((0, 0, 0), _QUARTER, (-0.0873, 3.8223), 12, 2.61),
    ((0.088, 0, 0), _QUARTER, (-2.9671, 2.9671), 12, 2.61),
)
"""Origin (m), turn about x (rad), limits (rad), effort (Nm) and velocity (rad/s) of joints 1 to 7."""


def write_panda(path: Path) -> Path:
    return write_urdf(path, _links(), [*_arm_joints(), *_hand_joints()])


def write_pedestal(path: Path) -> Path:
    """What the arm stands on; nothing touches it."""
    part = Part((tube(_Z, (0.0, 0.24), 0.12),), Material(), collides=False)
    return write_urdf(path, [Link("link0", (part,), view=View(CAMERA_DIRECTION, ((0, 0, -1), (0, 0, 1))))])


def _links() -> list[Link]:
    base = (box((-0.154, 0.072), (-0.09, 0.09), (0, 0.06)), loft(_Z, (0.06, 0.075, (0, 0)), (0.14, _R, (0, 0))))
    hand = prism(_Y, (-0.102, 0.1), ((-0.03, -0.006), (-0.016, -0.026), (0.016, -0.026), (0.03, -0.006),
                                     (0.032, 0.006), (0.017, 0.066), (-0.017, 0.066), (-0.032, 0.006)))  # fmt: skip
    arm = [
        Link(f"panda_link{number}", (Part(solids, _WHITE if number % 2 else _GRAY),), mass, centre)
        for number, (mass, centre, solids) in enumerate(_ARM, 1)
    ]
    return [
        Link("panda_link0", (Part(base, _WHITE),), 2.9, (0, 0, 0.05)),
        *arm,
        Link("panda_link8"),
        Link("panda_hand", (Part((hand,), _WHITE),), 0.81, (0, 0, 0.04)),
        _finger("panda_leftfinger", 1),
        Link("finger_left_tip", (Part((_GEL,), _GRAY),), 0.0001, contact=_TIP_CONTACT),
        _finger("panda_rightfinger", -1),
        Link("finger_right_tip", (Part((_GEL,), _GRAY),), 0.0001, contact=_TIP_CONTACT),
        Link("panda_grasptarget"),
        Link(
            "gripper_cam",
            (Part((box((-0.04, 0.04), (-0.0125, 0.0125), (-0.005, 0.005)),), _WHITE, collides=False),),
            0.2,
        ),
        Link("tcp", mass=0.00001),
    ]


def _finger(name: str, side: int) -> Link:
    def drawn_out(outline: Sequence[tuple[float, float]]) -> Solid:
        return prism(_X, (-0.0104, 0.0104), [(side * y, z) for y, z in outline])

    hull = Part((drawn_out(_FINGER),), _WHITE, drawn=False)
    look = Part((drawn_out(_KNUCKLE), drawn_out(_BLADE)), _WHITE, collides=False)
    return Link(name, (hull, look), 0.1, (0, side * 0.01, 0.02), contact=_FINGER_CONTACT)


def _arm_joints() -> list[Joint]:
    return [
        Joint(
            f"panda_joint{number}", "revolute", f"panda_link{number - 1}", f"panda_link{number}",
            xyz, (turn, 0, 0), (0, 0, 1), limits, effort, velocity,
        )
        for number, (xyz, turn, limits, effort, velocity) in enumerate(_ARM_JOINTS, 1)
    ]  # fmt: skip


def _hand_joints() -> list[Joint]:
    def fixed(name: str, parent: str, child: str, xyz: Vector = (0, 0, 0), rpy: Vector = (0, 0, 0)) -> Joint:
        return Joint(name, "fixed", parent, child, xyz, rpy)

    def finger(number: int, child: str, side: int) -> Joint:
        return Joint(
            f"panda_finger_joint{number}", "prismatic", "panda_hand", child, (0, 0, 0.0584), axis=(0, side, 0),
            limits=(0.0, 0.04), effort=20, velocity=0.2,
        )  # fmt: skip

    return [
        fixed("panda_joint8", "panda_link7", "panda_link8", (0, 0, 0.107)),
        fixed("panda_hand_joint", "panda_link8", "panda_hand", rpy=(0, 0, -math.pi / 4)),
        finger(1, "panda_leftfinger", 1),
        fixed("joint_finger_tip_left", "panda_leftfinger", "finger_left_tip", (0.0009, 0.021, 0.066), (0, 0, -1.57)),
        finger(2, "panda_rightfinger", -1),
        fixed(
            "joint_finger_tip_right", "panda_rightfinger", "finger_right_tip", (-0.0009, -0.021, 0.066), (0, 0, 1.57)
        ),
        fixed("panda_grasptarget_hand", "panda_hand", "panda_grasptarget", (0, 0, 0.105)),
        fixed("camera_joint", "panda_hand", "gripper_cam", (-0.1, 0, 0), (1.3, 0, -1.57)),
        fixed("tcp_joint", "panda_hand", "tcp", (0, 0, 0.14)),
    ]
