"""Statistics of a feature as LeRobot keeps them for normalising: exact, over every frame.

Each is min, max, mean, std, the quantiles 1, 10, 50, 90 and 99 %, and the count of frames. Those of an image have the
shape (3, 1, 1), one value for each colour scaled to [0, 1]; those of a vector have the vector's shape.
"""

from dataclasses import dataclass, field

import numpy as np

QUANTILES = (0.01, 0.10, 0.50, 0.90, 0.99)
Stats = dict[str, np.ndarray]


def vector_stats(values: np.ndarray) -> Stats:
    """Statistics of `values` (n, size)."""
    numbers = values.astype(np.float64)
    quantiles = np.quantile(numbers, QUANTILES, axis=0)
    return {
        "min": numbers.min(0),
        "max": numbers.max(0),
        "mean": numbers.mean(0),
        "std": numbers.std(0),
        "count": np.array([len(numbers)]),
        **{_name(q): value for q, value in zip(QUANTILES, quantiles, strict=True)},
    }


@dataclass(frozen=True)
class PixelCounts:
    """How often each of the 256 values occurs in each colour: all that their statistics need, and it adds up."""

    counts: np.ndarray = field(default_factory=lambda: np.zeros((3, 256), np.int64))
    frames: int = 0

    @classmethod
    def of(cls, images: np.ndarray) -> "PixelCounts":
        """Of uint8 `images` (n, H, W, 3)."""
        colours = [np.bincount(images[..., colour].ravel(), minlength=256) for colour in range(3)]
        return cls(np.stack(colours), len(images))

    def __add__(self, other: "PixelCounts") -> "PixelCounts":
        return PixelCounts(self.counts + other.counts, self.frames + other.frames)

    def stats(self) -> Stats:
        values = np.arange(256) / 255
        shares = self.counts / self.counts.sum(1, keepdims=True)
        mean = shares @ values
        cumulated = np.cumsum(self.counts, axis=1)
        found = {
            "min": values[(self.counts > 0).argmax(1)],
            "max": values[255 - (self.counts[:, ::-1] > 0).argmax(1)],
            "mean": mean,
            "std": np.sqrt((shares * (values - mean[:, None]) ** 2).sum(1)),
            **{_name(q): values[(cumulated >= q * cumulated[:, -1:]).argmax(1)] for q in QUANTILES},
        }
        return {name: value.reshape(3, 1, 1) for name, value in found.items()} | {"count": np.array([self.frames])}


def _name(quantile: float) -> str:
    return f"q{round(100 * quantile):02d}"
