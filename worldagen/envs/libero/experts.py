"""Scripted experts for LIBERO tasks: closed-loop actions from the simulator's ground truth."""

from collections.abc import Iterator

import numpy as np

from worldagen.envs.libero.env import LiberoEnv
from worldagen.envs.libero.motion import DOWN, OPEN, turned
from worldagen.envs.libero.scene import Scene
from worldagen.envs.libero.scripts import Offset, Place, Script, carry, in_turn, pull_drawer, push, turn_knob
from worldagen.types import EpisodeSpec

BOWL, BOWL_RIM = "akita_black_bowl_1_main", (0.0, 0.047, 0.03)
BOTTLE, BOTTLE_NECK = "wine_bottle_1_main", (0.0, 0.0, 0.135)
CHEESE, CHEESE_MIDDLE = "cream_cheese_1_main", (0.0, 0.0, 0.0)


def _body(name: str, offset: Offset = (0.0, 0.0, 0.0)) -> Place:
    return lambda scene: scene.body(name) + offset


def _site(name: str, offset: Offset = (0.0, 0.0, 0.0)) -> Place:
    return lambda scene: scene.site(name) + offset


_CABINET_TOP = _site("wooden_cabinet_1_top_side", (-0.07, 0.04, -0.01))
"""Its corner next to the robot, a little below the surface: things are lowered until they touch."""

def _into_basket(thing: str, grasp: Offset, hand: np.ndarray = DOWN) -> Script:
    """Its walls are 0.15 m high; the things, up to 0.15 m tall, stand close to each other."""
    basket = _body("basket_1_main", (0.0, 0.0, 0.1))
    return carry(f"{thing}_1_main", grasp, basket, clearance=0.15, hand=hand, approach=0.12, slope=4.0, let_go=0.04)


_ACROSS = turned("z", 90)
"""The fingers move along the world's x axis."""

_GROCERIES = {
    "alphabet_soup": ((0.0, 0.0, 0.01), DOWN),
    "cream_cheese": ((-0.02, 0.0, 0.0), DOWN),
    "salad_dressing": ((0.0, 0.0, 0.03), _ACROSS),
    "bbq_sauce": ((0.0, 0.0, 0.02), _ACROSS),
    "ketchup": ((0.0, 0.0, 0.03), _ACROSS),
    "tomato_sauce": ((0.0, 0.0, 0.01), DOWN),
    "butter": ((0.0, 0.0, 0.0), DOWN),
    "milk": ((0.0, 0.0, 0.02), DOWN),
    "chocolate_pudding": ((0.0, 0.0, 0.0), DOWN),
    "orange_juice": ((0.0, 0.0, 0.02), DOWN),
}

SCRIPTS: dict[str, dict[str, Script]] = {
    "libero_goal": {
        "turn_on_the_stove": turn_knob("flat_stove_1_button"),
        "open_the_middle_drawer_of_the_cabinet": pull_drawer(
            "wooden_cabinet_1_cabinet_middle", handle=(-0.0028, -0.0976, 0.1104)
        ),
        "open_the_top_drawer_and_put_the_bowl_inside": in_turn(
            pull_drawer("wooden_cabinet_1_cabinet_top", (-0.0028, -0.0976, 0.1839), "wooden_cabinet_1_top_level", -0.145),
            carry(BOWL, BOWL_RIM, _site("wooden_cabinet_1_top_region", (-0.02, -0.02, 0.0)), 0.12, turned("x", -35)),
        ),
        "push_the_plate_to_the_front_of_the_stove": push(
            "plate_1_main", _site("main_table_stove_front_region"), reach=0.085, height=0.004
        ),
        "put_the_bowl_on_the_plate": carry(BOWL, BOWL_RIM, _body("plate_1_main"), clearance=0.06),
        "put_the_bowl_on_the_stove": carry(BOWL, BOWL_RIM, _site("flat_stove_1_cook_region"), clearance=0.08),
        "put_the_bowl_on_top_of_the_cabinet": carry(BOWL, BOWL_RIM, _CABINET_TOP, clearance=0.06),
        "put_the_cream_cheese_in_the_bowl": carry(CHEESE, CHEESE_MIDDLE, _body(BOWL, (0.0, 0.0, 0.01)), clearance=0.08),
        "put_the_wine_bottle_on_top_of_the_cabinet": carry(BOTTLE, BOTTLE_NECK, _CABINET_TOP, clearance=0.06),
        "put_the_wine_bottle_on_the_rack": carry(
            BOTTLE, BOTTLE_NECK, _site("wine_rack_1_top_region", (0.0, -0.044, 0.02)), clearance=0.06
        ),
    },
    "libero_object": {
        f"pick_up_the_{thing}_and_place_it_in_the_basket": _into_basket(thing, grasp, hand)
        for thing, (grasp, hand) in _GROCERIES.items()
    },
}
"""Suite -> task -> script."""

EXPERT_TASKS: dict[str, tuple[str, ...]] = {suite: tuple(scripts) for suite, scripts in SCRIPTS.items()}


def expert(spec: EpisodeSpec, env: LiberoEnv) -> Iterator[np.ndarray]:
    """Endless float32 (7,) actions for the episode that `env` was reset to; each reads the simulator when drawn."""
    script = SCRIPTS[spec.env.suite][env.task]
    return _actions(script, Scene(env.task_env))


_WAIT = np.array([0, 0, 0, 0, 0, 0, OPEN], np.float32)


def _actions(script: Script, scene: Scene) -> Iterator[np.ndarray]:
    gripper = OPEN
    while True:
        action = script(scene, gripper)
        if action is None:
            action = _WAIT
        gripper = float(action[-1])
        yield action
