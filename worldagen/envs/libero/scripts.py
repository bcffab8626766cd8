"""What scripted experts do: carry a thing somewhere, pull a drawer open, push a thing, turn a knob; or one by one.

A script maps the scene and the gripper's last command to the next action and remembers nothing else. The gripper's last
command is part of the state that every policy sees.
"""

from collections.abc import Callable

import numpy as np
from scipy.spatial.transform import Rotation

from worldagen.envs.libero.motion import DOWN, arm_action, funnel, turned
from worldagen.envs.libero.scene import Scene
from worldagen.envs.motion import CLOSE, OPEN, UP

Script = Callable[[Scene, float], np.ndarray | None]
"""(scene, last gripper command) -> float32 (7,) action, or None when there is nothing left to do."""
Place = Callable[[Scene], np.ndarray]
"""scene -> float64 (3,) world position in metres."""
Offset = tuple[float, float, float]

_NEAR, _LOST = 0.025, 0.04
"""Metres from the grasp within which the fingers close, and beyond which they open again."""
_PUSH = 0.025
"""Metres ahead of the tool that are asked for while pushing: the arm's full speed."""
_GIVES = 0.05
"""Metres that an open drawer may be pushed back by what is done next."""


def to_body(name: str, offset: Offset = (0.0, 0.0, 0.0)) -> Place:
    return lambda scene: scene.body(name) + offset


def to_site(name: str, offset: Offset = (0.0, 0.0, 0.0)) -> Place:
    return lambda scene: scene.site(name) + offset


def carry(
    thing: str,
    grasp: Offset,
    to: Place,
    clearance: float,
    hand: np.ndarray = DOWN,
    approach: float = 0.08,
    slope: float = 2.0,
    let_go: float = 0.0,
) -> Script:
    """Grasp body `thing` at `grasp` from its origin; carry the origin `to` a place, entered from `clearance` above.

    Above is where the `hand` (3, 3) comes from: it nears the thing, from `approach` above, and the place along its own
    axis, the steeper the higher the `slope`. The fingers let go of a thing that is as low as the place and less than
    `let_go` metres beside it; at 0 they hold on.
    """
    above = -hand[:, 2]

    def script(scene: Scene, gripper: float) -> np.ndarray | None:
        here = scene.body(thing)
        offset, left = here + grasp - scene.tool, to(scene) - here
        if left[2] > -0.01 and np.hypot(left[0], left[1]) < let_go:
            near = np.linalg.norm(offset) < approach
            return arm_action(_PUSH * above, scene.tool_rotation, hand, OPEN) if near else None
        gripper = _grip(scene, offset, gripper)
        held = gripper == CLOSE and scene.fingers_stalled
        way = funnel(left, clearance, above, slope) if held else funnel(offset, approach, above, slope)
        return arm_action(way, scene.tool_rotation, hand, gripper)

    return script


def in_turn(*scripts: Script) -> Script:
    """The first script that has something left to do."""

    def script(scene: Scene, gripper: float) -> np.ndarray | None:
        return next((action for one in scripts if (action := one(scene, gripper)) is not None), None)

    return script


def pull_drawer(drawer: str, handle: Offset, joint: str = "", enough: float = 0.0) -> Script:
    """Take the handle, given in the drawer's frame, from the front and pull it along the world's y axis.

    The hand comes in a little from above: level, it would run into what stands in front of the cabinet; steeper, into
    the handle of the drawer above. It pulls no further ahead of the handle than fingers can slip and still hold it.
    With a `joint`, it lets go and backs off once that is below `enough` metres.
    """
    forward, pull = turned("x", -77), np.array([0.0, 0.02, 0.0])

    def script(scene: Scene, gripper: float) -> np.ndarray | None:
        offset = scene.body(drawer) + scene.body_rotation(drawer) @ handle - scene.tool
        at_handle = np.linalg.norm(offset) < 0.05 and scene.tool_rotation[:, 2] @ forward[:, 2] > 0.8
        if joint and scene.joint(joint) < (enough if at_handle else enough + _GIVES):
            return arm_action(-_PUSH * forward[:, 2], scene.tool_rotation, forward, OPEN) if at_handle else None
        gripper = _grip(scene, offset, gripper)
        held = gripper == CLOSE and scene.fingers_stalled
        way = offset + pull if held else funnel(offset, 0.1, axis=-forward[:, 2])
        return arm_action(way, scene.tool_rotation, forward, gripper)

    return script


def push(thing: str, to: Place, reach: float, height: float) -> Script:
    """Push body `thing` along the table to a place with open fingers, `reach` behind and `height` above its origin.

    Two fingertips across the way keep it from slipping aside. The hand leans over the thing, clear of what is behind.
    """

    def script(scene: Scene, gripper: float) -> np.ndarray:
        left = to(scene) - scene.body(thing)
        heading = np.arctan2(left[1], left[0])
        ahead = np.array([np.cos(heading), np.sin(heading), 0.0])
        half_turns = round(heading / np.pi)  # the wrist turns by 90 degrees at most
        across = Rotation.from_euler("z", heading - half_turns * np.pi).as_matrix()
        hand = across @ turned("y", -30 if half_turns else 30)
        offset = scene.body(thing) - reach * ahead + height * UP - scene.tool
        aside = offset - (offset @ ahead) * ahead
        behind = np.linalg.norm(aside) < 0.02 and offset @ ahead < 0.02
        way = _PUSH * ahead + aside if behind else funnel(offset, 0.08, -hand[:, 2])
        return arm_action(way, scene.tool_rotation, hand, OPEN)

    return script


def turn_knob(knob: str, joint: str = "", enough: float = 0.6) -> Script:
    """Straddle the near end of the knob's ridge with open fingers and sweep it sideways.

    The fingertips lean towards the robot: pointing straight down that near to its base, the wrist is almost singular.
    With a `joint`, the knob is let be once that has turned by `enough` radians.
    """
    leaning, end = turned("y", 20), np.array([-0.03, 0.0, 0.035])

    def script(scene: Scene, gripper: float) -> np.ndarray | None:
        if joint and scene.joint(joint) > enough:
            return None
        offset = scene.body(knob) + end - scene.tool
        way = [offset[0], -_PUSH, offset[2]] if offset[2] > -0.015 else funnel(offset, 0.06, slope=3.0)
        return arm_action(way, scene.tool_rotation, leaning, OPEN)

    return script


def _grip(scene: Scene, offset: np.ndarray, gripper: float) -> float:
    """Close the fingers where they can grasp; open them when the grasp is lost, then fully before the next try."""
    distance = np.linalg.norm(offset)
    if gripper == OPEN:
        return CLOSE if distance < _NEAR and scene.fingers_open else OPEN
    return OPEN if distance > _LOST or scene.fingers_shut else CLOSE
