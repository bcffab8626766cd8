"""Hollow things that others are put into, one entry each. Dimensions follow LIBERO's own collision boxes."""

from worldagen.envs.libero.primitive.shapes import (
    Shape,
    Site,
    Thing,
    Triple,
    box,
    moved,
    rotation,
    scenery,
    turned,
    weighed,
)

WICKER = (0.72, 0.5, 0.26)
WEAVE = (0.45, 0.28, 0.12)
CHESTNUT = (0.45, 0.2, 0.1)
MAT = (0.75, 0.45, 0.22)


def basket_wall(heading: float, centre: Triple, lean: float) -> tuple[Shape, ...]:
    """One wall with darker bands; it faces `heading`, and its top leans outward (both in degrees)."""
    panel = box((0.0067, 0.0724, 0.0637), (0, 0, 0), WICKER)
    bands = (scenery(box((0.0072, 0.0729, 0.006), (0, 0, height), WEAVE)) for height in (-0.03, 0.01, 0.05))
    return moved(turned(turned((panel, *bands), rotation("y", lean)), rotation("z", heading)), centre)


def basket() -> tuple[Shape, ...]:
    return (
        box((0.0766, 0.0724, 0.0085), (0.0025, 0, 0.0131), WICKER),
        *basket_wall(0, (0.0756, 0, 0.0766), lean=2.9),
        *basket_wall(90, (0, 0.0688, 0.0818), lean=2.6),
        *basket_wall(180, (-0.0727, 0, 0.0766), lean=4.3),
        *basket_wall(270, (0, -0.0688, 0.0818), lean=2.6),
    )


def wooden_tray() -> tuple[Shape, ...]:
    """A crate 16 cm by 29 cm with corner posts and a bar to carry it by over each short wall."""
    walls = (
        box((0.144, 0.0799, 0.0036), (0.0078, -0.0052, 0.0036), MAT),
        box((0.0023, 0.0778, 0.0246), (-0.1392, -0.0055, 0.0299), CHESTNUT),
        box((0.0023, 0.0778, 0.0246), (0.1532, -0.0055, 0.0299), CHESTNUT),
        box((0.144, 0.0023, 0.0294), (0.0078, -0.0845, 0.0332), CHESTNUT),
        box((0.144, 0.0023, 0.0284), (0.0078, 0.0758, 0.0312), CHESTNUT),
    )
    posts = (
        box((0.0062, 0.0055, 0.0392), (x, y, 0.0408), CHESTNUT) for x in (-0.1321, 0.1453) for y in (-0.0785, 0.0685)
    )
    bars = (box((0.0067, 0.0786, 0.0012), (x, -0.0049, 0.0797), CHESTNUT) for x in (-0.1335, 0.1471))
    return (*walls, *posts, *bars)


BASKET_INSIDE = Site("contain_region", (0.06108, 0.06108, 0.06949), (0, 0, 0.07185), rotation("z", 180))
TRAY_INSIDE = Site("contain_region", (0.04038, 0.07839, 0.13549), (0.00863, -0.00471, 0.04255), rotation("y", 90))

CONTAINERS = tuple(
    Thing(file, body)
    for file, body in (
        ("stable_scanned_objects/basket/basket.xml", weighed(0.1361, basket(), (BASKET_INSIDE,))),
        ("turbosquid_objects/wooden_tray/wooden_tray.xml", weighed(0.0572, wooden_tray(), (TRAY_INSIDE,))),
    )
)
