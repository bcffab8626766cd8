"""LIBERO-10: tasks of two parts. The part that is next is the first that is not done."""

from worldagen.envs.libero.experts.object import GROCERIES
from worldagen.envs.libero.scripts import Offset, Script, carry, in_turn, to_body, to_site, turn_knob

WHITE_RIM, YELLOW_RIM = (0.0, -0.056, 0.095), (0.0, 0.066, 0.09)
"""Of the mugs: opposite to their handles."""
MIDDLE = (0.0, 0.0, 0.0)
KNOB = "flat_stove_1_button"


def into_basket(thing: str, x: float, grasp: Offset | None = None) -> Script:
    """`x` metres from the basket's middle, so that two things lie next to each other."""
    usual, hand = GROCERIES[thing]
    place = to_body("basket_1_main", (x, 0.0, 0.1))
    return carry(
        f"{thing}_1_main", grasp or usual, place, clearance=0.15, hand=hand, approach=0.18, slope=4.0, let_go=0.04
    )


def mug_on_plate(mug: str, rim: Offset, plate: int) -> Script:
    return carry(f"{mug}_1_main", rim, to_body(f"plate_{plate}_main"), clearance=0.1, approach=0.15, let_go=0.02)


def pot_on_stove(pot: int, x: float) -> Script:
    """Taken by the knob of its lid; `x` metres from the burner's middle."""
    burner = to_site("flat_stove_1_cook_region", (x, 0.0, 0.09))
    return carry(f"moka_pot_{pot}_main", (0.0, 0.0, 0.076), burner, clearance=0.1, let_go=0.02)


SCRIPTS = {
    "LIVING_ROOM_SCENE2_put_both_the_alphabet_soup_and_the_tomato_sauce_in_the_basket": in_turn(
        into_basket("alphabet_soup", 0.03), into_basket("tomato_sauce", -0.03)
    ),
    "LIVING_ROOM_SCENE2_put_both_the_cream_cheese_box_and_the_butter_in_the_basket": in_turn(
        into_basket("cream_cheese", 0.03, (0.02, 0.0, 0.0)), into_basket("butter", -0.03)
    ),
    "LIVING_ROOM_SCENE1_put_both_the_alphabet_soup_and_the_cream_cheese_box_in_the_basket": in_turn(
        into_basket("alphabet_soup", 0.03), into_basket("cream_cheese", -0.03, MIDDLE)
    ),
    "LIVING_ROOM_SCENE5_put_the_white_mug_on_the_left_plate_and_put_the_yellow_and_white_mug_on_the_right_plate": (
        in_turn(mug_on_plate("porcelain_mug", WHITE_RIM, 1), mug_on_plate("white_yellow_mug", YELLOW_RIM, 2))
    ),
    "LIVING_ROOM_SCENE6_put_the_white_mug_on_the_plate_and_put_the_chocolate_pudding_to_the_right_of_the_plate": (
        in_turn(
            mug_on_plate("porcelain_mug", WHITE_RIM, 1),
            carry(
                "chocolate_pudding_1_main",
                MIDDLE,
                to_site("living_room_table_plate_right_region", (0.0, 0.0, 0.01)),
                clearance=0.1,
                approach=0.12,
                let_go=0.02,
            ),
        )
    ),
    "KITCHEN_SCENE3_turn_on_the_stove_and_put_the_moka_pot_on_it": in_turn(
        turn_knob(KNOB, joint=KNOB), pot_on_stove(1, 0.0)
    ),
    "KITCHEN_SCENE8_put_both_moka_pots_on_the_stove": in_turn(pot_on_stove(1, -0.05), pot_on_stove(2, 0.05)),
}
