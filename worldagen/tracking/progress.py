"""Progress of a long loop: a live bar on a terminal, an occasional plain line in a log."""

import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sized
from typing import Any, TextIO, TypeVar

from tqdm import tqdm

T = TypeVar("T")
LOG_INTERVAL = 10.0
"""Seconds between two lines when the output is not a terminal."""
_LINE = (
    "{desc}: {n_fmt}/{total_fmt} {unit} ({percentage:.0f} %), {elapsed} elapsed, {remaining} left, {rate_fmt}{postfix}"
)
_LINE_WITHOUT_TOTAL = "{desc}: {n_fmt} {unit}, {elapsed} elapsed, {rate_fmt}{postfix}"


def progress(
    iterable: Iterable[T],
    total: int | None = None,
    description: str = "",
    unit: str = "it",
    *,
    initial: int = 0,
    also: tuple[str, Callable[[T], float]] | None = None,
    stream: TextIO | None = None,
) -> Iterator[T]:
    """Yield the items of `iterable` while showing count, rate and time left on `stream` (standard error).

    `total` defaults to `len(iterable)` where it has one; `initial` counts items that an earlier run finished. `also`
    names something else to show the rate of, and how much of it an item is. Into a file or pipe goes one line at the
    start, at most one every ten seconds, and one at the end.
    """
    stream = stream or sys.stderr
    if total is None and isinstance(iterable, Sized):
        total = len(iterable)
    if stream.isatty():
        bar = tqdm(iterable, description, total, unit=f" {unit}", initial=initial, file=stream, dynamic_ncols=True)
    else:
        bar = tqdm(
            iterable,
            description,
            total,
            unit=f" {unit}",
            initial=initial,
            file=_Lines(stream),
            bar_format=_LINE_WITHOUT_TOTAL if total is None else _LINE,
            mininterval=LOG_INTERVAL,
            miniters=1,  # look at the clock on every item: tqdm's guess from past items fails on uneven ones
        )
    with bar:
        yield from _with_rate(bar, *also) if also else bar


def _with_rate(bar: Any, unit: str, amount: Callable[[T], float]) -> Iterator[T]:
    began, sum_ = time.perf_counter(), 0.0
    for item in bar:
        sum_ += amount(item)
        bar.set_postfix_str(f"{sum_ / (time.perf_counter() - began):.0f} {unit}/s", refresh=False)
        yield item


class _Lines:
    """Turns tqdm's redrawing of one line into separate lines."""

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream

    def write(self, text: str) -> None:
        line = text.strip()
        if line:
            self.stream.write(line.replace("  ", " ") + "\n")

    def flush(self) -> None:
        self.stream.flush()
