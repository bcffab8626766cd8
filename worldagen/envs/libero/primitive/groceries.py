"""What LIBERO puts into baskets: boxes, cans, bottles and cartons, one entry each.

Dimensions follow the collision boxes of LIBERO's own models. Cans, bottles and cartons stand along their y axis.
LIBERO's initial states hold the taller ones up to 38 mm inside the table or floor, from where they jump as much as half
a metre. Here their shapes are raised above their origin, so that they start at rest (8 mm deep at most).
"""

from collections.abc import Iterable

from worldagen.envs.libero.primitive.shapes import (
    Body,
    Colour,
    Shape,
    Thing,
    Triple,
    box,
    cylinder,
    moved,
    prism,
    rotation,
    scenery,
    turned,
    unseen,
    weighed,
)

WHITE = (0.88, 0.88, 0.86)
BLACK = (0.06, 0.06, 0.07)
TIN = (0.62, 0.64, 0.68)
RED = (0.75, 0.06, 0.05)
BLUE = (0.1, 0.3, 0.85)
SKY = (0.25, 0.6, 0.95)
YELLOW = (0.98, 0.8, 0.1)
GOLD = (0.98, 0.62, 0.1)
ORANGE = (0.98, 0.42, 0.02)
BROWN = (0.3, 0.14, 0.06)
SMOKE = (0.2, 0.08, 0.06)
LEAF = (0.2, 0.5, 0.12)


def standing(shapes: Iterable[Shape], raised: float = 0) -> tuple[Shape, ...]:
    """Shapes built up along z, turned to stand along y and raised above their origin (in metres)."""
    return moved(turned(shapes, rotation("x", -90)), (0, raised, 0))


def carton(size: Triple, centre: Triple, colour: Colour, stripe: Colour, share: Triple) -> tuple[Shape, ...]:
    """A flat box with a stripe around it, which covers the given share of each half edge."""
    x, y, z = (edge * part for edge, part in zip(size, share, strict=True))
    return (box(size, centre, colour), scenery(box((x, y, z), centre, stripe)))


def can(label: Colour, band: Colour, raised: float = 0) -> tuple[Shape, ...]:
    """A tin can 6 cm across and 75 mm high."""
    upright = (
        *map(unseen, prism(6, 0.03, 0.0376, (0, 0, 0), label)),
        scenery(cylinder(0.0305, 0.0376, (0, 0, 0), TIN)),
        scenery(cylinder(0.031, 0.032, (0, 0, 0), label)),
        scenery(cylinder(0.0313, 0.009, (0, 0, 0), band)),
        scenery(cylinder(0.024, 0.0381, (0, 0, 0), label)),
    )
    return moved(standing(upright, raised), (0, -0.0006, -0.003))


def bbq_sauce() -> tuple[Shape, ...]:
    """The one bottle whose model stands along z."""
    return (
        box((0.0235, 0.0145, 0.0268), (0, 0, -0.0278), SMOKE),
        box((0.0181, 0.0143, 0.0146), (0, 0, 0.0123), SMOKE),
        box((0.0132, 0.0132, 0.0134), (0, 0, 0.0391), BLACK),
        scenery(box((0.0239, 0.0149, 0.016), (0, 0, -0.0278), GOLD)),
    )


def ketchup() -> tuple[Shape, ...]:
    upright = (
        box((0.0281, 0.0169, 0.0331), (0, 0, -0.0394), RED),
        box((0.0239, 0.0183, 0.0113), (0, 0, 0.0037), RED),
        box((0.0187, 0.0183, 0.0113), (0, 0, 0.0251), RED),
        *map(unseen, prism(4, 0.0165, 0.0185, (0, 0, 0.0547), WHITE)),
        scenery(cylinder(0.0165, 0.0185, (0, 0, 0.0547), WHITE)),
        scenery(box((0.0286, 0.0174, 0.015), (0, 0, -0.042), WHITE)),
    )
    return standing(upright, raised=0.03)


def salad_dressing(raised: float) -> tuple[Shape, ...]:
    upright = (
        box((0.0173, 0.0173, 0.0032), (0, 0, -0.0695), LEAF),
        box((0.0222, 0.0173, 0.0056), (0, 0, -0.0572), LEAF),
        box((0.0264, 0.0173, 0.021), (0, 0, -0.0314), LEAF),
        box((0.0229, 0.0173, 0.0056), (0, 0, -0.0043), LEAF),
        box((0.0171, 0.0173, 0.0056), (0, 0, 0.0072), LEAF),
        box((0.0134, 0.0149, 0.0274), (0, 0, 0.0084), LEAF),
        *map(unseen, prism(4, 0.0165, 0.0186, (0, 0, 0.0542), WHITE)),
        scenery(cylinder(0.0165, 0.0186, (0, 0, 0.0542), WHITE)),
        scenery(box((0.0268, 0.0177, 0.013), (0, 0, -0.0314), YELLOW)),
    )
    return standing(upright, raised)


def gable_carton(colour: Colour, band: Colour) -> tuple[Shape, ...]:
    """A carton of drink: a pillar, two leaning flaps and the seam where they meet.

    Six millimetres narrower than LIBERO's and with bevelled edges, since one initial state has it stand in a box.
    """
    upright = (
        *prism(4, 0.0232, 0.0548, (0, 0, -0.015), colour),
        box((0.0212, 0.0122, 0.0022), (0, 0.0119, 0.0478), colour, rotation("x", -41)),
        box((0.0212, 0.0122, 0.0022), (0, -0.0119, 0.0478), colour, rotation("x", 41)),
        box((0.0212, 0.0035, 0.0029), (0, 0, 0.0575), colour),
        *map(scenery, prism(4, 0.0236, 0.02, (0, 0, -0.012), band)),
    )
    return standing(upright, raised=0.0275)


def grocery(name: str, body: Body, **offsets: float) -> Thing:
    """An object of the folder that holds LIBERO's groceries."""
    return Thing(f"stable_hope_objects/{name}/{name}.xml", body, **offsets)


BUTTER = carton((0.0381, 0.0198, 0.0087), (0, 0, 0), YELLOW, RED, (0.25, 1.02, 1.04))
CREAM_CHEESE = carton((0.0395, 0.0203, 0.0089), (0, 0, 0), BLUE, WHITE, (0.44, 1.02, 1.04))
PUDDING = carton((0.0401, 0.0232, 0.0137), (-0.0005, 0, 0.0006), BROWN, (0.95, 0.7, 0.75), (0.4, 1.02, 1.04))
COOKIES = carton((0.031, 0.0413, 0.0094), (0, 0, 0), SKY, (0.6, 0.35, 0.15), (0.6, 0.6, 1.04))

GROCERIES = (
    grocery("alphabet_soup", weighed(0.0259, can(GOLD, WHITE, raised=0.0155)), bottom=-0.04),
    grocery("tomato_sauce", weighed(0.0266, can(RED, LEAF))),
    grocery("bbq_sauce", weighed(0.0122, bbq_sauce()), top=0.06, radius=0.015),
    grocery("ketchup", weighed(0.0232, ketchup())),
    grocery("salad_dressing", weighed(0.0218, salad_dressing(raised=0.03))),
    grocery("new_salad_dressing", weighed(0.0218, salad_dressing(raised=0.05))),
    grocery("milk", weighed(0.0317, gable_carton(WHITE, SKY)), radius=0.03),
    grocery("orange_juice", weighed(0.0317, gable_carton(ORANGE, WHITE))),
    grocery("butter", weighed(0.0052, BUTTER), bottom=-0.02, top=0.02, radius=0.02),
    grocery("cream_cheese", weighed(0.0062, CREAM_CHEESE), bottom=-0.025, top=0.025, radius=0.03),
    grocery("chocolate_pudding", weighed(0.0102, PUDDING)),
    grocery("cookies", weighed(0.0096, COOKIES)),
)
