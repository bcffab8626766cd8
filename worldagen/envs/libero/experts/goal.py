"""LIBERO-Goal: one scene, ten things to do in it."""

from worldagen.envs.libero.motion import turned
from worldagen.envs.libero.scripts import carry, in_turn, pull_drawer, push, to_body, to_site, turn_knob

BOWL, BOWL_RIM = "akita_black_bowl_1_main", (0.0, 0.047, 0.03)
BOTTLE, BOTTLE_NECK = "wine_bottle_1_main", (0.0, 0.0, 0.135)
CHEESE, CHEESE_MIDDLE = "cream_cheese_1_main", (0.0, 0.0, 0.0)
PLATE = "plate_1_main"

CABINET_TOP = to_site("wooden_cabinet_1_top_side", (-0.07, 0.04, -0.01))
"""Its corner next to the robot, a little below the surface: things are lowered until they touch."""
RACK = to_site("wine_rack_1_top_region", (0.0, -0.044, 0.02))

OPEN_TOP_DRAWER = pull_drawer(
    "wooden_cabinet_1_cabinet_top",
    handle=(-0.0028, -0.0976, 0.1839),
    joint="wooden_cabinet_1_top_level",
    enough=-0.145,
)
BOWL_INTO_TOP_DRAWER = carry(
    # The open drawer hangs over the bowl: the hand leans away from it and draws the bowl out the way it leans.
    BOWL,
    BOWL_RIM,
    to_site("wooden_cabinet_1_top_region", (-0.02, -0.02, 0.0)),
    clearance=0.12,
    hand=turned("x", -35),
)

SCRIPTS = {
    "turn_on_the_stove": turn_knob("flat_stove_1_button"),
    "open_the_middle_drawer_of_the_cabinet": pull_drawer(
        "wooden_cabinet_1_cabinet_middle", handle=(-0.0028, -0.0976, 0.1104)
    ),
    "open_the_top_drawer_and_put_the_bowl_inside": in_turn(OPEN_TOP_DRAWER, BOWL_INTO_TOP_DRAWER),
    "push_the_plate_to_the_front_of_the_stove": push(
        PLATE, to_site("main_table_stove_front_region"), reach=0.072, height=0.004
    ),
    "put_the_bowl_on_the_plate": carry(BOWL, BOWL_RIM, to_body(PLATE), clearance=0.06),
    "put_the_bowl_on_the_stove": carry(BOWL, BOWL_RIM, to_site("flat_stove_1_cook_region"), clearance=0.08),
    "put_the_bowl_on_top_of_the_cabinet": carry(BOWL, BOWL_RIM, CABINET_TOP, clearance=0.06),
    "put_the_cream_cheese_in_the_bowl": carry(CHEESE, CHEESE_MIDDLE, to_body(BOWL, (0.0, 0.0, 0.01)), clearance=0.08),
    "put_the_wine_bottle_on_top_of_the_cabinet": carry(BOTTLE, BOTTLE_NECK, CABINET_TOP, clearance=0.06),
    "put_the_wine_bottle_on_the_rack": carry(BOTTLE, BOTTLE_NECK, RACK, clearance=0.06),
}
