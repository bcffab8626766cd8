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


BASKET_INSIDE = Site("contain_region", (0.06108, 0.06108, 0.06949), (0, 0, 0.07185))

CONTAINERS = (
    Thing(
        "stable_scanned_objects/basket/basket.xml",
        weighed(0.1361, basket(), (BASKET_INSIDE,)),
        bottom=-0.06,
        top=0.04,
        radius=0.025,
    ),
)
