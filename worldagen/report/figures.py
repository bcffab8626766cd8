"""The figures of the report. Each function draws one from the findings; `draw` renders them for both page themes."""

import io
import itertools
import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from matplotlib.ticker import FuncFormatter, NullFormatter, PercentFormatter

from worldagen.report.findings import Finding, Findings, points
from worldagen.report.theme import DARK, LIGHT, Theme, drawing

SIZE = (5.4, 3.7)
DPI = 200
SHOWN_TRANSITIONS = 4
_MARKERS = "osD^vP"


@dataclass(frozen=True)
class Picture:
    """One figure as PNG bytes, for a light and for a dark page."""

    light: bytes
    dark: bytes


@dataclass(frozen=True)
class Label:
    """What is written at the end of a line."""

    y: float
    colour: str
    x: float | None = None
    """None for lines that cross the whole axes."""


@dataclass(frozen=True)
class Series:
    """The arms of one way to adapt (learning rate, rank), by steps."""

    label: str
    arms: tuple[Finding, ...]
    index: int
    """Position among the series: its colour and its marker."""


def draw(findings: Findings, run_dir: Path) -> dict[str, Picture]:
    """All figures for which there is something to show, by name."""
    plots: dict[str, Callable[[Theme], Figure]] = {}
    if findings.compared:
        plots["success"] = partial(success, findings)
        plots["difference"] = partial(difference, findings)
    if findings.measured:
        plots["error_changed"] = partial(world_model_error, findings, patches="changed")
        plots["error_all"] = partial(world_model_error, findings, patches="all")
        plots["drift"] = partial(policy_drift, findings)
    if any(each.arm.training_loss for each in findings.arms):
        plots["training_loss"] = partial(training_loss, findings)
    if shown := _with_predictions(findings):
        plots["predictions"] = partial(predictions, shown, run_dir)
    return {name: Picture(_png(plot, LIGHT), _png(plot, DARK)) for name, plot in plots.items()}


def _png(plot: Callable[[Theme], Figure], theme: Theme) -> bytes:
    with drawing(theme):
        file = io.BytesIO()
        plot(theme).savefig(file, format="png", dpi=DPI)
        return file.getvalue()


def success(findings: Findings, theme: Theme) -> Figure:
    """Success rate over TTT steps, one line per series, the control as a band."""
    figure, axes = _over_steps(findings)
    control = findings.control.rate
    axes.axhspan(control.low, control.high, color=theme.neutral, alpha=0.16, linewidth=0)
    axes.axhline(control.value, color=theme.neutral, linewidth=1.2, linestyle="--")
    labels = {"control": Label(control.value, theme.neutral)}
    every = list(_series(findings, lambda each: each.difference is not None))
    for series in every:
        colour = _colour(series, theme)
        nudge = 1.05 ** (series.index - (len(every) - 1) / 2)  # intervals at the same step side by side
        steps = [each.arm.steps * nudge for each in series.arms]
        rates = [each.rate for each in series.arms]
        values = [rate.value for rate in rates]
        axes.plot([0, *steps], [control.value, *values], color=colour, alpha=0.9)
        below = [rate.value - rate.low for rate in rates]
        above = [rate.high - rate.value for rate in rates]
        axes.errorbar(steps, values, (below, above), fmt=_marker(series), color=colour, elinewidth=1.3, capsize=0)
        labels[series.label] = Label(values[-1], colour, steps[-1])
    axes.set_ylim(-0.03, 1.03)
    axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    _label_ends(axes, labels)
    return figure


def difference(findings: Findings, theme: Theme) -> Figure:
    """Paired difference of every arm with its interval: a filled dot where it is distinguishable from zero."""
    rows = len(findings.arms)
    figure = Figure(figsize=(SIZE[0], max(SIZE[1], 1.0 + 0.34 * rows)))
    axes = figure.add_subplot()
    axes.axvline(0, color=theme.text, linewidth=1)
    reach = 0.1
    for row, each in enumerate(findings.arms):
        colour = {"gain": theme.gain, "harm": theme.harm}.get(each.verdict, theme.neutral)
        if each.difference is None:
            axes.annotate(each.verdict, (0, row), (8, 0), textcoords="offset points", va="center", color=colour)
            continue
        found = each.difference
        fill = colour if found.distinguishable else theme.background
        axes.plot([found.low, found.high], [row, row], color=colour, linewidth=2)
        axes.plot(found.value, row, "o", markersize=8, markerfacecolor=fill, markeredgecolor=colour, mew=1.8)
        reach = max(reach, abs(found.low), abs(found.high))
    axes.set_yticks(range(rows), [findings.name(each.arm) for each in findings.arms], color=theme.text)
    axes.set_ylim(rows - 0.4, -0.6)
    axes.set_xlim(-1.08 * reach, 1.08 * reach)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: points(value)))
    axes.grid(axis="x")
    axes.grid(axis="y", visible=False)
    axes.spines["left"].set_visible(False)
    axes.set_xlabel("percentage points to the control")
    return figure


def world_model_error(findings: Findings, theme: Theme, patches: str) -> Figure:
    """Held-out next-observation error over TTT steps beside that of copying the last frame."""
    figure, axes = _over_steps(findings)
    control = findings.results.control.measurement
    assert control is not None
    copy = getattr(control, f"copy_{patches}")
    axes.axhline(copy, color=theme.text, linewidth=1.2, linestyle=":")
    labels = {"copy last frame": Label(copy, theme.text)}
    start = getattr(control, patches)
    axes.axhline(start, color=theme.neutral, linewidth=1.2, linestyle="--")
    labels["control"] = Label(start, theme.neutral)
    highest, lowest = max(copy, start), min(copy, start)
    for series in _series(findings, lambda each: each.arm.measurement is not None):
        values = [getattr(each.arm.measurement, patches) for each in series.arms]
        _line(axes, series, [start, *values], theme)
        labels[series.label] = Label(values[-1], _colour(series, theme), series.arms[-1].arm.steps)
        highest, lowest = max(highest, *values), min(lowest, *values)
    if highest > 10 * lowest:
        axes.set_yscale("log")
    else:
        axes.set_ylim(0, 1.08 * highest)
    axes.set_ylabel("mean squared error, held out")
    _label_ends(axes, labels)
    return figure


def policy_drift(findings: Findings, theme: Theme) -> Figure:
    """How far the adapted policy's arm actions lie from the base's, over TTT steps."""
    figure, axes = _over_steps(findings)
    labels = {}
    for series in _series(findings, lambda each: each.arm.measurement is not None):
        values = [each.arm.measurement.arm_drift for each in series.arms if each.arm.measurement]
        _line(axes, series, [0.0, *values], theme)
        labels[series.label] = Label(values[-1], _colour(series, theme), series.arms[-1].arm.steps)
    axes.set_ylim(bottom=0)
    axes.set_ylabel("mean |Δ arm action| (of −1 to 1)")
    _label_ends(axes, labels)
    return figure


def training_loss(findings: Findings, theme: Theme) -> Figure:
    """Observation loss of each TTT step's batch, for the longest arm of each series."""
    figure = Figure(figsize=SIZE)
    axes = figure.add_subplot()
    labels = {}
    for series in _series(findings, lambda each: bool(each.arm.training_loss)):
        losses = series.arms[-1].arm.training_loss
        colour = _colour(series, theme)
        axes.plot(range(1, len(losses) + 1), losses, color=colour, linewidth=1.6, marker="o" * (len(losses) == 1))
        labels[series.label] = Label(losses[-1], colour, len(losses))
    axes.set_xlabel("TTT step")
    axes.set_ylabel("mean squared error, training batch")
    _label_ends(axes, labels)
    return figure


def predictions(shown: list[tuple[str, str]], run_dir: Path, theme: Theme) -> Figure:
    """Last and real next frame beside what the given arms predict; a row per held-out transition, both cameras."""
    files = [np.load(run_dir / path) for _, path in shown]
    columns = [("last frame", files[0]["last"]), ("real next frame", files[0]["real"])]
    columns += [(title, file["predicted"]) for (title, _), file in zip(shown, files, strict=True)]
    rows = min(SHOWN_TRANSITIONS, len(files[0]["last"]))
    lines = 1 + max(title.count("\n") for title, _ in columns)
    figure = Figure(figsize=(10.8, 10.4 / len(columns) / 2 * rows + 0.25 + 0.25 * lines), layout="constrained")
    for number, (title, frames) in enumerate(columns):
        axes = figure.add_subplot(1, len(columns), number + 1)
        gap = np.full((2, 2 * frames.shape[3] + 1, 3), _rgb(theme.background), np.uint8)
        strips = [
            np.concatenate([pair[0], gap[:1].repeat(len(pair[0]), 0)[:, :1], pair[1]], 1) for pair in frames[:rows]
        ]
        axes.imshow(np.concatenate([part for strip in strips for part in (strip, gap)][:-1]), interpolation="nearest")
        axes.set_title(title, fontsize=10.5, color=theme.text)
        axes.set_axis_off()
    return figure


def _with_predictions(findings: Findings) -> list[tuple[str, str]]:
    """(title, file) of the control, the arm of lowest held-out error and the most successful arm, each once."""
    chosen = [findings.control, findings.best_world_model, findings.best]
    titles = ["control predicts", "lowest error predicts", "most successful predicts"]
    shown: dict[str, str] = {}
    for title, each in zip(titles, chosen, strict=True):
        if each and each.arm.predictions and each.arm.predictions not in shown:
            name = "" if each.arm.steps == 0 else "\n" + findings.name(each.arm)
            shown[each.arm.predictions] = title + name
    return [(title, path) for path, title in shown.items()]


def _series(findings: Findings, wanted: Callable[[Finding], bool]) -> Iterator[Series]:
    """The series that hold wanted arms. Colours stay with a series whichever of its arms are shown."""
    keys = sorted({each.arm.trial for each in findings.arms})
    for index, key in enumerate(keys):
        own = [each for each in findings.arms if each.arm.trial == key]
        shown = tuple(sorted((each for each in own if wanted(each)), key=lambda each: each.arm.steps))
        if shown:
            ranks = {each.rank for each in keys}
            label = f"lr {key.learning_rate:g}" + (f", rank {key.rank}" if len(ranks) > 1 else "")
            yield Series(label, shown, index)


def _over_steps(findings: Findings) -> tuple[Figure, Axes]:
    """Empty axes over TTT steps: zero at the left, then logarithmic."""
    figure = Figure(figsize=SIZE)
    axes = figure.add_subplot()
    steps = sorted({each.arm.steps for each in findings.arms})
    axes.set_xscale("symlog", base=2, linthresh=steps[0], linscale=1.0)
    axes.set_xticks([0, *steps], [str(step) for step in (0, *steps)])
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xlim(-0.12 * steps[0], steps[-1] * 1.12)
    axes.set_xlabel("TTT steps")
    return figure, axes


def _line(axes: Axes, series: Series, values: Iterable[float], theme: Theme) -> None:
    """A line from the control at zero steps through the arms of `series`."""
    steps = [0, *(each.arm.steps for each in series.arms)]
    axes.plot(steps, list(values), color=_colour(series, theme), marker=_marker(series), markevery=slice(1, None))


def _label_ends(axes: Axes, labels: dict[str, Label]) -> None:
    """Write each label right of where its line ends, moved up or down where labels would overlap."""
    low, high = axes.get_ylim()
    scale = math.log if axes.get_yscale() == "log" else float
    heights = {text: (scale(each.y) - scale(low)) / (scale(high) - scale(low)) for text, each in labels.items()}
    for text, height in _apart(heights, gap=0.075).items():
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


def _apart(heights: dict[str, float], gap: float) -> dict[str, float]:
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


def _colour(series: Series, theme: Theme) -> str:
    return theme.series[series.index % len(theme.series)]


def _marker(series: Series) -> str:
    return _MARKERS[series.index % len(_MARKERS)]


def _rgb(colour: str) -> tuple[int, ...]:
    return tuple(bytes.fromhex(colour[1:]))
