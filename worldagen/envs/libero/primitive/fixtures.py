"""The fixtures, one entry each. Dimensions follow the collision boxes of LIBERO's own models."""

from worldagen.envs.libero.primitive.shapes import (
    Body,
    Joint,
    Shape,
    Site,
    Thing,
    box,
    cylinder,
    rotation,
    scenery,
    unseen,
)

WALNUT = (0.33, 0.19, 0.1)
DRAWER = (0.62, 0.4, 0.2)
STEEL = (0.8, 0.82, 0.85)
IRON = (0.5, 0.52, 0.55)
BLACK = (0.05, 0.05, 0.06)
KNOB = (0.15, 0.15, 0.17)
RIDGE = (0.9, 0.85, 0.2)
OAK = (0.85, 0.7, 0.4)
MAHOGANY = (0.5, 0.2, 0.12)


def drawer(level: str, middle: float, region: float, handle: float) -> Body:
    """One drawer of the cabinet: an open tray with a double front and a handle; arguments are heights in metres."""
    tray = (
        box((0.1093, 0.0027, 0.0343), (0.0033, -0.0752, middle - 0.0005), DRAWER),
        box((0.1068, 0.0036, 0.0321), (0.0033, -0.0684, middle), DRAWER),
        box((0.1068, 0.0036, 0.0321), (0.0033, 0.0908, middle), DRAWER),
        box((0.0024, 0.0815, 0.0315), (-0.1019, 0.011, middle), DRAWER),
        box((0.0024, 0.0815, 0.0315), (0.1089, 0.011, middle), DRAWER),
        box((0.107, 0.081, 0.004), (0.0035, 0.0105, middle - 0.0284), DRAWER),
    )
    grip = (
        box((0.0445, 0.0077, 0.0082), (-0.0028, -0.1016, handle), STEEL),
        box((0.0051, 0.0106, 0.0055), (0.0292, -0.0835, handle), STEEL),
        box((0.0051, 0.0106, 0.0056), (-0.0356, -0.0835, handle), STEEL),
    )
    contents = Site(f"{level}_region", (0.02993, 0.07561, 0.10224), (0.00328, 0.01128, region), quat=rotation("y", 90))
    joint = Joint(f"{level}_level", "slide", (0, 1, 0), (-0.16, 0.01), damping=50)
    return Body(f"cabinet_{level}", tray + grip, (contents,), joint=joint, mass=3)


def cabinet() -> Body:
    case = (
        box((0.119, 0.0023, 0.1058), (0.0035, 0.1094, 0.1143), WALNUT),
        box((0.1228, 0.0896, 0.002), (0.004, 0.0163, 0.0069), WALNUT),
        box((0.0052, 0.0954, 0.1058), (-0.1122, 0.0163, 0.1143), WALNUT),
        box((0.0052, 0.0954, 0.1058), (0.119, 0.0163, 0.1143), WALNUT),
        box((0.1273, 0.0941, 0.0014), (0.0039, 0.0158, 0.2216), WALNUT),
        *(box((0.1117, 0.0893, 0.0009), (0.004, 0.0187, height), WALNUT) for height in (0.0093, 0.0793, 0.1493)),
    )
    drawers = (
        drawer("top", middle=0.1836, region=0.18563, handle=0.1839),
        drawer("middle", middle=0.1139, region=0.1169, handle=0.1104),
        drawer("bottom", middle=0.0453, region=0.04701, handle=0.0411),
    )
    lid = Site("top_side", (0.12534, 0.09438, 0.00147), (0.00354, 0.01567, 0.22152))
    return Body("object", children=(Body("base", case, (lid,), drawers),))


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


def wine_rack() -> Body:
    """Two shelves rising by 31 degrees, each with a stopper at its lower edge, on a leaning post and three feet."""
    shelves = (
        box((0.1344, 0.0789, 0.0045), (0, -0.0061, 0.2512), OAK, rotation("x", 31.3)),
        box((0.1344, 0.0789, 0.0045), (0, -0.0427, 0.1273), OAK, rotation("x", 31.3)),
        box((0.1322, 0.0087, 0.0011), (0, -0.0748, 0.2207), IRON, rotation("x", -60.7)),
        box((0.1322, 0.0087, 0.0011), (0, -0.1091, 0.0974), IRON, rotation("x", -60.7)),
    )
    stand = (
        box((0.0665, 0.093, 0.0045), (0, 0, 0.0066), MAHOGANY),
        box((0.09, 0.06, 0.0045), (0, 0.0694, 0.0101), MAHOGANY, rotation("x", -7.5)),
        box((0.09, 0.06, 0.0045), (0, -0.0643, 0.0126), MAHOGANY, rotation("x", 8)),
        box((0.0905, 0.0141, 0.0045), (0, 0, 0.0205), MAHOGANY),
        box((0.0076, 0.0091, 0.1617), (0, 0.0089, 0.1703), MAHOGANY, rotation("x", -15.8)),
    )
    top = Site("top_region", (0.10087, 0.022, 0.00251), (0, -0.08003, 0.21745), quat=rotation("x", -62.5))
    return Body("object", shelves + stand, (top,))


FIXTURES = (
    Thing("articulated_objects/wooden_cabinet.xml", cabinet(), bottom=-0.045, top=0.045, radius=0.045),
    Thing("articulated_objects/flat_stove.xml", stove(), bottom=-0.045, top=0.045, radius=0.045),
    Thing("turbosquid_objects/wine_rack/wine_rack.xml", wine_rack(), bottom=-0.06, top=0.04, radius=0.025),
)
