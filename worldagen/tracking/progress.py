"""Progress of a long loop: a live bar on a terminal, an occasional plain line in a log."""

import sys
from collections.abc import Iterable, Iterator, Sized
from typing import TextIO, TypeVar

from tqdm import tqdm

T = TypeVar("T")
LOG_INTERVAL = 10.0
"""Seconds between two lines when the output is not a terminal."""
_LINE = "{desc}: {n_fmt}/{total_fmt} {unit} ({percentage:.0f} %), {elapsed} elapsed, {remaining} left, {rate_fmt}"
_LINE_WITHOUT_TOTAL = "{desc}: {n_fmt} {unit}, {elapsed} elapsed, {rate_fmt}"


def progress(
    iterable: Iterable[T],
    total: int | None = None,
    description: str = "",
    unit: str = "it",
    *,
    initial: int = 0,
    stream: TextIO | None = None,
) -> Iterator[T]:
    """Yield the items of `iterable` while showing count, rate and time left on `stream` (standard error).

    `total` defaults to `len(iterable)` where it has one; `initial` counts items that an earlier run
    finished. Into a file or pipe goes one line at the start, at most one every ten seconds, and one at
    the end.
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
        yield from bar


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
