"""Dishes, mugs and the wine bottle, one entry each. Dimensions follow the collision boxes of LIBERO's own models."""

from worldagen.envs.libero.primitive.shapes import (
    Body,
    Shape,
    Thing,
    box,
    cylinder,
    moved,
    prism,
    ring,
    rotation,
    scenery,
    unseen,
    weighed,
)

BLACK = (0.06, 0.06, 0.08)
DARK_GREY = (0.16, 0.16, 0.2)
WHITE = (0.85, 0.85, 0.83)
RED = (0.8, 0.12, 0.1)
GREEN = (0.05, 0.32, 0.1)
CORK = (0.85, 0.66, 0.42)
PORCELAIN = (0.95, 0.95, 0.97)
YELLOW = (0.98, 0.75, 0.08)
TEAL = (0.1, 0.55, 0.55)


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


def white_bowl() -> tuple[Shape, ...]:
    """Like the black bowl, three quarters as wide and thinner."""
    return (
        *prism(4, 0.018, 0.0018, (0, 0, 0.0024), PORCELAIN),
        *ring(16, 0.0239, 0.007, (0.0085, 0.0071, 0.0005), lean=-29.5, colour=PORCELAIN),
        *ring(16, 0.0357, 0.0226, (0.001, 0.0078, 0.0127), lean=16.5, colour=PORCELAIN),
    )


def ramekin() -> tuple[Shape, ...]:
    return (
        *prism(4, 0.0345, 0.0032, (0, 0, 0.0041), TEAL),
        *ring(16, 0.0382, 0.0217, (0.0026, 0.0086, 0.0209), lean=8.6, colour=TEAL),
        *(scenery(shape) for shape in ring(16, 0.0412, 0.041, (0.0032, 0.0088, 0.0025), lean=8.6, colour=WHITE)),
    )


def plate() -> tuple[Shape, ...]:
    """A flat middle and a shallow rim.

    Smaller (58 mm, not 66 mm) and flatter than LIBERO's, into whose rim some initial states let a bowl fall.
    """
    return (
        *map(unseen, prism(4, 0.0315, 0.0022, (0, 0, 0.0031), WHITE)),
        scenery(cylinder(0.033, 0.0016, (0, 0, 0.0021), WHITE)),
        *ring(16, 0.0445, 0.0045, (0.0135, 0.0115, 0.0016), lean=-10, colour=WHITE),
        *(scenery(shape) for shape in ring(16, 0.0565, 0.0082, (0.0025, 0.0116, 0.0014), lean=-10, colour=RED)),
    )


def porcelain_mug() -> tuple[Shape, ...]:
    """A wide cup on a narrower foot; the handle points along -x."""
    cup = (
        *prism(4, 0.024, 0.0052, (0, 0, 0.0076), PORCELAIN),
        *ring(8, 0.0335, 0.0239, (0.0014, 0.0168, 0.0189), lean=23.5, colour=PORCELAIN),
        *ring(8, 0.0412, 0.0759, (0.0024, 0.0181, 0.0326), lean=0, colour=PORCELAIN),
    )
    handle = (
        box((0.0038, 0.008, 0.0198), (-0.0595, 0, 0.056), PORCELAIN),
        box((0.0198, 0.008, 0.0038), (-0.0416, 0, 0.0286), PORCELAIN, rotation("y", 28.7)),
        box((0.0198, 0.008, 0.0038), (-0.0463, 0, 0.0834), PORCELAIN, rotation("y", -34.7)),
    )
    return (*moved(cup, (0.0155, -0.001, 0)), *handle)


def red_coffee_mug() -> tuple[Shape, ...]:
    """A tall cup that opens upwards; the handle points along x."""
    cup = (
        *prism(4, 0.024, 0.0025, (0, 0, 0.0053), RED),
        *ring(8, 0.0302, 0.0645, (0.0035, 0.0172, 0.0664), lean=6.4, colour=RED),
    )
    handle = (
        box((0.0029, 0.0076, 0.0343), (0.0369, 0, 0.0504), RED, rotation("y", 42.6)),
        box((0.0027, 0.0069, 0.0192), (0.0547, 0, 0.0944), RED, rotation("y", -5.9)),
        box((0.0182, 0.0069, 0.0027), (0.0346, 0, 0.1116), RED, rotation("y", -8.2)),
    )
    return (*moved(cup, (-0.0175, -0.003, 0)), *moved(handle, (0, 0.0011, 0)))


def white_yellow_mug() -> tuple[Shape, ...]:
    """A wide cup with a rounded foot, white outside and yellow inside; the handle points along x."""
    cup = (
        *prism(4, 0.0259, 0.0025, (0, 0, 0.0027), WHITE),
        *ring(12, 0.031, 0.0106, (0.0041, 0.0091, 0.0103), lean=36.2, colour=YELLOW),
        *ring(16, 0.0423, 0.0593, (0.0041, 0.0098, 0.0436), lean=7.5, colour=WHITE),
        *(scenery(shape) for shape in ring(16, 0.0383, 0.062, (0.0006, 0.0082, 0.0415), lean=7.5, colour=YELLOW)),
        *(scenery(shape) for shape in ring(16, 0.0419, 0.035, (0.003, 0.0095, 0.009), lean=7.5, colour=YELLOW)),
    )
    handle = (
        box((0.0041, 0.0088, 0.0292), (0.0641, 0, 0.056), YELLOW),
        box((0.0249, 0.0088, 0.0041), (0.0402, 0, 0.0263), YELLOW, rotation("y", -11.8)),
        box((0.0217, 0.0088, 0.0041), (0.0464, 0, 0.0796), YELLOW, rotation("y", -6.3)),
    )
    return (*moved(cup, (-0.0182, -0.0005, 0)), *handle)


def wine_bottle() -> tuple[Shape, ...]:
    """Boxes collide (they rest and are gripped more steadily than cylinders do); cylinders are drawn.

    Four millimetres thinner than LIBERO's, which some initial states drop on the edge of an open drawer.
    """
    solid = (
        *prism(8, 0.0172, 0.0361, (0, 0, 0.0373), GREEN),
        box((0.0118, 0.0118, 0.007), (0, 0, 0.0811), GREEN),
        box((0.008, 0.008, 0.007), (0, 0, 0.093), GREEN),
        box((0.0062, 0.0062, 0.0552), (0, 0, 0.1029), GREEN),
        box((0.0062, 0.0062, 0.0552), (0, 0, 0.1029), GREEN, rotation("z", 45)),
    )
    drawn = (
        cylinder(0.0175, 0.0361, (0, 0, 0.0373), GREEN),
        cylinder(0.0135, 0.007, (0, 0, 0.0804), GREEN),
        cylinder(0.0075, 0.029, (0, 0, 0.116), GREEN),
        cylinder(0.0078, 0.0075, (0, 0, 0.151), CORK),
        cylinder(0.0178, 0.0155, (0, 0, 0.04), WHITE),
        cylinder(0.018, 0.005, (0, 0, 0.04), RED),
    )
    return (*map(unseen, solid), *map(scenery, drawn))


def scanned(name: str, body: Body) -> Thing:
    """A thing of the folder that holds what was scanned from real ones."""
    return Thing(f"stable_scanned_objects/{name}/{name}.xml", body)


def modelled(name: str, body: Body) -> Thing:
    """A thing of the folder that holds what was modelled by hand."""
    return Thing(f"turbosquid_objects/{name}/{name}.xml", body)


TABLEWARE = (
    scanned("akita_black_bowl", Body("object", bowl())),
    scanned("white_bowl", weighed(0.0021, white_bowl())),
    scanned("plate", weighed(0.0115, plate())),
    scanned("glazed_rim_porcelain_ramekin", weighed(0.0097, ramekin())),
    modelled("porcelain_mug", weighed(0.0165, porcelain_mug())),
    modelled("red_coffee_mug", weighed(0.0294, red_coffee_mug())),
    modelled("white_yellow_mug", weighed(0.0309, white_yellow_mug())),
    modelled("wine_bottle", weighed(0.0154, wine_bottle())),
)
