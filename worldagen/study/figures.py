"""The figures of a study: its confirmations beside each other, and every setting's budgets as small multiples."""

import math
from collections.abc import Callable

from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

from worldagen.report.budgets import looks
from worldagen.report.differences import difference_axes, difference_row
from worldagen.report.findings import Finding, Findings, method_name
from worldagen.report.panels import WIDE, Label, in_percent, in_points, legend
from worldagen.report.theme import Theme
from worldagen.study.summary import SettingFindings, Study

CHOICE = "the rule's choice"
_COLUMNS = 4


def confirmations(study: Study, theme: Theme) -> Figure:
    """Paired difference on fresh initial states, a row for each setting and one for all together; the best arm, and
    below it the acceptance rule's choice where that is another."""
    rows = [
        (f"{each.name}: best", again.difference, "o") if again is each.confirmed else (CHOICE, again.difference, "s")
        for each, again in study.again
    ]
    if study.together and len(study.confirmed) > 1:
        rows.append(("all settings: best", study.together, "o"))
        rows += [(CHOICE, study.chosen_together, "s")] if study.chosen_together else []
    figure = Figure(figsize=(WIDE, 1.1 + 0.32 * len(rows)))
    names = [name for name, *_ in rows]
    axes = difference_axes(figure, names, "percentage points to the control, fresh initial states", theme)
    for row, (_, found, marker) in enumerate(rows):
        colour = theme.neutral if not found.distinguishable else theme.gain if found.value > 0 else theme.harm
        difference_row(axes, row, found, colour, theme, marker)
    return figure


def success(study: Study, theme: Theme) -> Figure:
    """Change of success over TTT steps, a panel for each setting, a line for each way to adapt."""
    return _multiples(study, theme, _difference, in_points, "points of success")


def error(study: Study, theme: Theme) -> Figure:
    """Relative change of the held-out error over TTT steps, likewise."""
    return _multiples(study, theme, lambda each: each.error_change, in_percent, "change of the held-out error")


def _difference(finding: Finding) -> float:
    return finding.difference.value if finding.difference else math.nan


def _multiples(
    study: Study, theme: Theme, y: Callable[[Finding], float], ticks: Callable[[Axis], None], ylabel: str
) -> Figure:
    columns = min(_COLUMNS, len(study.settings))
    rows = math.ceil(len(study.settings) / columns)
    figure = Figure(figsize=(WIDE, 1.1 + 2.3 * rows))
    grid = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True)
    colours = looks(study.methods, theme)
    for number, axes in enumerate(grid.flat):
        if number < len(study.settings):
            _panel(axes, study.settings[number], y, colours, theme)
        else:
            axes.set_axis_off()
    _steps_axis(grid[0][0], study)
    ticks(grid[0][0].yaxis)
    figure.supxlabel("TTT steps", fontsize=11)
    figure.supylabel(ylabel, fontsize=11)
    legend(figure, {method_name(name): Label(0, look[0], marker=look[1]) for name, look in colours.items()})
    return figure


def _panel(
    axes: Axes,
    setting: SettingFindings,
    y: Callable[[Finding], float],
    colours: dict[str, tuple[str, str]],
    theme: Theme,
) -> None:
    axes.set_title(setting.name, fontsize=10)
    axes.axhline(0, color=theme.neutral, linewidth=1.2, linestyle="--")
    for group, found in _by_group(setting.findings).items():
        colour, marker = colours[group]
        for line in found:
            steps = [0, *(each.steps for each in line)]
            axes.plot(steps, [0.0, *(y(each) for each in line)], color=colour, linewidth=1.2, alpha=0.6)
            axes.plot(steps[1:], [y(each) for each in line], marker, color=colour, markersize=4, alpha=0.85)


def _by_group(findings: Findings) -> dict[str, list[list[Finding]]]:
    """Lines of each method, by steps."""
    lines = [[each for each in findings.arms if each.group == group] for group in findings.groups]
    return {
        method: [sorted(line, key=lambda each: each.steps) for line in lines if line[0].group.method == method]
        for method in findings.methods
    }


def _steps_axis(axes: Axes, study: Study) -> None:
    """Zero at the left, then logarithmic; shared by all panels."""
    steps = sorted({each.steps for findings in study.findings for each in findings.arms})
    shown = [0, *(steps[::-1][::2][::-1] if len(steps) > 4 else steps)]
    axes.set_xscale("symlog", base=2, linthresh=steps[0], linscale=1.0)
    axes.set_xticks(shown, [str(step) for step in shown])
    axes.xaxis.set_minor_formatter(NullFormatter())
