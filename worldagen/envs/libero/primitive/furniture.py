"""Tables that are part of a room, and what stands at its walls to be seen only.

Dimensions of what objects rest on follow LIBERO's own collision boxes.
"""

from worldagen.envs.libero.primitive.shapes import Body, Shape, box, cylinder, scenery

OAK = (0.66, 0.5, 0.34)
ASH = (0.8, 0.68, 0.52)
WALNUT = (0.36, 0.23, 0.14)
WHITE = (0.88, 0.88, 0.86)
STEEL = (0.6, 0.62, 0.66)
BLACK = (0.08, 0.08, 0.1)
SPINES = ((0.7, 0.2, 0.15), (0.2, 0.35, 0.6), (0.25, 0.5, 0.3), (0.8, 0.65, 0.2))

COFFEE_TABLE = Body(
    "living_room_table",
    (
        box((0.5814, 0.6717, 0.0118), (-0.2427, 0.0524, 0.4249), OAK),
        box((0.4168, 0.861, 0.0118), (-0.25, 0.0397, 0.4249), OAK),
        box((0.4116, 0.4352, 0.2043), (-0.25, 0.25, 0.2043), WALNUT),
    ),
)

DESK = Body(
    "study_table",
    (
        box((0.6895, 1.3927, 0.0358), (0, 0, 0.8493), ASH),
        *(box((0.02, 0.0503, 0.3941), (x, y, 0.3943), WALNUT) for x in (-0.5005, 0.4962) for y in (-0.6906, 0.7147)),
        *(box((0.5126, 0.0503, 0.02), (-0.0049, y, 0.0253), WALNUT) for y in (-0.6976, 0.7147)),
    ),
)


def backdrop(*shapes: Shape) -> Body:
    """What a camera sees behind the robot; nothing touches it."""
    return Body("backdrop", tuple(map(scenery, shapes)))


KITCHEN_UNIT = backdrop(
    box((0.3, 1.5, 0.43), (-1.65, 0, 0.43), OAK),
    box((0.32, 1.5, 0.02), (-1.64, 0, 0.88), WHITE),
    box((0.25, 0.35, 0.01), (-1.6, 0.5, 0.91), BLACK),
    box((0.2, 1.5, 0.35), (-1.75, 0, 1.85), OAK),
    box((0.35, 0.4, 0.95), (-1.7, -2, 0.95), STEEL),
)

LIVING_ROOM_UNIT = backdrop(
    box((0.22, 1.3, 0.2), (-1.7, 0, 0.2), WALNUT),
    box((0.03, 0.55, 0.32), (-1.8, 0, 0.75), BLACK),
    box((0.18, 0.25, 0.75), (-1.75, 1.05, 0.75), WALNUT),
    box((0.18, 0.25, 0.75), (-1.75, -1.05, 0.75), WALNUT),
)

BOOKCASE = backdrop(
    box((0.02, 0.6, 0.95), (-1.9, -1, 0.95), WALNUT),
    *(box((0.15, 0.6, 0.02), (-1.75, -1, height), WALNUT) for height in (0.4, 0.8, 1.2, 1.6)),
    *(
        box((0.1, 0.12, 0.12), (-1.75, -1.45 + 0.3 * place, height), SPINES[(place + row) % len(SPINES)])
        for row, height in enumerate((0.54, 0.94, 1.34))
        for place in range(4)
    ),
    cylinder(0.03, 0.7, (-1.8, 0.6, 0.7), STEEL),
    cylinder(0.16, 0.12, (-1.8, 0.6, 1.5), WHITE),
)
