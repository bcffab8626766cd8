"""LIBERO-Spatial: ten places that a bowl is taken from, to the plate."""

from worldagen.envs.libero.motion import DOWN, turned
from worldagen.envs.libero.scripts import carry, to_body

LEFT_RIM, NEAR_RIM = (0.0, 0.047, 0.03), (-0.047, 0.0, 0.03)
"""Left as the robot looks, and next to it; from the bowl's origin in metres along the world's axes."""
ACROSS = turned("z", 90)
LEANING_BACK = turned("y", -20)
"""Reaches further: the hand is nearer to the robot than its fingertips."""

GRASPS = {
    "between_the_plate_and_the_ramekin": (LEFT_RIM, DOWN),
    "next_to_the_ramekin": (LEFT_RIM, DOWN),
    "from_table_center": (LEFT_RIM, DOWN),
    "on_the_cookie_box": (LEFT_RIM, DOWN),
    "in_the_top_drawer_of_the_wooden_cabinet": (NEAR_RIM, ACROSS),
    "on_the_ramekin": (LEFT_RIM, DOWN),
    "next_to_the_cookie_box": (LEFT_RIM, LEANING_BACK),
    "on_the_stove": (LEFT_RIM, DOWN),
    "next_to_the_plate": (LEFT_RIM, LEANING_BACK),
    "on_the_wooden_cabinet": (LEFT_RIM, DOWN),
}

SCRIPTS = {
    f"pick_up_the_black_bowl_{place}_and_place_it_on_the_plate": carry(
        "akita_black_bowl_1_main",
        grasp,
        to_body("plate_1_main"),
        clearance=0.35 if "drawer" in place else 0.1,  # out of the drawer, straight up, before it goes sideways
        hand=hand,
    )
    for place, (grasp, hand) in GRASPS.items()
}
