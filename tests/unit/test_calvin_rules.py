"""CALVIN's task rules on made-up situations, and against calvin_env's own where there is a checkout."""

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from worldagen.envs.calvin.package import find_checkout, load
from worldagen.envs.calvin.rules import completed
from worldagen.envs.calvin.tasks import TASKS

ROBOT, RED, BLUE, PINK, TABLE = 0, 2, 3, 4, 5
LINKS = {"base_link": -1, "drawer_link": 3, "plank_link": 6}
ON_TABLE = (TABLE, -1)
BLOCKS = {"block_red": RED, "block_blue": BLUE, "block_pink": PINK}


def info() -> dict[str, Any]:
    """All blocks on the table, a meter apart."""
    return {
        "robot_info": {"uid": ROBOT, "contacts": ()},
        "scene_info": {
            "fixed_objects": {"table": {"uid": TABLE, "links": LINKS, "contacts": ()}},
            "movable_objects": {
                name: {
                    "uid": uid,
                    "current_pos": (float(uid), 0.0, 0.46),
                    "current_orn": (0.0, 0.0, 0.0, 1.0),
                    "current_lin_vel": (0.0, 0.0, 0.0),
                    "current_ang_vel": (0.0, 0.0, 0.0),
                    "contacts": touching(ON_TABLE),
                }
                for name, uid in BLOCKS.items()
            },
            "doors": {"base__slide": {"current_state": 0.0}, "base__drawer": {"current_state": 0.0}},
            "lights": {"lightbulb": {"logical_state": 0}, "led": {"logical_state": 0}},
        },
    }


def touching(*others: tuple[int, int]) -> tuple[tuple[int, int, int, int, int], ...]:
    """Contacts, as pybullet lists them, with (body, link) each."""
    return tuple((0, 99, body, -1, link) for body, link in others)


def block(state: dict[str, Any], name: str = "block_red") -> dict[str, Any]:
    return state["scene_info"]["movable_objects"][name]


def achieved(start: dict[str, Any], current: dict[str, Any]) -> set[str]:
    return {task for task in TASKS if completed(start, current, task)}


Change = Callable[[dict[str, Any]], Any]


def turn(degrees: float, tilt: float = 0.0) -> Change:
    quaternion = Rotation.from_euler("xyz", [tilt, 0, degrees], degrees=True).as_quat()
    return lambda state: block(state).update(current_orn=tuple(quaternion))


def shift(x: float = 0.0, z: float = 0.0) -> Change:
    return lambda state: block(state).update(current_pos=(RED + x, 0.0, 0.46 + z))


def touch(*others: tuple[int, int]) -> Change:
    return lambda state: block(state).update(contacts=touching(*others))


def hold(*others: tuple[int, int]) -> Change:
    return lambda state: state["robot_info"].update(contacts=touching(*others))


def slide(joint: str, position: float) -> Change:
    return lambda state: state["scene_info"]["doors"][joint].update(current_state=position)


def light(name: str, on: int) -> Change:
    return lambda state: state["scene_info"]["lights"][name].update(logical_state=on)


def speed(value: float) -> Change:
    return lambda state: block(state).update(current_lin_vel=(0.0, 0.0, value))


HELD = (touch((ROBOT, 10)), hold((RED, -1)))
RED_ON_BLUE = touch((BLUE, -1))


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ((), (), set()),
        ((), (turn(61),), {"rotate_red_block_left"}),
        ((), (turn(-61),), {"rotate_red_block_right"}),
        ((), (turn(59),), set()),
        ((), (turn(61, tilt=31),), set()),
        ((), (turn(61), shift(x=0.101)), {"push_red_block_right"}),
        ((), (turn(61), touch((ROBOT, 10))), set()),
        ((), (shift(x=0.11),), {"push_red_block_right"}),
        ((), (shift(x=-0.11),), {"push_red_block_left"}),
        ((), (shift(x=0.09),), set()),
        ((), (shift(x=0.11), touch((TABLE, 3))), {"push_into_drawer"}),
        ((touch(ON_TABLE, (ROBOT, 10)),), (shift(x=0.11), touch(ON_TABLE)), {"push_red_block_right"}),
        ((), (shift(z=0.051), touch((ROBOT, 10))), {"lift_red_block_table"}),
        ((), (shift(z=0.051), touch((ROBOT, 10), ON_TABLE)), set()),
        ((), (shift(z=0.049), touch((ROBOT, 10))), set()),
        ((touch((TABLE, 6)),), (shift(z=0.031), touch((ROBOT, 10))), {"lift_red_block_slider"}),
        ((touch((TABLE, 3)),), (shift(z=0.051), touch((ROBOT, 10))), {"lift_red_block_drawer"}),
        (HELD, (touch((TABLE, 6)), hold()), {"place_in_slider"}),
        (HELD, (touch((TABLE, 3)), hold()), {"place_in_drawer"}),
        (HELD, (touch((TABLE, 3)), hold((RED, -1))), set()),
        ((*HELD, hold((RED, -1), (TABLE, 3))), (touch((TABLE, 3)), hold()), set()),
        ((), (touch((TABLE, 3)),), {"push_into_drawer"}),
        ((touch(ON_TABLE, (ROBOT, 10)),), (touch((TABLE, 3)),), set()),
        ((), (RED_ON_BLUE,), {"stack_block"}),
        ((), (touch((BLUE, -1), (ROBOT, 10)),), set()),
        ((), (RED_ON_BLUE, speed(1.1)), set()),
        ((RED_ON_BLUE,), (touch(ON_TABLE),), {"unstack_block"}),
        ((RED_ON_BLUE, speed(-1.1)), (touch(ON_TABLE),), set()),
        ((), (slide("base__slide", 0.16),), {"move_slider_left"}),
        ((slide("base__slide", 0.2),), (slide("base__slide", 0.04),), {"move_slider_right"}),
        ((), (slide("base__drawer", 0.13),), {"open_drawer"}),
        ((slide("base__drawer", 0.13),), (slide("base__drawer", 0.02),), set()),
        ((slide("base__drawer", 0.2),), (slide("base__drawer", 0.07),), {"close_drawer"}),
        ((), (light("lightbulb", 1),), {"turn_on_lightbulb"}),
        ((light("lightbulb", 1),), (), {"turn_off_lightbulb"}),
        ((), (light("led", 1),), {"turn_on_led"}),
        ((light("led", 1),), (), {"turn_off_led"}),
    ],
)
def test_a_change_is_these_tasks_and_no_others(
    before: tuple[Change, ...], after: tuple[Change, ...], expected: set[str]
) -> None:
    start, current = info(), info()
    for change in before:
        change(start)
    for change in after:
        change(current)
    assert achieved(start, current) == expected


def random_info(random: np.random.Generator) -> dict[str, Any]:
    """A situation in which any rule may hold."""
    state = info()
    touchable = [ON_TABLE, (TABLE, 3), (TABLE, 6), (ROBOT, 10), (RED, -1), (BLUE, -1), (PINK, -1)]

    def some(most: int) -> list[tuple[int, int]]:
        return [touchable[i] for i in random.choice(len(touchable), random.integers(most + 1), replace=False)]

    for name, uid in BLOCKS.items():
        others = [(ROBOT, 10)] if random.random() < 0.2 else [link for link in some(2) if link[0] != uid]
        angles = random.normal(0, [15, 15, 80])
        block(state, name).update(
            current_pos=tuple(np.array([uid, 0.0, 0.46]) + random.normal(0, 0.08, 3) * random.integers(0, 2, 3)),
            current_orn=tuple(Rotation.from_euler("xyz", angles, degrees=True).as_quat()),
            current_lin_vel=tuple(random.normal(0, 0.5, 3)),
            current_ang_vel=tuple(random.normal(0, 0.5, 3)),
            contacts=touching(*others),
        )
    state["robot_info"]["contacts"] = touching(*(link for link in some(1) if link[0] != ROBOT))
    for joint in state["scene_info"]["doors"].values():
        joint["current_state"] = random.uniform(0, 0.3)
    for lamp in state["scene_info"]["lights"].values():
        lamp["logical_state"] = int(random.integers(2))
    return state


@pytest.mark.skipif(find_checkout() is None, reason="no checkout of calvin_env here")
def test_verdicts_are_those_of_calvin_env() -> None:
    """On 2,000 random pairs of situations; every task is achieved in some of them."""
    from omegaconf import OmegaConf

    root = find_checkout()
    assert root is not None
    load(root)
    from calvin_env.envs.tasks import Tasks

    theirs = Tasks(OmegaConf.load(root / "conf/tasks/new_playtable_tasks.yaml").tasks)
    assert set(theirs.tasks) == set(TASKS)
    random = np.random.default_rng(0)
    seen: set[str] = set()
    for _ in range(2000):
        start, current = random_info(random), random_info(random)
        if random.random() < 0.5:  # rules compare: often only one block differs
            changed = copy.deepcopy(start)
            block(changed).update(block(current))
            current = changed
        verdict = theirs.get_task_info(start, current)
        assert achieved(start, current) == verdict
        seen |= verdict
    assert seen == set(TASKS)
