"""Small multiples over TTT steps: a panel for each method and each size of exploration, in it a line for each way to
adapt. A single panel names its lines where they end; several share one legend."""

import itertools
import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Literal

from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patheffects import withStroke
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullFormatter, PercentFormatter

from worldagen.report.findings import Finding, Findings, method_name
from worldagen.report.theme import MARKERS, Theme

SIZE = (5.4, 3.7)
WIDE = 10.8


def in_points(axis: Axis) -> None:
    """Ticks of a difference of rates, in percentage points, of small ones in tenths."""
    axis.set_major_locator(MaxNLocator(nbins=9, steps=[1, 2, 5, 10]))
    axis.set_major_formatter(FuncFormatter(lambda value, _: _tick(round(100 * value, 1))))


def _tick(points: float) -> str:
    return f"{points:+g}".replace("-", "−") if points else "0"


def in_percent(axis: Axis) -> None:
    """Ticks of a share."""
    axis.set_major_formatter(PercentFormatter(1.0, decimals=0))


@dataclass(frozen=True)
class Series:
    """The budgets of one way to adapt, by steps."""

    label: str
    found: tuple[Finding, ...]
    index: int
    """Position among the learning rates and ranks: its colour and its marker, the same in every panel."""

    def colour(self, theme: Theme) -> str:
        return theme.series[self.index % len(theme.series)]

    @property
    def marker(self) -> str:
        return MARKERS[self.index % len(MARKERS)]


@dataclass(frozen=True)
class Label:
    """What is written at the end of a line."""

    y: float
    colour: str
    x: float | None = None
    """None for lines that cross the whole axes."""
    marker: str = ""
    style: Literal["-", "--", ":"] = "-"


@dataclass(frozen=True)
class Panel:
    """Axes and what is to be drawn in them."""

    axes: Axes
    series: tuple[Series, ...]
    labels: dict[str, Label] = field(default_factory=dict)
    """Filled by whoever draws."""

    def line(self, series: Series, start: float, values: Iterable[float], theme: Theme) -> None:
        """A line from the control, at zero steps, through the budgets of `series`."""
        steps, ends = [0, *(each.steps for each in series.found)], [start, *values]
        colour = series.colour(theme)
        self.axes.plot(steps, ends, color=colour, marker=series.marker, markevery=slice(1, None), markersize=5)
        self.label(series, ends[-1], theme)

    def label(self, series: Series, y: float, theme: Theme, x: float | None = None) -> None:
        """Name a series where it ends: at its last step count, or at `x`."""
        end = series.found[-1].steps if x is None else x
        self.labels[series.label] = Label(y, series.colour(theme), end, series.marker)

    def across(self, text: str, y: float, colour: str, style: Literal["-", "--", ":"]) -> None:
        """A labelled line across the axes."""
        self.axes.axhline(y, color=colour, linewidth=1.2, linestyle=style)
        self.labels[text] = Label(y, colour, style=style)


@dataclass(frozen=True)
class Panels:
    """All panels of a figure, row by row."""

    figure: Figure
    panels: tuple[Panel, ...]

    def __iter__(self) -> Iterator[Panel]:
        return iter(self.panels)

    def finish(self, ylabel: str, xlabel: str = "TTT steps") -> Figure:
        """Name the lines and the axes."""
        if len(self.panels) == 1:
            axes = self.panels[0].axes
            axes.set_xlabel(xlabel)
            axes.set_ylabel(ylabel)
            label_ends(axes, self.panels[0].labels)
            return self.figure
        self.figure.supxlabel(xlabel, fontsize=11)
        self.figure.supylabel(ylabel, fontsize=11)
        legend(self.figure, {text: label for panel in self.panels for text, label in panel.labels.items()})
        return self.figure


def panels(findings: Findings, wanted: Callable[[Finding], bool]) -> Panels:
    """Empty panels with the series that hold wanted budgets: a column for each method, a row for each exploration."""
    methods, sizes = findings.methods, findings.explorations
    alone = len(methods) * len(sizes) == 1
    figure = Figure(figsize=SIZE if alone else (WIDE, 1.1 + (2.3 if len(sizes) == 1 else 1.8) * len(sizes)))
    grid = figure.subplots(len(sizes), len(methods), squeeze=False, sharex=True, sharey=True)
    found = []
    for (row, size), (column, method) in itertools.product(enumerate(sizes), enumerate(methods)):
        axes = grid[row][column]
        if len(methods) > 1 and row == 0:
            axes.set_title(method_name(method), fontsize=10)
        if len(sizes) > 1 and column == len(methods) - 1:
            axes.annotate(
                f"{size} explored", (1.02, 0.5), xycoords="axes fraction", rotation=270, va="center", fontsize=10
            )
        found.append(Panel(axes, tuple(_series(findings, method, size, wanted))))
    return Panels(figure, tuple(found))


def over_steps(findings: Findings, wanted: Callable[[Finding], bool]) -> Panels:
    """The same over TTT steps: zero at the left, then logarithmic."""
    made = panels(findings, wanted)
    steps = sorted({each.steps for each in findings.arms})
    crowded = len(findings.methods) > 1 and len(steps) > 5
    shown = [0, *(steps[::-1][::2][::-1] if crowded else steps)]
    for panel in made:
        axes = panel.axes
        axes.set_xscale("symlog", base=2, linthresh=steps[0], linscale=1.0)
        axes.set_xticks(shown, [str(step) for step in shown])
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.set_xlim(-0.12 * steps[0], steps[-1] * 1.12)
    return made


def _series(findings: Findings, method: str, explored: int, wanted: Callable[[Finding], bool]) -> Iterator[Series]:
    """Those of one panel. Colours stay with learning rate and rank, whatever is shown."""
    keys = sorted({(group.learning_rate, group.rank) for group in findings.groups})
    ranks = {rank for _, rank in keys}
    for index, (rate, rank) in enumerate(keys):
        own = [each for each in findings.arms if each.group == (method, rate, rank, explored) and wanted(each)]
        if own:
            label = f"lr {rate:g}" + (f", rank {rank}" if len(ranks) > 1 else "")
            yield Series(label, tuple(sorted(own, key=lambda each: each.steps)), index)


def legend(figure: Figure, labels: dict[str, Label]) -> None:
    """One row above the panels."""
    handles = [
        Line2D([], [], color=each.colour, linestyle=each.style, marker=each.marker or None, label=text)
        for text, each in labels.items()
    ]
    figure.legend(handles=handles, loc="outside upper center", ncols=min(6, len(handles)), frameon=False, fontsize=10)


def label_ends(axes: Axes, labels: dict[str, Label]) -> None:
    """Write each label right of where its line ends, moved up or down where labels would overlap."""
    low, high = axes.get_ylim()
    scale = math.log if axes.get_yscale() == "log" else float
    heights = {text: (scale(each.y) - scale(low)) / (scale(high) - scale(low)) for text, each in labels.items()}
    for text, height in apart(heights, gap=0.075).items():
        x = axes.get_xlim()[1] if labels[text].x is None else labels[text].x
        axes.annotate(
            text,
            (x, height),
            xycoords=("data", "axes fraction"),
            xytext=(8, 0),
            textcoords="offset points",
            color=labels[text].colour,
            va="center",
            fontsize=10.5,
            fontweight="bold",
            path_effects=[withStroke(linewidth=3, foreground=axes.get_facecolor())],
        )


def apart(heights: dict[str, float], gap: float) -> dict[str, float]:
    """Heights at least `gap` apart and as close to the given ones as pushing neighbours away allows."""
    order = sorted(heights, key=lambda text: heights[text])
    placed = {text: heights[text] for text in order}
    for _ in range(50):
        for lower, upper in itertools.pairwise(order):
            overlap = gap - (placed[upper] - placed[lower])
            if overlap > 1e-6:
                placed[lower] -= overlap / 2
                placed[upper] += overlap / 2
    return placed
