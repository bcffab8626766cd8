"""CALVIN's 34 task rules: each compares the world's `info()` when the task began with the one now.

The thresholds are CALVIN's (conf/tasks/new_playtable_tasks.yaml of calvin_env). A contact is one of pybullet's tuples:
its third item is the other body, its fifth the other body's link.
"""

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.spatial.transform import Rotation

from worldagen.config.checks import suggest

Info = dict[str, Any]
_TILT_LIMIT, _TURN_LIMIT, _SLIP_LIMIT = 30, 180, 0.1
"""A rotation counts while the block tilts by less than this (degrees), turns by less (degrees), slips by less (m)."""
_REST_SPEED = 1
"""m/s and rad/s: a stack counts while the block moves slower, along and about each axis."""


def completed(start: Info, current: Info, task: str) -> bool:
    """Whether `task`, begun at `start`, is achieved at `current`. Raises ValueError for an unknown task."""
    rules = _rules()
    if task not in rules:
        raise ValueError(f"CALVIN has no task {task!r}; {suggest(task, list(rules))}")
    rule, arguments = rules[task]
    return bool(rule(start, current, *arguments))


def rotated(start: Info, current: Info, block: str, degrees: float) -> bool:
    """The block turned about the vertical by more than `degrees` (negative: clockwise), hardly tilting or slipping,
    and lies on something."""
    before, now = _block(start, block), _block(current, block)
    turn = Rotation.from_quat(now["current_orn"]) * Rotation.from_quat(before["current_orn"]).inv()
    x, y, z = turn.as_euler("xyz", degrees=True)
    slipped = np.linalg.norm(_moved(before, now)) > _SLIP_LIMIT
    if slipped or not _bodies(now) - {_robot(start)}:
        return False
    turned = degrees < z < _TURN_LIMIT if degrees > 0 else -_TURN_LIMIT < z < degrees
    return turned and abs(x) < _TILT_LIMIT and abs(y) < _TILT_LIMIT


def pushed(start: Info, current: Info, block: str, x: float, y: float) -> bool:
    """The block moved by more than `x` (or `y`; the other is 0), still resting on all that it rested on."""
    before, now = _block(start, block), _block(current, block)
    robot = _robot(start)
    rested, rests = ({link for link in _links(info) if link[0] != robot} for info in (before, now))
    if not rested or not rested <= rests:
        return False
    axis, distance = (0, x) if x else (1, y)
    moved = _moved(before, now)[axis]
    return moved > distance if distance > 0 else moved < distance


def lifted(start: Info, current: Info, block: str, height: float, body: str, link: str) -> bool:
    """The block, which touched that link, is higher by more than `height` and touches nothing but the robot."""
    before, now = _block(start, block), _block(current, block)
    return (
        _moved(before, now)[2] > height
        and _bodies(now) == {_robot(start)}
        and _surface(start, body, link) in _links(before)
    )


def placed(start: Info, current: Info, body: str, link: str) -> bool:
    """The one block that the robot held, touching nothing else, is let go and touches that link."""
    held = _bodies(start["robot_info"])
    name = next((name for name, info in _blocks(start).items() if held == {info["uid"]}), None)
    if name is None or held & _bodies(current["robot_info"]):
        return False
    aloft = _bodies(_block(start, name)) == {_robot(start)}
    return aloft and _surface(current, body, link) in _links(_block(current, name))


def pushed_into(
    start: Info, current: Info, blocks: list[str], body: str, link: str, target_body: str, target_link: str
) -> bool:
    """One of the blocks, which touched only the one link, touches the other. (It may touch the robot now: calvin_env
    means to forbid that, but compares the robot's id with pairs of body and link.)"""
    source, target = _surface(start, body, link), _surface(current, target_body, target_link)
    return any(
        _links(_block(start, block)) == {source} and target in _links(_block(current, block)) for block in blocks
    )


def slid(start: Info, current: Info, joint: str, distance: float) -> bool:
    """The joint moved by more than `distance` m in the direction of its sign."""
    before, now = (info["scene_info"]["doors"][joint]["current_state"] for info in (start, current))
    return now - before > distance if distance > 0 else now - before < distance


def toggled(start: Info, current: Info, light: str, before: int, now: int) -> bool:
    """The light went from one state to the other."""
    states = [info["scene_info"]["lights"][light]["logical_state"] for info in (start, current)]
    return states == [before, now]


def stacked(start: Info, current: Info) -> bool:
    """A block that touched no other block now rests on nothing but blocks."""
    blocks = {info["uid"] for info in _blocks(start).values()}
    return any(
        not blocks & _bodies(before) and _only_on(blocks, now) and _rests(now)
        for before, now in zip(_blocks(start).values(), _blocks(current).values(), strict=True)
    )


def unstacked(start: Info, current: Info) -> bool:
    """A block that rested on nothing but blocks now touches none."""
    blocks = {info["uid"] for info in _blocks(start).values()}
    return any(
        _only_on(blocks, before) and not blocks & _bodies(now) and _rests(before)
        for before, now in zip(_blocks(start).values(), _blocks(current).values(), strict=True)
    )


Rule = tuple[Callable[..., bool], tuple[Any, ...]]
"""A function of two infos, and what it takes besides."""
_COLOURS = ("red", "blue", "pink")
_SURFACES = {"table": ("base_link", 0.05), "slider": ("plank_link", 0.03), "drawer": ("drawer_link", 0.05)}
"""Where a block may lie: link of the play table, and metres by which it must be lifted from there."""


@functools.cache
def _rules() -> dict[str, Rule]:
    """The rule of each task."""
    rules: dict[str, Rule] = {
        "stack_block": (stacked, ()),
        "unstack_block": (unstacked, ()),
        "push_into_drawer": (
            pushed_into,
            ([f"block_{colour}" for colour in _COLOURS], "table", "base_link", "table", "drawer_link"),
        ),
    }
    for colour in _COLOURS:
        rules |= _rules_of_block(colour)
    for side, sign in (("left", 1), ("right", -1)):
        rules[f"move_slider_{side}"] = slid, ("base__slide", sign * 0.15)
    for verb, sign in (("open", 1), ("close", -1)):
        rules[f"{verb}_drawer"] = slid, ("base__drawer", sign * 0.12)
    for place in ("slider", "drawer"):
        rules[f"place_in_{place}"] = placed, ("table", _SURFACES[place][0])
    for light in ("lightbulb", "led"):
        rules[f"turn_on_{light}"], rules[f"turn_off_{light}"] = (toggled, (light, 0, 1)), (toggled, (light, 1, 0))
    return rules


def _rules_of_block(colour: str) -> dict[str, Rule]:
    """Turned by 60 degrees (left is positive), pushed 0.1 m along x (right is positive), lifted."""
    name = f"block_{colour}"
    rules: dict[str, Rule] = {}
    for side, sign in (("left", 1), ("right", -1)):
        rules[f"rotate_{colour}_block_{side}"] = rotated, (name, sign * 60)
        rules[f"push_{colour}_block_{side}"] = pushed, (name, -sign * 0.1, 0)
    for place, (link, height) in _SURFACES.items():
        rules[f"lift_{colour}_block_{place}"] = lifted, (name, height, "table", link)
    return rules


def _robot(info: Info) -> int:
    return info["robot_info"]["uid"]


def _blocks(info: Info) -> dict[str, Info]:
    return info["scene_info"]["movable_objects"]


def _block(info: Info, name: str) -> Info:
    return _blocks(info)[name]


def _moved(before: Info, now: Info) -> np.ndarray:
    return np.subtract(now["current_pos"], before["current_pos"])


def _bodies(info: Info) -> set[int]:
    """What it touches."""
    return {contact[2] for contact in info["contacts"]}


def _links(info: Info) -> set[tuple[int, int]]:
    """What it touches, as body and link."""
    return {(contact[2], contact[4]) for contact in info["contacts"]}


def _surface(info: Info, body: str, link: str) -> tuple[int, int]:
    fixed = info["scene_info"]["fixed_objects"][body]
    return fixed["uid"], fixed["links"][link]


def _only_on(blocks: set[int], info: Info) -> bool:
    touched = _bodies(info)
    return bool(touched) and touched <= blocks


def _rests(info: Info) -> bool:
    return bool(np.all(np.abs([*info["current_lin_vel"], *info["current_ang_vel"]]) < _REST_SPEED))
