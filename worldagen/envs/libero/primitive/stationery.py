"""Books and the desk caddy that holds them. Dimensions follow the collision boxes of LIBERO's own models."""

from worldagen.envs.libero.primitive.shapes import (
    Colour,
    Shape,
    Site,
    Thing,
    Triple,
    box,
    rotation,
    scenery,
    weighed,
)

PAPER = (0.94, 0.92, 0.84)
LEATHER = (0.07, 0.07, 0.09)
GILT = (0.85, 0.65, 0.15)
YELLOW = (0.95, 0.76, 0.08)
INK = (0.25, 0.1, 0.3)
ASH = (0.78, 0.6, 0.4)
BIRCH = (0.86, 0.71, 0.5)


def book(size: Triple, centre: Triple, cover: Colour, title: Colour) -> tuple[Shape, ...]:
    """A standing book: its pages show at the top, the bottom and the front, its title on both covers."""
    thick, deep, high = size
    x, y, z = centre
    return (
        box(size, centre, cover),
        scenery(box((0.75 * thick, 0.96 * deep, high + 0.0006), (x, y - 0.03 * deep, z), PAPER)),
        scenery(box((0.75 * thick, 0.5 * deep, 0.96 * high), (x, y - 0.51 * deep, z), PAPER)),
        scenery(box((thick + 0.0004, 0.6 * deep, 0.14 * high), (x, y, z + 0.4 * high), title)),
    )


def sloping_side(y: float) -> tuple[Shape, ...]:
    """A side of the caddy's large compartment: low in front, high at the back."""
    return (
        box((0.0706, 0.0036, 0.0333), (0, y, 0.0452), ASH),
        box((0.0299, 0.0036, 0.0367), (0.0345, y, 0.0748), ASH),
        box((0.0114, 0.0036, 0.0188), (0.0549, y, 0.1236), ASH),
        box((0.0706, 0.0036, 0.0209), (0, y, 0.0945), ASH, rotation("y", -34.9)),
        box((0.0279, 0.0036, 0.0114), (0.042, y, 0.1387), ASH, rotation("y", -35.1)),
    )


def desk_caddy() -> tuple[Shape, ...]:
    """Three compartments in a row along y; the middle one has a low front half and a higher back half.

    The floor is 5 mm thicker than LIBERO's, on which a standing book is 4 mm too low to count as being inside.
    """
    return (
        box((0.0755, 0.2169, 0.0087), (0, 0, 0.0101), BIRCH),
        box((0.004, 0.2098, 0.0815), (0.0668, 0, 0.0868), ASH),
        box((0.004, 0.2098, 0.0345), (-0.0669, 0, 0.0395), ASH),
        box((0.004, 0.0766, 0.0796), (-0.0669, -0.1398, 0.0877), ASH),
        box((0.004, 0.0668, 0.0434), (-0.0016, 0, 0.0552), ASH),
        box((0.0706, 0.0062, 0.0824), (0, -0.2094, 0.085), ASH),
        box((0.0706, 0.0062, 0.0824), (0, -0.068, 0.085), ASH),
        *sloping_side(0.0706),
        *sloping_side(0.2084),
    )


TURNED = rotation("y", 180)
# LIBERO tests whether something is in a compartment with the site's rotation, so it is LIBERO's own.
COMPARTMENTS = (
    Site("right_contain_region", (0.06196, 0.06216, 0.06046), (0.00631, -0.14339, 0.06558), TURNED),
    Site("left_contain_region", (0.06196, 0.06216, 0.06046), (0.00631, 0.14551, 0.06558), TURNED),
    Site("back_contain_region", (0.02775, 0.06216, 0.06046), (0.03364, -0.00064, 0.08558), TURNED),
    Site("front_contain_region", (0.02775, 0.03595, 0.06216), (-0.03102, -0.00064, 0.04054), (0, 0, 0.70711, -0.70711)),
)

BLACK_BOOK = book((0.0143, 0.0552, 0.0672), (-0.0005, -0.0121, 0.0694), LEATHER, GILT)
YELLOW_BOOK = book((0.0118, 0.0489, 0.0611), (0.0016, 0.0001, 0.0631), YELLOW, INK)

STATIONERY = tuple(
    Thing(f"turbosquid_objects/{name}/{name}.xml", body)
    for name, body in (
        ("black_book", weighed(0.0425, BLACK_BOOK)),
        ("yellow_book", weighed(0.0281, YELLOW_BOOK)),
        ("desk_caddy", weighed(0.278, desk_caddy(), COMPARTMENTS)),
    )
)
