"""Shifts: named ways in which the world differs from the one that a policy was trained in.

Here is what there is, and what a shift means in numbers, the same in every simulator. Who applies them: `shifted.py`
those between policy and simulator, `libero/shifts.py` and `calvin/shifts.py` those inside one.

Strength 0 changes nothing; 1 is strong, but leaves a task solvable. In between, angles, lengths and times grow in
proportion and ratios by powers. An even seed means one direction (more, higher, to the right), an odd one the other;
what else there is to choose is drawn from the seed, for each shift by itself.
"""

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np

from worldagen.config.checks import suggest
from worldagen.randomness import generator
from worldagen.types import Shift

LIBERO, CALVIN, EVERY = "LIBERO", "CALVIN", "every"


@dataclass(frozen=True)
class Kind:
    """One row of the table in docs/shifts.md."""

    changes: str
    at_one: str
    """What strength 1 is; the first alternative for even seeds."""
    simulators: tuple[str, ...]
    """Where it works; `every` includes simulators of your own."""


SHIFTS = {
    "camera": Kind(
        "the fixed camera circles what it looks at",
        "20 degrees to the right or left, up to 10 up or down, up to 5 about its own axis",
        (LIBERO, CALVIN),
    ),
    "light": Kind(
        "brightness and tint of the light; in LIBERO also its direction",
        "0.65 times as bright, red, green and blue each up to 1.3 times more or less, turned by 90 degrees",
        (LIBERO, CALVIN),
    ),
    "colour": Kind(
        "each surface's colour or texture is mixed with a colour of its own; not the robot's, nor CALVIN's blocks and "
        "lamps, which are told by their colours",
        "60 % of the new colour",
        (LIBERO, CALVIN),
    ),
    "table_height": Kind(
        "the table, with everything on it, stands higher or lower before robot and camera", "5 cm", (LIBERO,)
    ),
    "friction": Kind("sliding friction of every surface", "2 times more or less", (LIBERO, CALVIN)),
    "mass": Kind("mass of whatever moves, the robot excepted", "4 times more or less", (LIBERO, CALVIN)),
    "action_scale": Kind("how far an arm action moves the arm", "1.6 times more or less", (EVERY,)),
    "action_delay": Kind("time until an action is executed", "2 control steps", (EVERY,)),
    "sensor_noise": Kind(
        "Gaussian noise on both images and on the measured tool pose",
        "standard deviation 25 of 255 on pixels, 5 mm, 0.02 rad",
        (EVERY,),
    ),
}
"""Every shift by name."""

_RATIOS = {"friction": 2.0, "mass": 4.0, "action_scale": 1.6}
_COLOUR_SHARE = 0.6
_UP = np.array([0.0, 0.0, 1.0])
_RAISED = 0.05
_DELAY = 2.0
PIXEL_NOISE, POSITION_NOISE, ROTATION_NOISE = 25.0, 0.005, 0.02
"""Standard deviations at strength 1: of 255, metres, radians."""


def supported(simulator: str) -> tuple[str, ...]:
    """The shifts that work in a simulator."""
    return tuple(name for name, kind in SHIFTS.items() if {simulator, EVERY} & set(kind.simulators))


def check_shifts(shifts: Sequence[Shift], possible: Collection[str], where: str) -> None:
    """Raise ValueError for a shift that is unknown, not among the `possible` ones, given twice or of no strength."""
    for shift in shifts:
        if shift.name not in {*SHIFTS, *possible}:
            raise ValueError(f"unknown shift {shift.name!r}; {suggest(shift.name, sorted({*SHIFTS, *possible}))}")
        if shift.name not in possible:
            raise ValueError(f"{where} has no shift {shift.name!r}; it has {', '.join(possible)}")
        if not (math.isfinite(shift.strength) and shift.strength >= 0):
            raise ValueError(f"the strength of {shift.name!r} must be at least 0 and finite, not {shift.strength}")
    names = [shift.name for shift in shifts]
    if twice := {name for name in names if names.count(name) > 1}:
        raise ValueError(f"a shift can be given once only, not {', '.join(sorted(twice))} twice")


def active(shifts: Sequence[Shift]) -> dict[str, Shift]:
    """The shifts that change anything, by name."""
    return {shift.name: shift for shift in shifts if shift.strength > 0}


@dataclass(frozen=True)
class CameraTurn:
    """Radians: about the vertical, about the camera's own horizontal axis, about its line of sight."""

    azimuth: float
    elevation: float
    roll: float

    def applied(self, position: np.ndarray, axes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """A camera's new position (3,) and axes (3, 3), after circling what it looks at: the point on its line of sight
        nearest to the vertical through the middle of the workspace (0, 0).

        Columns of `axes` are what is right, up and behind, in world coordinates, whose z points up.
        """
        sight = -axes[:, 2]
        target = position - sight * (position[:2] @ sight[:2]) / (sight[:2] @ sight[:2])
        circling = rotation(_UP, self.azimuth) @ rotation(axes[:, 0], -self.elevation)
        return target + circling @ (position - target), circling @ axes @ rotation(_UP, self.roll)


def camera_turn(shift: Shift) -> CameraTurn:
    elevation, roll = generator(shift.name, shift.seed).uniform(-1, 1, 2)
    return CameraTurn(*(shift.strength * np.radians([20 * _direction(shift), 10 * elevation, 5 * roll])))


def light_change(shift: Shift) -> tuple[np.ndarray, float]:
    """Factors (3,) on red, green and blue, and radians to turn the direction about the vertical."""
    factors = 0.65 * 1.3 ** generator(shift.name, shift.seed).uniform(-1, 1, 3)
    return factors**shift.strength, shift.strength * np.radians(90) * _direction(shift)


def repainted(colours: np.ndarray, shift: Shift, surface: str) -> np.ndarray:
    """`colours` (..., 3), values from 0 to 1, of the surface of that name, mixed with its new colour."""
    hue = generator(shift.name, shift.seed, surface).uniform()
    new = np.clip(np.abs((hue + np.array([0, 2, 1]) / 3) % 1 * 6 - 3) - 1, 0.0, 1.0)  # HSV at full saturation and value
    return colours + min(1.0, _COLOUR_SHARE * shift.strength) * (new - colours)


def ratio(shift: Shift) -> float:
    """What to multiply with: of friction, mass or action_scale."""
    return float(_RATIOS[shift.name] ** (shift.strength * _direction(shift)))


def table_raise(shift: Shift) -> float:
    """Metres by which the table is higher."""
    return float(shift.strength * _RAISED * _direction(shift))


def action_delay(shift: Shift) -> float:
    """Control steps, not always a whole number."""
    return shift.strength * _DELAY


def rotation(axis: np.ndarray, angle: float) -> np.ndarray:
    """float64 (3, 3): rotation by `angle` radians about the unit vector `axis` (Rodrigues' formula)."""
    x, y, z = axis
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross


def _direction(shift: Shift) -> int:
    return -1 if shift.seed % 2 else 1
