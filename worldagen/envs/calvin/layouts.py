"""Where blocks can lie in each of CALVIN's scenes, and how far its slider goes.

Ranges from calvin_env (conf/scene: `surfaces`; the table's joint limits), narrowed where a block would touch a button,
the wall or the door; heights are where blocks come to rest.
"""

from dataclasses import dataclass, replace

Range = tuple[float, float]
TABLE_HEIGHT, SHELF_HEIGHT, DRAWER_HEIGHT, BLOCK_HEIGHT = 0.46, 0.461, 0.3623, 0.04
"""Metres; of a block's centre, and from one block's centre to that of a block on top of it."""


@dataclass(frozen=True)
class Layout:
    table: Range
    """x of blocks on the table, in metres."""
    table_spots: tuple[tuple[float, float, float], ...]
    """The two places on the table where evaluation starts from."""
    shelf: dict[str, Range]
    """x of blocks on either side of the shelf behind the sliding door."""
    shelf_spots: dict[str, tuple[float, float, float]]
    drawer: Range
    """x of blocks in the drawer."""
    slider_left: float
    """Joint value at which the sliding door is on the left; zero on the right."""
    table_depth: Range = (-0.15, -0.06)
    """y of blocks on the table."""
    shelf_depth: Range = (0.09, 0.10)
    drawer_depth: Range = (-0.31, -0.26)
    """y of blocks in the open drawer."""


_D = Layout(
    table=(0.0, 0.35),
    table_spots=(
        (5.00000896e-02, -1.20000177e-01, 4.59990009e-01),
        (2.29995412e-01, -1.19995140e-01, 4.59990010e-01),
    ),
    shelf={"slider_left": (-0.32, -0.16), "slider_right": (-0.05, 0.13)},
    shelf_spots={
        "slider_left": (-2.40851662e-01, 9.24044687e-02, 4.60990009e-01),
        "slider_right": (7.03416330e-02, 9.24044687e-02, 4.60990009e-01),
    },
    drawer=(0.08, 0.28),
    slider_left=0.28,
)
"""The scene CALVIN evaluates in: its spots are exact (calvin_agent/evaluation/utils.py)."""


def _moved(spots: dict[str, tuple[float, float, float]], x: float) -> dict[str, tuple[float, float, float]]:
    return {name: (spot[0] + x, *spot[1:]) for name, spot in spots.items()}


# CALVIN evaluates in scene D alone. In the others the spots lie the same way on their own table and shelf: the shelf of
# B and C is 0.18 m further right, and B's button is where D has its second spot.
_B = Layout(
    table=(-0.35, 0.15),
    table_spots=((-0.23, -0.12, 0.46), (-0.05, -0.12, 0.46)),
    shelf={"slider_left": (-0.12, 0.06), "slider_right": (0.15, 0.30)},
    shelf_spots=_moved(_D.shelf_spots, 0.18),
    drawer=(0.08, 0.28),
    slider_left=0.28,
)
LAYOUTS = {
    "calvin_a": replace(_D, table=(-0.19, 0.35), drawer=(0.0, 0.2)),
    "calvin_b": _B,
    "calvin_c": replace(_B, table=_D.table, table_spots=_D.table_spots, drawer=(0.0, 0.2), slider_left=0.24),
    "calvin_d": _D,
}
