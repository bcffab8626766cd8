"""The stove and the microwave oven. Dimensions follow the collision shapes of LIBERO's own models."""

from worldagen.envs.libero.primitive.shapes import (
    Body,
    Joint,
    Shape,
    Site,
    Thing,
    box,
    cylinder,
    density,
    rotation,
    scenery,
    unseen,
)

IRON = (0.5, 0.52, 0.55)
BLACK = (0.05, 0.05, 0.06)
KNOB = (0.15, 0.15, 0.17)
RIDGE = (0.9, 0.85, 0.2)
ENAMEL = (0.3, 0.31, 0.34)
CAVITY = (0.78, 0.77, 0.72)
GLASS = (0.06, 0.08, 0.12)
CHROME = (0.88, 0.89, 0.91)
DISPLAY = (0.2, 0.85, 0.4)


def knob() -> tuple[Shape, ...]:
    """A round foot (of boxes, which rest on nothing and only need to be pushed) under a ridge to take hold of."""
    foot = (
        box((0.034, 0.034, 0.0062), (0.0013, 0.0046, 0.0066), KNOB),
        box((0.0452, 0.025, 0.0062), (0.0013, 0.0046, 0.0066), KNOB),
        box((0.025, 0.0485, 0.0062), (0.0013, 0.0046, 0.0066), KNOB),
    )
    ridge = (
        box((0.0121, 0.0345, 0.0243), (0.0013, 0.0174, 0.0257), RIDGE),
        box((0.0121, 0.0078, 0.0205), (0.0012, -0.02, 0.0244), RIDGE),
        box((0.0121, 0.0078, 0.0174), (0.0012, -0.025, 0.025), RIDGE),
        box((0.0121, 0.0042, 0.0166), (0.0011, -0.0364, 0.0171), RIDGE),
    )
    return (*map(unseen, foot), scenery(cylinder(0.048, 0.0062, (0.0013, 0.0046, 0.0066), KNOB)), *ridge)


def stove() -> Body:
    plate = (
        box((0.095, 0.095, 0.02), (0, 0, 0), IRON),
        unseen(box((0.095, 0.095, 0.0005), (0, 0, 0.025), IRON)),
        scenery(cylinder(0.078, 0.0006, (0, 0, 0.0205), BLACK)),
    )
    sites = (
        Site("cook_region", (0.075, 0.075, 0.0025), (0, 0, 0)),
        Site("burner", (0.0625, 0.0005), (0, 0, 0.022), kind="cylinder", rgba=(0.95, 0.1, 0.05, 1)),
    )
    joint = Joint("button", "hinge", (0, 0, 1), (-0.005, 2.1), damping=1)
    burner = Body("burner", plate, sites, pos=(0.15, 0, 0), density=1000)
    button = Body("button", knob(), quat=rotation("z", 90), joint=joint, mass=3)
    # hf-libero stops collecting sites at the first body that has none: the burner must come before the button.
    return Body("object", children=(Body("base", children=(burner, button)),))


def microwave_case() -> tuple[Shape, ...]:
    """An open box with the controls at its right; the inside is lighter than the outside."""
    return (
        box((0.0145, 0.09955, 0.0935), (-0.158, 0.0115, 0.0935), ENAMEL),
        box((0.0545, 0.09955, 0.0935), (0.118, 0.0115, 0.0935), ENAMEL),
        box((0.1035, 0.015, 0.0935), (-0.0405, 0.0955, 0.0935), ENAMEL),
        box((0.1035, 0.0845, 0.0095), (-0.04, -0.0035, 0.1775), ENAMEL),
        box((0.1035, 0.084, 0.012), (-0.04, -0.004, 0.012), ENAMEL),
        box((0.0425, 0.012, 0.0935), (0.13, -0.0985, 0.0935), ENAMEL),
        scenery(box((0.1035, 0.0805, 0.0005), (-0.04, 0, 0.0243), CAVITY)),
        scenery(box((0.1035, 0.0005, 0.072), (-0.04, 0.0802, 0.0955), CAVITY)),
        scenery(box((0.0005, 0.08, 0.072), (-0.1432, 0, 0.0955), CAVITY)),
        scenery(box((0.0005, 0.08, 0.072), (0.0632, 0, 0.0955), CAVITY)),
        scenery(box((0.03, 0.0005, 0.014), (0.13, -0.1108, 0.155), DISPLAY)),
        *(scenery(box((0.012, 0.001, 0.012), (x, -0.111, z), CHROME)) for x in (0.112, 0.146) for z in (0.05, 0.1)),
    )


def microwave_door() -> tuple[Shape, ...]:
    """A pane with a bar handle on the side away from the hinge; the hinge is the origin."""
    return (
        box((0.1295, 0.012, 0.0925), (0.1295, -0.013, 0), ENAMEL),
        scenery(box((0.085, 0.0125, 0.06), (0.115, -0.013, 0), GLASS)),
        *(box((0.009, 0.016, 0.009), (0.2375, -0.0385, z), CHROME) for z in (-0.065, 0.065)),
        box((0.009, 0.009, 0.074), (0.2375, -0.0545, 0), CHROME),
    )


def microwave() -> Body:
    case, door = microwave_case(), microwave_door()
    sites = (
        Site("top_side", (0.12, 0.0835, 0.005), (0, 0.01, 0.2)),
        Site("heating_region", (0.12, 0.0835, 0.08), (0, 0.01, 0.096)),
    )
    hinge = Joint("microjoint", "hinge", (0, 0, 1), (-2.094, 0), damping=0.5)
    leaf = Body(
        "microdoorroot", door, pos=(-0.1725, -0.088, 0.096), joint=hinge, density=density(0.26, door), passive=True
    )
    return Body("object", case, sites, (leaf,), density=density(3, case), passive=True)


APPLIANCES = (
    Thing("articulated_objects/flat_stove.xml", stove(), bottom=-0.045, top=0.045, radius=0.045),
    Thing("articulated_objects/microwave.xml", microwave(), bottom=-0.06, top=0.06, radius=0.015),
)
