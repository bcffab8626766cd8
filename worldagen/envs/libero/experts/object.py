"""LIBERO-Object: ten groceries, one of which belongs in the basket."""

from worldagen.envs.libero.motion import DOWN, turned
from worldagen.envs.libero.scripts import carry, to_body

ACROSS = turned("z", 90)
"""The fingers move along the world's x axis: the flat side of bottles."""

GROCERIES = {
    "alphabet_soup": ((0.0, 0.0, 0.01), DOWN),
    "cream_cheese": ((-0.02, 0.0, 0.0), DOWN),  # off its middle: the hand would come down on the can behind it
    "salad_dressing": ((0.0, 0.0, 0.06), ACROSS),
    "bbq_sauce": ((0.0, 0.0, 0.02), ACROSS),
    "ketchup": ((0.0, 0.0, 0.06), ACROSS),
    "tomato_sauce": ((0.0, 0.0, 0.01), DOWN),
    "butter": ((0.0, 0.0, 0.0), DOWN),
    "milk": ((0.0, 0.0, 0.048), DOWN),
    "chocolate_pudding": ((0.0, 0.0, 0.0), DOWN),
    "orange_juice": ((0.0, 0.0, 0.048), DOWN),
}
"""Where to grasp a thing, from its origin in metres along the world's axes, and how the hand is turned."""

BASKET = to_body("basket_1_main", (0.0, 0.0, 0.1))

SCRIPTS = {
    f"pick_up_the_{thing}_and_place_it_in_the_basket": carry(
        f"{thing}_1_main", grasp, BASKET, clearance=0.15, hand=hand, approach=0.12, slope=4.0, let_go=0.04
    )
    for thing, (grasp, hand) in GROCERIES.items()
}
"""The basket's walls are as high as the bottles, 0.15 m, and things stand close: in and out steeply."""
