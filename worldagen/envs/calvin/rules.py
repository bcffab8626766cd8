"""CALVIN's 34 task rules: each compares the world's `info()` when the task began with the one now.

Which rule with which numbers decides a task is data (data/task_oracle.yaml); here is what the rules mean. A contact is
one of pybullet's tuples: its third item is the other body, its fifth the other body's link.
"""

import functools
from collections.abc import Callable
from importlib import resources
from typing import Any

import numpy as np
import yaml
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


_BY_NAME: dict[str, Callable[..., bool]] = {
    "rotate_object": rotated,
    "push_object": pushed,
    "lift_object": lifted,
    "place_object": placed,
    "push_object_into": pushed_into,
    "move_door_rel": slid,
    "toggle_light": toggled,
    "stack_objects": stacked,
    "unstack_objects": unstacked,
}


@functools.cache
def _rules() -> dict[str, tuple[Callable[..., bool], list[Any]]]:
    text = (resources.files("worldagen.envs.calvin") / "data" / "task_oracle.yaml").read_text()
    return {task: (_BY_NAME[rule], arguments) for task, (rule, *arguments) in yaml.safe_load(text)["tasks"].items()}


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
