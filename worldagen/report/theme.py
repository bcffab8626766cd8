"""Colours and type of the report's figures, for a light and a dark page."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import matplotlib


@dataclass(frozen=True)
class Theme:
    name: str
    background: str
    text: str
    muted: str
    grid: str
    series: tuple[str, ...]
    """Colours of the swept series: Okabe and Ito's palette, told apart by the colour-blind."""
    gain: str
    harm: str
    neutral: str


LIGHT = Theme(
    name="light",
    background="#ffffff",
    text="#1b1f24",
    muted="#5d6672",
    grid="#e4e7eb",
    series=("#0072b2", "#d55e00", "#009e73", "#aa4499", "#b58900", "#56b4e9"),
    gain="#0072b2",
    harm="#d55e00",
    neutral="#5d6672",
)
DARK = Theme(
    name="dark",
    background="#171b20",
    text="#e6e9ed",
    muted="#9aa4b0",
    grid="#2b323a",
    series=("#56b4e9", "#ff8c42", "#2fc99b", "#e08fc7", "#f0e442", "#9ecbff"),
    gain="#56b4e9",
    harm="#ff8c42",
    neutral="#9aa4b0",
)


MARKERS = "osD^vP"
"""Of the swept series, in the order of their colours."""


@contextmanager
def drawing(theme: Theme) -> Iterator[None]:
    """Within this context figures are drawn in `theme`."""
    settings: dict[Any, Any] = {
        "font.family": "sans-serif",
        "font.size": 11,
        "text.color": theme.text,
        "axes.labelcolor": theme.muted,
        "axes.facecolor": theme.background,
        "axes.edgecolor": theme.grid,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.grid": True,
        "axes.grid.axis": "y",
        "axes.axisbelow": True,
        "grid.color": theme.grid,
        "figure.facecolor": theme.background,
        "xtick.color": theme.muted,
        "ytick.color": theme.muted,
        "xtick.minor.size": 0,
        "xtick.major.size": 0,
        "ytick.major.size": 0,
        "lines.linewidth": 2,
        "lines.markersize": 6,
        "figure.constrained_layout.use": True,
    }
    with matplotlib.rc_context(settings):
        yield
