"""The frying pan and the moka pot. Dimensions follow the collision boxes of LIBERO's own models."""

from worldagen.envs.libero.primitive.shapes import (
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

IRON = (0.13, 0.13, 0.15)
COATING = (0.24, 0.25, 0.28)
RIVET = (0.7, 0.7, 0.72)
ALUMINIUM = (0.66, 0.68, 0.72)
BAKELITE = (0.08, 0.07, 0.07)


def frying_pan() -> tuple[Shape, ...]:
    """A flat pan with a leaning rim; its handle rises along x."""
    pan = (
        *map(unseen, prism(4, 0.076, 0.0058, (0, 0, 0.0067), IRON)),
        scenery(cylinder(0.079, 0.0056, (0, 0, 0.0067), COATING)),
        *ring(16, 0.09, 0.0223, (0.0036, 0.0205, 0.0213), lean=31, colour=IRON),
    )
    handle = (
        box((0.0123, 0.0104, 0.0105), (0.1127, 0, 0.0199), IRON, rotation("y", -12)),
        box((0.006, 0.0104, 0.0108), (0.1295, 0, 0.0275), IRON, rotation("y", 30.6)),
        box((0.0665, 0.0127, 0.0062), (0.1926, 0, 0.0441), IRON, rotation("y", -7.4)),
        scenery(box((0.008, 0.0131, 0.0066), (0.247, 0, 0.0512), RIVET, rotation("y", -7.4))),
    )
    return (*moved(pan, (0.0071, 0, 0)), *handle)


def moka_pot() -> tuple[Shape, ...]:
    """An octagonal pot with a spout at -y, a bent handle at y and a knob on its lid."""
    pot = (
        *prism(4, 0.0325, 0.0665, (0, 0, 0.0004), ALUMINIUM),
        scenery(cylinder(0.0352, 0.005, (0, 0, -0.008), IRON)),
        box((0.0176, 0.0058, 0.0245), (0, -0.0359, 0.0426), ALUMINIUM),
        box((0.008, 0.0072, 0.0137), (0, -0.0491, 0.0462), ALUMINIUM),
        box((0.0052, 0.006, 0.0114), (0, -0.0013, 0.0743), BAKELITE),
    )
    handle = (
        box((0.0102, 0.0072, 0.0137), (0, 0.0416, 0.0525), BAKELITE),
        box((0.0066, 0.0141, 0.007), (0, 0.0583, 0.0603), BAKELITE),
        box((0.0066, 0.0141, 0.007), (0, 0.0755, 0.0539), BAKELITE, rotation("x", -40.8)),
        box((0.0066, 0.0071, 0.0275), (0, 0.0725, 0.0282), BAKELITE, rotation("x", -26.9)),
        box((0.0066, 0.0071, 0.0101), (0, 0.0576, 0.0023), BAKELITE, rotation("x", -44.6)),
    )
    return (*pot, *handle)


COOKWARE = (
    Thing("stable_scanned_objects/chefmate_8_frypan/chefmate_8_frypan.xml", weighed(0.0502, frying_pan())),
    Thing("turbosquid_objects/moka_pot/moka_pot.xml", weighed(0.0682, moka_pot())),
)
