"""Paired differences below each other, each with its interval: filled where it is distinguishable from zero."""

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from worldagen.evaluation.statistics import PairedDifference
from worldagen.report.panels import in_points
from worldagen.report.theme import Theme


def difference_axes(figure: Figure, names: Sequence[str], xlabel: str, theme: Theme) -> Axes:
    """Empty rows, the first at the top, about a line at zero."""
    axes = figure.add_subplot()
    axes.axvline(0, color=theme.text, linewidth=1)
    axes.set_yticks(range(len(names)), names, color=theme.text)
    axes.set_ylim(len(names) - 0.4, -0.6)
    in_points(axes.xaxis)
    axes.grid(axis="x")
    axes.grid(axis="y", visible=False)
    axes.set_xlabel(xlabel)
    return axes


def difference_row(axes: Axes, row: int, found: PairedDifference, colour: str, theme: Theme, marker: str = "o") -> None:
    """One difference and its interval."""
    fill = colour if found.distinguishable else theme.background
    axes.plot([found.low, found.high], [row, row], color=colour, linewidth=2)
    axes.plot(found.value, row, marker, markersize=8, markerfacecolor=fill, markeredgecolor=colour, mew=1.8)
