"""The figures of the report. Each function draws one from the findings; `draw` renders them for both page themes."""

import io
import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from worldagen.report.budgets import budget_curves, tradeoff
from worldagen.report.differences import difference_axes, difference_row
from worldagen.report.findings import Finding, Findings
from worldagen.report.panels import SIZE, WIDE, Panel, Series, over_steps, panels
from worldagen.report.theme import DARK, LIGHT, Theme, drawing

DPI = 200
logger = logging.getLogger(__name__)

SHOWN_TRANSITIONS = 4
FEW_DIFFERENCES, SHOWN_DIFFERENCES = 12, 32
"""Rows of the plot of differences: few are shown in the arms' own order, of very many only the best and the worst."""


@dataclass(frozen=True)
class Picture:
    """One figure as PNG bytes, for a light and for a dark page."""

    light: bytes
    dark: bytes
    wide: bool
    """Whether it needs the page's whole width."""


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
    if findings.compared and findings.measured:
        plots["budget"] = partial(budget_curves, findings)
        plots["tradeoff"] = partial(tradeoff, [findings])
    if any(each.arm.training_loss for each in findings.arms):
        plots["training_loss"] = partial(learning, findings)
    shown = _with_predictions(findings)
    if gone := [path for _, path in shown if not (run_dir / path).exists()]:  # results kept without their adapters
        logger.warning("no picture of predicted frames: %s is not in %s", gone[0], run_dir)
    elif shown:
        plots["predictions"] = partial(predictions, shown, run_dir)
    return {name: picture(plot) for name, plot in plots.items()}


def picture(plot: Callable[[Theme], Figure]) -> Picture:
    """A figure in both themes."""
    (light, wide), (dark, _) = (_png(plot, theme) for theme in (LIGHT, DARK))
    return Picture(light, dark, wide)


def _png(plot: Callable[[Theme], Figure], theme: Theme) -> tuple[bytes, bool]:
    with drawing(theme):
        file = io.BytesIO()
        figure = plot(theme)
        figure.savefig(file, format="png", dpi=DPI)
        return file.getvalue(), figure.get_figwidth() > SIZE[0]


def success(findings: Findings, theme: Theme) -> Figure:
    """Success rate over TTT steps, one line per way to adapt, the control as a band."""
    made = over_steps(findings, lambda each: each.difference is not None)
    control = findings.control.rate
    for panel in made:
        panel.axes.axhspan(control.low, control.high, color=theme.neutral, alpha=0.16, linewidth=0)
        panel.across("control", control.value, theme.neutral, "--")
        for position, series in enumerate(panel.series):
            # intervals at the same step side by side
            _success_line(panel, series, control.value, 1.05 ** (position - (len(panel.series) - 1) / 2), theme)
        panel.axes.set_ylim(-0.03, 1.03)
        panel.axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    return made.finish("success rate")


def _success_line(panel: Panel, series: Series, start: float, nudge: float, theme: Theme) -> None:
    colour, axes = series.colour(theme), panel.axes
    steps = [each.steps * nudge for each in series.found]
    rates = [each.rate for each in series.found]
    values = [rate.value for rate in rates]
    axes.plot([0, *steps], [start, *values], color=colour, alpha=0.9)
    below = [rate.value - rate.low for rate in rates]
    above = [rate.high - rate.value for rate in rates]
    axes.errorbar(
        steps, values, (below, above), fmt=series.marker, color=colour, elinewidth=1.3, capsize=0, markersize=5
    )
    for step, each in zip(steps, series.found, strict=True):
        if len(each.arms) > 1:  # every seed by itself
            own = [arm.success_rate for arm in each.arms]
            axes.plot([step] * len(own), own, "_", color=colour, markersize=9, alpha=0.7)
    panel.label(series, values[-1], theme, steps[-1])


def difference(findings: Findings, theme: Theme) -> Figure:
    """Paired difference of every arm with its interval: a filled dot where it is distinguishable from zero."""
    shown, hidden = _shown(findings)
    rows = len(shown)
    width, height = (WIDE, 0.26) if len(findings.arms) > FEW_DIFFERENCES else (SIZE[0], 0.34)
    figure = Figure(figsize=(width, max(SIZE[1], 1.0 + height * rows)))
    names = [findings.name(each) for each in shown]
    axes = difference_axes(figure, names, "percentage points to the control", theme)
    reach = max([0.1, *(_difference_row(axes, row, each, theme) for row, each in enumerate(shown))])
    if hidden:
        middle = rows // 2 - 0.5
        axes.axhline(middle, color=theme.muted, linewidth=1, linestyle=":")
        axes.annotate(f"{hidden} arms between", (reach, middle), ha="right", va="bottom", color=theme.muted, fontsize=9)
    axes.set_xlim(-1.08 * reach, 1.08 * reach)
    axes.spines["left"].set_visible(False)
    return figure


def _shown(findings: Findings) -> tuple[list[Finding], int]:
    """The arms of the plot of differences: few in their order, more by their difference, of many the ends only; and how
    many that leaves out."""
    found = list(findings.arms)
    if len(found) <= FEW_DIFFERENCES:
        return found, 0
    found = sorted(findings.compared, key=lambda each: -each.difference.value if each.difference else 0.0)
    half = SHOWN_DIFFERENCES // 2
    hidden = max(0, len(found) - 2 * half)
    return (found[:half] + found[-half:] if hidden else found), hidden


def _difference_row(axes: Axes, row: int, each: Finding, theme: Theme) -> float:
    """Draw one arm; how far its interval reaches from zero."""
    colour = {"gain": theme.gain, "candidate": theme.gain, "harm": theme.harm}.get(each.verdict, theme.neutral)
    found = each.difference
    if found is None:
        axes.annotate(each.verdict, (0, row), (8, 0), textcoords="offset points", va="center", color=colour)
        return 0.0
    difference_row(axes, row, found, colour, theme)
    return max(abs(found.low), abs(found.high))


def world_model_error(findings: Findings, theme: Theme, patches: str) -> Figure:
    """Held-out next-observation error over TTT steps beside that of copying the last frame."""
    control = findings.results.control.measurement
    assert control is not None
    copy, start = getattr(control, f"copy_{patches}"), getattr(control, patches)
    values = [each.measured(patches) for each in findings.measured]
    highest, lowest = max(copy, start, *values), min(copy, start, *values)
    made = over_steps(findings, findings.measured.__contains__)
    for panel in made:
        panel.across("copy last frame", copy, theme.text, ":")
        panel.across("control", start, theme.neutral, "--")
        for series in panel.series:
            panel.line(series, start, [each.measured(patches) for each in series.found], theme)
        if highest > 10 * lowest:
            panel.axes.set_yscale("log")
        else:
            panel.axes.set_ylim(0, 1.08 * highest)
    return made.finish("mean squared error, held out")


def policy_drift(findings: Findings, theme: Theme) -> Figure:
    """How far the adapted policy's arm actions lie from the base's, over TTT steps, and the acceptance rule's limit."""
    made = over_steps(findings, findings.measured.__contains__)
    limit = findings.results.config["ttt"].get("accept_drift")
    for panel in made:
        if limit is not None:
            panel.across("limit of the rule", limit, theme.neutral, ":")
        for series in panel.series:
            panel.line(series, 0.0, [each.measured("arm_drift") for each in series.found], theme)
        panel.axes.set_ylim(bottom=0)
    return made.finish("mean |Δ arm action| (of −1 to 1)")


def learning(findings: Findings, theme: Theme) -> Figure:
    """Each TTT step's observation loss (thin) and, where it was measured, the held-out one (thick), for the longest arm
    of each way to adapt."""
    made = panels(findings, lambda each: bool(each.arm.training_loss))
    for panel in made:
        for series in panel.series:
            arm, colour = series.found[-1].arm, series.colour(theme)
            losses, heldout = arm.training_loss, [point.measurement.all for point in arm.curve]
            (line,) = panel.axes.plot(range(1, len(losses) + 1), losses, color=colour, marker="o" * (len(losses) == 1))
            line.set(linewidth=0.9, alpha=0.6) if heldout else line.set(linewidth=1.6)
            panel.axes.plot([point.step for point in arm.curve], heldout, color=colour)
            panel.label(series, (heldout or losses)[-1], theme, len(losses))
    return made.finish("mean squared error, all patches", "TTT step")


def predictions(shown: list[tuple[str, str]], run_dir: Path, theme: Theme) -> Figure:
    """Last and real next frame beside what the given arms predict; a row per held-out transition, both cameras."""
    files = [np.load(run_dir / path) for _, path in shown]
    columns = [("last frame", files[0]["last"]), ("real next frame", files[0]["real"])]
    columns += [(title, file["predicted"]) for (title, _), file in zip(shown, files, strict=True)]
    rows = min(SHOWN_TRANSITIONS, len(files[0]["last"]))
    lines = 1 + max(title.count("\n") for title, _ in columns)
    figure = Figure(figsize=(10.8, 10.4 / len(columns) / 2 * rows + 0.35 + 0.25 * lines), layout="constrained")
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
            name = "" if each.steps == 0 else "\n" + findings.name(each).replace(", lr", "\nlr")
            shown[each.arm.predictions] = title + name
    return [(title, path) for path, title in shown.items()]


def _rgb(colour: str) -> tuple[int, ...]:
    return tuple(bytes.fromhex(colour[1:]))
