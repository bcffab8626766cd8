"""Dishes, pots and the wine bottle, one entry each. Dimensions follow the collision boxes of LIBERO's own models."""

from worldagen.envs.libero.primitive.shapes import (
    Body,
    Shape,
    Thing,
    box,
    cylinder,
    ring,
    rotation,
    scenery,
    unseen,
)

BLACK = (0.06, 0.06, 0.08)
DARK_GREY = (0.16, 0.16, 0.2)
WHITE = (0.85, 0.85, 0.83)
RED = (0.8, 0.12, 0.1)
GREEN = (0.05, 0.32, 0.1)
CORK = (0.85, 0.66, 0.42)


def bowl() -> tuple[Shape, ...]:
    """A flat floor, a lower wall opening by 60 degrees and an upper wall that a gripper can take by its rim."""
    return (
        unseen(box((0.0232, 0.0155, 0.00258), (0, 0, 0.00417), DARK_GREY)),
        unseen(box((0.0155, 0.0038, 0.00258), (0, 0.0193, 0.00417), DARK_GREY)),
        unseen(box((0.0155, 0.0038, 0.00258), (0, -0.0193, 0.00417), DARK_GREY)),
        scenery(cylinder(0.0245, 0.0026, (0, 0, 0.00417), DARK_GREY)),
        *ring(16, 0.0337, 0.0098, (0.00071, 0.00992, 0.01187), lean=60, colour=DARK_GREY),
        *ring(18, 0.0471, 0.0337, (0.00128, 0.00934, 0.01875), lean=14.7, colour=BLACK),
    )


def plate() -> tuple[Shape, ...]:
    """A square middle and a shallow octagonal rim."""
    return (
        unseen(box((0.0306, 0.0306, 0.0022), (0, 0, 0.0031), WHITE)),
        scenery(cylinder(0.033, 0.0016, (0, 0, 0.0021), WHITE)),
        *ring(8, 0.0483, 0.007, (0.0191, 0.0285, 0.00254), lean=-19.6, colour=WHITE),
        *(scenery(shape) for shape in ring(16, 0.0615, 0.0145, (0.0025, 0.0125, 0.0016), lean=-19.6, colour=RED)),
    )


def wine_bottle() -> tuple[Shape, ...]:
    """Boxes collide (they rest and are gripped more steadily than cylinders do); cylinders are drawn."""
    solid = (
        box((0.015, 0.015, 0.0361), (0, 0, 0.0373), GREEN),
        *ring(8, 0.0178, 0.0333, (0.0019, 0.0088, 0.0298), lean=0, colour=GREEN),
        box((0.0118, 0.0118, 0.007), (0, 0, 0.0811), GREEN),
        box((0.008, 0.008, 0.007), (0, 0, 0.093), GREEN),
        box((0.0062, 0.0062, 0.0552), (0, 0, 0.1029), GREEN),
        box((0.0062, 0.0062, 0.0552), (0, 0, 0.1029), GREEN, rotation("z", 45)),
    )
    drawn = (
        cylinder(0.0198, 0.0361, (0, 0, 0.0373), GREEN),
        cylinder(0.0135, 0.007, (0, 0, 0.0804), GREEN),
        cylinder(0.0075, 0.029, (0, 0, 0.116), GREEN),
        cylinder(0.0078, 0.0075, (0, 0, 0.151), CORK),
        cylinder(0.0201, 0.0155, (0, 0, 0.04), WHITE),
        cylinder(0.0203, 0.005, (0, 0, 0.04), RED),
    )
    return (*map(unseen, solid), *map(scenery, drawn))


TABLEWARE = (
    Thing(
        "stable_scanned_objects/akita_black_bowl/akita_black_bowl.xml",
        Body("object", bowl()),
        bottom=-0.06,
        top=0.04,
        radius=0.025,
    ),
    Thing(
        "stable_scanned_objects/plate/plate.xml",
        Body("object", plate(), density=108),
        bottom=-0.06,
        top=0.04,
        radius=0.025,
    ),
    Thing(
        "turbosquid_objects/wine_bottle/wine_bottle.xml",
        Body("object", wine_bottle()),
        bottom=-0.06,
        top=0.04,
        radius=0.025,
    ),
)
