"""What a budget buys: success and world-model error against what is spent, and against each other."""

import itertools
from collections.abc import Callable, Iterable

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, NullFormatter, PercentFormatter

from worldagen.config.schema import METHODS
from worldagen.report.findings import Finding, Findings, method_name
from worldagen.report.panels import WIDE, Label, in_points, legend
from worldagen.report.theme import MARKERS, Theme


def budget_curves(findings: Findings, theme: Theme) -> Figure:
    """Success and held-out error against TTT steps, wall clock and environment steps: a dot for each budget, joined to
    those that differ from it in what the axis shows alone. Colours are methods; of one method, sizes of exploration."""
    spent: list[tuple[str, Callable[[Finding], float], Callable[[Finding], object]]] = [
        ("TTT steps", lambda each: each.steps, lambda each: each.group),
        ("wall clock of the adaptation, s", lambda each: each.learn_seconds, lambda each: each.group),
    ]
    if len(findings.explorations) > 1:
        spent.append(
            ("environment steps", lambda each: each.arm.environment_steps, lambda each: (each.group[:-1], each.steps))
        )
    bought: list[tuple[str, Callable[[Finding], float], float]] = [
        ("success rate", lambda each: each.rate.value, findings.control.rate.value),
        ("held-out error", lambda each: each.measured("changed"), findings.control.measured("changed")),
    ]
    figure = Figure(figsize=(WIDE, 5.2))
    grid = figure.subplots(len(bought), len(spent), squeeze=False, sharex="col", sharey="row")
    shown = [each for each in findings.compared if each in findings.measured]
    kind, kinds = _kinds(findings, theme)
    for row, (ylabel, y, start) in enumerate(bought):
        for column, (xlabel, x, line) in enumerate(spent):
            axes = grid[row][column]
            axes.axhline(start, color=theme.neutral, linewidth=1.2, linestyle="--")
            _lines(axes, shown, x, y, line, lambda each: kinds[kind(each)], theme.neutral)
            _logarithmic(axes, [x(each) for each in shown])
            axes.tick_params(labelbottom=row == len(bought) - 1)
            if row == len(bought) - 1:
                axes.set_xlabel(xlabel)
        grid[row][0].set_ylabel(ylabel)
    # The control's interval is always in view, else two episodes of difference would fill the picture.
    control = findings.control.rate
    for axes in grid[0]:
        axes.axhspan(control.low, control.high, color=theme.neutral, alpha=0.12, linewidth=0)
    ends = [control.low, control.high, *(each.rate.value for each in shown)]
    grid[0][0].set_ylim(max(0.0, min(ends) - 0.05), min(1.0, max(ends) + 0.05))
    grid[0][0].yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    names = {name: Label(0, colour, marker=marker) for name, (colour, marker) in kinds.items()}
    legend(figure, {**names, "control, its 95 % interval": Label(0, theme.neutral, style="--")})
    return figure


def _kinds(findings: Findings, theme: Theme) -> tuple[Callable[[Finding], str], dict[str, tuple[str, str]]]:
    """What colours tell apart: a budget's kind, and the colour and marker of each."""
    if len(findings.methods) > 1 or len(findings.explorations) == 1:
        found = looks(findings.methods, theme)
        return lambda each: method_name(each.group.method), {method_name(name): look for name, look in found.items()}
    sizes = [f"{size} explored" for size in findings.explorations]
    cycle = zip(itertools.cycle(theme.series), itertools.cycle(MARKERS), strict=True)
    return lambda each: f"{each.group.explored} explored", dict(zip(sizes, cycle, strict=False))


def _lines(
    axes: Axes,
    found: Iterable[Finding],
    x: Callable[[Finding], float],
    y: Callable[[Finding], float],
    line: Callable[[Finding], object],
    look: Callable[[Finding], tuple[str, str]],
    neutral: str,
) -> None:
    """Dots in the look of their kind, joined by `line`; a line through several kinds is `neutral`."""
    lines: dict[object, list[Finding]] = {}
    for each in found:
        lines.setdefault(line(each), []).append(each)
    for own in lines.values():
        own.sort(key=x)
        looks_of = dict.fromkeys(map(look, own))
        colour = next(iter(looks_of))[0] if len(looks_of) == 1 else neutral
        axes.plot([x(each) for each in own], [y(each) for each in own], color=colour, linewidth=0.9, alpha=0.45)
        for shade, marker in looks_of:
            dots = [(x(each), y(each)) for each in own if look(each) == (shade, marker)]
            axes.plot(*zip(*dots, strict=True), marker, color=shade, markersize=4, alpha=0.85)


def _logarithmic(axes: Axes, values: list[float]) -> None:
    """Ticks at the values that occur where these are few whole numbers, else where matplotlib likes them."""
    axes.set_xscale("log", base=2)
    axes.xaxis.set_minor_formatter(NullFormatter())
    distinct = sorted(set(values))
    if len(distinct) <= 8 and all(value == round(value) for value in distinct):
        axes.set_xticks(distinct, [f"{value:g}" for value in distinct])
    else:
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))


def tradeoff(sweeps: list[Findings], theme: Theme) -> Figure:
    """Change of success against change of the held-out error and against drift: a dot for each budget, filled if the
    acceptance rule accepts it. Colours are methods."""
    figure = Figure(figsize=(WIDE, 3.9))
    left, right = figure.subplots(1, 2, sharey=True)
    look_of = looks((method for findings in sweeps for method in findings.methods), theme)
    for method, (colour, marker) in look_of.items():
        for findings in sweeps:
            for each in findings.of_method(method):
                if each.difference is None or each not in findings.measured:
                    continue
                fill = colour if each.accepted else "none"
                style = {"markerfacecolor": fill, "markeredgecolor": colour, "markersize": 5.5, "alpha": 0.85}
                left.plot(each.error_change, each.difference.value, marker, **style)
                right.plot(each.measured("arm_drift"), each.difference.value, marker, **style)
    for axes in (left, right):
        axes.axhline(0, color=theme.text, linewidth=1)
        axes.grid(axis="x")
    left.axvline(0, color=theme.text, linewidth=1)
    in_points(left.yaxis)
    left.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    left.set_ylabel("points of success")
    left.set_xlabel("change of the held-out world-model error")
    right.set_xlabel("policy drift, mean |Δ arm action|")
    right.set_xlim(left=0)
    handles = [_dot(colour, method_name(method), marker) for method, (colour, marker) in look_of.items()]
    handles += [_dot(theme.neutral, "the rule accepts"), _dot(theme.neutral, "it rejects", fill="none")]
    figure.legend(handles=handles, loc="outside upper center", ncols=min(7, len(handles)), frameon=False, fontsize=10)
    return figure


def looks(methods: Iterable[str], theme: Theme) -> dict[str, tuple[str, str]]:
    """Colour and marker of each method, the same in every picture."""
    places = {method: METHODS.index(method or "plain") % len(MARKERS) for method in methods}
    return {method: (theme.series[place], MARKERS[place]) for method, place in places.items()}


def _dot(colour: str, label: str, marker: str = "o", fill: str = "") -> Line2D:
    return Line2D([], [], color=colour, marker=marker, markerfacecolor=fill or colour, linestyle="", label=label)
