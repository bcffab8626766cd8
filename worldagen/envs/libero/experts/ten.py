"""LIBERO-10: tasks of two parts. The part that is next is the first that is not done."""

from worldagen.envs.libero.experts.object import GROCERIES
from worldagen.envs.libero.motion import DOWN
from worldagen.envs.libero.scripts import Offset, Place, Script, carry, in_turn, to_body, to_site, turn_knob

ROOM = 0.03
"""Metres to either side of the basket's middle, so that two things lie next to each other."""


def basket(thing: str, x: float, grasp: Offset | None = None) -> Script:
    usual, hand = GROCERIES[thing]
    place = to_body("basket_1_main", (x, 0.0, 0.1))
    return carry(
        f"{thing}_1_main", grasp or usual, place, clearance=0.15, hand=hand, approach=0.12, slope=4.0, let_go=0.04
    )


def mug(name: str, plate: str, rim: Offset) -> Script:
    return carry(f"{name}_1_main", rim, to_body(plate), clearance=0.1, approach=0.15, let_go=0.02)


WHITE_RIM, YELLOW_RIM = (0.0, -0.056, 0.095), (0.0, 0.066, 0.09)
"""Opposite to the handles."""


def moka_pot(number: int, place: Place) -> Script:
    return carry(f"moka_pot_{number}_main", (0.0, 0.0, 0.076), place, clearance=0.1, let_go=0.02)


SCRIPTS = {
    "LIVING_ROOM_SCENE2_put_both_the_alphabet_soup_and_the_tomato_sauce_in_the_basket": in_turn(
        basket("alphabet_soup", ROOM), basket("tomato_sauce", -ROOM)
    ),
    "LIVING_ROOM_SCENE2_put_both_the_cream_cheese_box_and_the_butter_in_the_basket": in_turn(
        basket("cream_cheese", ROOM, (0.02, 0.0, 0.0)), basket("butter", -ROOM)
    ),
    "LIVING_ROOM_SCENE1_put_both_the_alphabet_soup_and_the_cream_cheese_box_in_the_basket": in_turn(
        basket("alphabet_soup", ROOM), basket("cream_cheese", -ROOM, (0.0, 0.0, 0.0))
    ),
    "LIVING_ROOM_SCENE5_put_the_white_mug_on_the_left_plate_and_put_the_yellow_and_white_mug_on_the_right_plate": in_turn(
        mug("porcelain_mug", "plate_1_main", WHITE_RIM), mug("white_yellow_mug", "plate_2_main", YELLOW_RIM)
    ),
    "LIVING_ROOM_SCENE6_put_the_white_mug_on_the_plate_and_put_the_chocolate_pudding_to_the_right_of_the_plate": in_turn(
        mug("porcelain_mug", "plate_1_main", WHITE_RIM),
        carry(
            "chocolate_pudding_1_main",
            (0.0, 0.0, 0.0),
            to_site("living_room_table_plate_right_region", (0.0, 0.0, 0.01)),
            clearance=0.1,
            approach=0.12,
            let_go=0.02,
        ),
    ),
    "KITCHEN_SCENE3_turn_on_the_stove_and_put_the_moka_pot_on_it": in_turn(
        turn_knob("flat_stove_1_button", "flat_stove_1_button"),
        moka_pot(1, to_site("flat_stove_1_cook_region", (0.0, 0.0, 0.08))),
    ),
    "KITCHEN_SCENE8_put_both_moka_pots_on_the_stove": in_turn(
        moka_pot(1, to_site("flat_stove_1_cook_region", (0.0, 0.04, 0.08))),
        moka_pot(2, to_site("flat_stove_1_cook_region", (0.0, -0.04, 0.08))),
    ),
}
