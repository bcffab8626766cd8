"""How a study's tables write their cells."""

import math
from collections.abc import Iterable

from worldagen.evaluation.statistics import PairedDifference, Rate
from worldagen.report.findings import Finding
from worldagen.report.rule import mean_difference

NONE = "–"


def fine(share: float) -> str:
    """Percentage points to a tenth."""
    text = f"{100 * share:+.1f}"
    return "0.0" if float(text) == 0 else text.replace("-", "−")


def percent(change: float) -> str:
    """A relative change, signed."""
    return f"{100 * change:+.0f} %".replace("-", "−")


def tenths(found: PairedDifference) -> str:
    """A difference with its interval."""
    return f"{fine(found.value)} [{fine(found.low)}, {fine(found.high)}]"


def mean(found: tuple[Finding, ...]) -> str:
    """Of the differences of several arms."""
    return fine(mean_difference(found)) if found else NONE


def success(rate: Rate) -> str:
    """A rate of success with its interval."""
    if math.isnan(rate.value):
        return NONE
    return f"{100 * rate.value:.0f} % [{100 * rate.low:.0f}, {100 * rate.high:.0f}]"


def power(size: float | None) -> str:
    """The smallest difference that is found."""
    return f"{100 * size:.0f} points" if size else "nothing"


def listed(values: Iterable[float]) -> str:
    """Numbers in a row."""
    return ", ".join(f"{value:g}" for value in values)
