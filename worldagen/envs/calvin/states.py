"""Initial states: the simulator vectors (robot_obs, scene_obs) that an episode of a task can start from.

The first ones of a task are those of CALVIN's evaluation, the others are sampled; so training and evaluation never need
to share one.
"""

import itertools
import math

import numpy as np

from worldagen.envs.calvin.layouts import (
    BLOCK_HEIGHT,
    DRAWER_HEIGHT,
    LAYOUTS,
    SHELF_HEIGHT,
    TABLE_HEIGHT,
    Layout,
    Range,
)  # fmt: skip
from worldagen.envs.calvin.tasks import COLOURS, CONDITIONS, TASKS, WAYS, Situation, conditions_of

INIT_STATES = 1000
"""Initial states of each task."""
ROBOT_OBS = np.array(
    [
        0.02586889, -0.2313129, 0.5712808, 3.09045411, -0.02908596, 1.50013585, 0.07999963,
        -1.21779124, 1.03987629, 2.11978254, -2.34205014, -0.87015899, 1.64119093, 0.55344928, 1.0,
    ]
)  # fmt: skip
"""Where the arm starts in CALVIN's evaluation."""
_HOLDING = (
    (
        (-0.000183, -0.13063, 0.579981, 3.090405, -0.029204, 1.500176),
        (-0.9592, 0.8651, 2.045, -2.2159, -0.7978, 1.718, 0.6774),
    ),
    (
        (0.069325, -0.120995, 0.560029, 3.090381, -0.029249, 1.500136),
        (-0.8183, 0.8618, 1.8492, -2.0654, -0.8716, 1.7352, 0.5941),
    ),
    (
        (0.128844, -0.141114, 0.599646, 3.090266, -0.029425, 1.500093),
        (-0.7714, 0.8643, 1.8115, -1.8677, -0.8708, 1.6314, 0.4666),
    ),
)
"""Where the arm starts with a block in the hand, tool pose and joints: above the table, so that a block that is let go
falls on it, and not by chance into the drawer."""
_SWITCH_ON, _DRAWER_OPEN = 0.088, 0.22
_YAW: Range = (math.pi / 2 - math.pi / 8, math.pi / 2 + math.pi / 8)
_GRASP_WIDTH = 0.0398
"""Opening of the fingers around the narrow side (0.04 m) of a block; they touch it."""
_BLOCK_DISTANCE = 0.12
"""Metres between the centres of two blocks on the table; the longest is 0.08 m long."""
_USUAL, _OFF_USUAL = 0.5, 0.02
"""Share of the sampled states whose blocks on the table stand near CALVIN's two places for them, and how far off these
at most, in metres along x and y; in the others they stand anywhere on the table."""
_APART = ("table", "stacked_bottom", "grasped")
_ATTEMPTS = 1000


def initial_state(scene: str, task: str, init_state: int) -> tuple[np.ndarray, np.ndarray]:
    """robot_obs (15,) and scene_obs (24,), float64, of a task's initial state in a scene.

    States below `len(conditions_of(task))` are those of CALVIN's evaluation, in its order; the others are sampled from
    the index alone: one of the task's ways, the rest of the scene at random, everything a little off its usual place. A
    task that goes on with a block in the hand starts with it there, its gripper closed. Raises ValueError for one that
    does not exist.
    """
    layout, conditions = LAYOUTS[scene], conditions_of(_checked(task, init_state))
    if init_state < len(conditions):
        return ROBOT_OBS.copy(), evaluation_scene(CONDITIONS[conditions[init_state]], layout)
    random = _random(task, init_state)
    return _sampled(_situation(task, random), layout, random)


def situation_of(task: str, init_state: int) -> Situation:
    """The situation that an initial state of a task is an example of. Raises ValueError for one that does not exist."""
    conditions = conditions_of(_checked(task, init_state))
    if init_state < len(conditions):
        return CONDITIONS[conditions[init_state]]
    return _situation(task, _random(task, init_state))


def evaluation_scene(situation: Situation, layout: Layout = LAYOUTS["calvin_d"]) -> np.ndarray:
    """scene_obs (24,) that CALVIN's evaluation starts a situation from.

    In scene D equal to `get_env_state_for_initial_condition` of mees/calvin (calvin_agent/evaluation/utils.py), which
    seeds numpy with a hash of the situation's values.
    """
    random = np.random.RandomState(_fnv1(f"dict_values({list(situation.values())})"))
    table = list(layout.table_spots)
    random.shuffle(table)  # type: ignore[arg-type]
    scene_obs = _furniture(situation)
    scene_obs[0] = layout.slider_left if situation["slider"] == "left" else 0.0
    scene_obs[1] = _DRAWER_OPEN if situation["drawer"] == "open" else 0.0
    # A pink block that is alone on the table takes the second spot, any other the first.
    spots = iter(table if "table" in (situation["red_block"], situation["blue_block"]) else table[1:])
    for number, colour in enumerate(COLOURS):
        place = str(situation[f"{colour}_block"])
        spot = next(spots) if place == "table" else layout.shelf_spots[place]
        scene_obs[6 + 6 * number : 12 + 6 * number] = *spot, 0.0, 0.0, random.uniform(*_YAW)
    return scene_obs


def _checked(task: str, init_state: int) -> str:
    if not 0 <= init_state < INIT_STATES:
        raise ValueError(f"{task} has initial states 0 to {INIT_STATES - 1}, not {init_state}")
    return task


def _random(task: str, init_state: int) -> np.random.Generator:
    return np.random.default_rng([TASKS.index(task), init_state])


def _furniture(situation: Situation) -> np.ndarray:
    """scene_obs with switch and lights as in a situation, and zeros else."""
    scene_obs = np.zeros(24)
    scene_obs[3] = _SWITCH_ON if situation["lightbulb"] else 0.0
    scene_obs[4:6] = situation["lightbulb"], situation["led"]
    return scene_obs


def _situation(task: str, random: np.random.Generator) -> Situation:
    """A situation in which `task` can be done: one of CALVIN's initial conditions, changed to what the task needs."""
    for _ in range(_ATTEMPTS):
        way = WAYS[task][random.integers(len(WAYS[task]))]
        needs = {name: values[random.integers(len(values))] for name, values in way.needs.items()}
        situation = {**CONDITIONS[random.integers(len(CONDITIONS))], **needs}
        places = [situation[f"{colour}_block"] for colour in COLOURS]
        if all(places.count(place) < 2 for place in ("slider_left", "slider_right")):
            return situation
    raise RuntimeError(f"found no situation for {task}")


def _sampled(situation: Situation, layout: Layout, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """robot_obs and scene_obs of a situation, with everything that has a range placed at random in it."""
    robot_obs, scene_obs = ROBOT_OBS.copy(), _furniture(situation)
    left = situation["slider"] == "left"
    scene_obs[0] = random.uniform(layout.slider_left - 0.02, layout.slider_left) if left else random.uniform(0.0, 0.02)
    scene_obs[1] = random.uniform(*((0.18, 0.22) if situation["drawer"] == "open" else (0.0, 0.02)))
    if situation["grasped"]:
        tool, joints = _HOLDING[random.integers(len(_HOLDING))]
        robot_obs = np.array([*tool, _GRASP_WIDTH, *joints, -1.0])
    places = [str(situation[f"{colour}_block"]) for colour in COLOURS]
    scene_obs[6:] = _blocks(places, robot_obs[:6], layout, random).ravel()
    return robot_obs, scene_obs


def _blocks(places: list[str], tool: np.ndarray, layout: Layout, random: np.random.Generator) -> np.ndarray:
    """Poses (3, 6) of the blocks, each in its place; those on the table, or above it in the hand, apart from each
    other."""
    for _ in range(_ATTEMPTS):
        spots = list(random.permutation(layout.table_spots)) if random.random() < _USUAL else []
        poses = np.array([_pose(place, tool, layout, random, spots) for place in places])
        if "stacked_top" in places:
            top, bottom = places.index("stacked_top"), places.index("stacked_bottom")
            poses[top] = poses[bottom] + [0, 0, BLOCK_HEIGHT, 0, 0, 0]
        apart = [pose for pose, place in zip(poses, places, strict=True) if place in _APART]
        if all(math.dist(a[:2], b[:2]) > _BLOCK_DISTANCE for a, b in itertools.combinations(apart, 2)):
            return poses
    raise RuntimeError(f"found no room for blocks at {places}")


def _pose(
    place: str, tool: np.ndarray, layout: Layout, random: np.random.Generator, spots: list[np.ndarray]
) -> list[float]:
    """Position and Euler angles (6) of a block; a stacked one stands on the table for the time being.

    One on the table takes the last of `spots`, as long as there are any.
    """
    if place == "table" and spots:
        x, y, z = spots.pop()
        aside = random.uniform(-_OFF_USUAL, _OFF_USUAL, 2)
        return [x + aside[0], y + aside[1], z, 0.0, 0.0, random.uniform(*_YAW)]
    if place == "grasped":
        return [*tool[:3], tool[3] - math.pi, *tool[4:]]  # as straight as the fingers, which point down
    if place in layout.shelf:
        ranges, height, yaw = (layout.shelf[place], layout.shelf_depth), SHELF_HEIGHT, _YAW
    elif place == "drawer":
        ranges, height, yaw = (layout.drawer, layout.drawer_depth), DRAWER_HEIGHT, (0.0, math.pi)
    else:
        ranges, height, yaw = (layout.table, layout.table_depth), TABLE_HEIGHT, (0.0, math.pi)
    return [*(random.uniform(*range_) for range_ in ranges), height, 0.0, 0.0, random.uniform(*yaw)]


def _fnv1(text: str) -> int:
    """FNV-1, 32 bits, from zero over UTF-16: what pyhash's fnv1_32 gives for a Python string."""
    value = 0
    for byte in text.encode("utf-16-le"):
        value = (value * 0x01000193) & 0xFFFFFFFF ^ byte
    return value
