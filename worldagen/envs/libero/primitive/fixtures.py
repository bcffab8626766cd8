"""Cabinets, racks and shelves, one entry each. Dimensions follow the collision boxes of LIBERO's own models."""

from worldagen.envs.libero.primitive.shapes import (
    Body,
    Colour,
    Joint,
    Site,
    Thing,
    box,
    rotation,
    weighed,
)

WALNUT = (0.33, 0.19, 0.1)
DRAWER = (0.62, 0.4, 0.2)
WHITE = (0.86, 0.87, 0.88)
PALE_BLUE = (0.62, 0.72, 0.82)
PINE = (0.72, 0.47, 0.22)
PLANK = (0.58, 0.35, 0.15)
STEEL = (0.8, 0.82, 0.85)
IRON = (0.5, 0.52, 0.55)
OAK = (0.85, 0.7, 0.4)
MAHOGANY = (0.5, 0.2, 0.12)


def drawer(level: str, colour: Colour, middle: float, region: float, handle: float) -> Body:
    """One drawer of the cabinet: an open tray with a double front and a handle; the heights are in metres."""
    tray = (
        box((0.1093, 0.0027, 0.0343), (0.0033, -0.0752, middle - 0.0005), colour),
        box((0.1068, 0.0036, 0.0321), (0.0033, -0.0684, middle), colour),
        box((0.1068, 0.0036, 0.0321), (0.0033, 0.0908, middle), colour),
        box((0.0024, 0.0815, 0.0315), (-0.1019, 0.011, middle), colour),
        box((0.0024, 0.0815, 0.0315), (0.1089, 0.011, middle), colour),
        box((0.107, 0.081, 0.004), (0.0035, 0.0105, middle - 0.0284), colour),
    )
    grip = (
        box((0.0445, 0.0077, 0.0082), (-0.0028, -0.1016, handle), STEEL),
        box((0.0051, 0.0106, 0.0055), (0.0292, -0.0835, handle), STEEL),
        box((0.0051, 0.0106, 0.0056), (-0.0356, -0.0835, handle), STEEL),
    )
    contents = Site(f"{level}_region", (0.02993, 0.07561, 0.10224), (0.00328, 0.01128, region), quat=rotation("y", 90))
    joint = Joint(f"{level}_level", "slide", (0, 1, 0), (-0.16, 0.01), damping=50)
    return Body(f"cabinet_{level}", tray + grip, (contents,), joint=joint, mass=3)


def cabinet(wood: Colour, front: Colour) -> Body:
    """A case that is open in front (-y), with three drawers that slide out."""
    case = (
        box((0.119, 0.0023, 0.1058), (0.0035, 0.1094, 0.1143), wood),
        box((0.1228, 0.0896, 0.002), (0.004, 0.0163, 0.0069), wood),
        box((0.0052, 0.0954, 0.1058), (-0.1122, 0.0163, 0.1143), wood),
        box((0.0052, 0.0954, 0.1058), (0.119, 0.0163, 0.1143), wood),
        box((0.1273, 0.0941, 0.0014), (0.0039, 0.0158, 0.2216), wood),
        *(box((0.1117, 0.0893, 0.0009), (0.004, 0.0187, height), wood) for height in (0.0093, 0.0793, 0.1493)),
    )
    drawers = (
        drawer("top", front, middle=0.1836, region=0.18563, handle=0.1839),
        drawer("middle", front, middle=0.1139, region=0.1169, handle=0.1104),
        drawer("bottom", front, middle=0.0453, region=0.04701, handle=0.0411),
    )
    lid = Site("top_side", (0.12534, 0.09438, 0.00147), (0.00354, 0.01567, 0.22152))
    return Body("object", children=(Body("base", case, (lid,), drawers),))


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


def two_layer_shelf() -> Body:
    """Two compartments above each other, open in front (-y); the lower one has no floor of its own."""
    boards = (
        box((0.0071, 0.0954, 0.1044), (-0.1538, 0.0163, 0.1046), PINE),
        box((0.0071, 0.0954, 0.1044), (0.1631, 0.0163, 0.1046), PINE),
        box((0.1633, 0.0023, 0.1044), (0.0029, 0.1094, 0.1046), PLANK),
        box((0.1532, 0.0893, 0.0008), (0.0052, 0.0187, 0.0701), PINE),
        box((0.1756, 0.0951, 0.0021), (0.005, 0.0163, 0.2082), PINE),
    )
    sites = (
        Site("top_side", (0.17557, 0.09438, 0.00147), (0.00496, 0.01567, 0.20688)),
        Site("top_region", (0.06739, 0.08564, 0.15093), (0.00538, 0.01687, 0.13672), rotation("y", -90)),
        Site("bottom_region", (0.03528, 0.08564, 0.1558), (0.00555, 0.01687, 0.01407), rotation("y", 90)),
    )
    return weighed(0.2063, boards, sites)


FIXTURES = (
    Thing("articulated_objects/wooden_cabinet.xml", cabinet(WALNUT, DRAWER), bottom=-0.045, top=0.045, radius=0.045),
    Thing("articulated_objects/white_cabinet.xml", cabinet(WHITE, PALE_BLUE), bottom=-0.045, top=0.045, radius=0.045),
    Thing("turbosquid_objects/wine_rack/wine_rack.xml", wine_rack()),
    Thing("turbosquid_objects/wooden_two_layer_shelf/wooden_two_layer_shelf.xml", two_layer_shelf()),
)
