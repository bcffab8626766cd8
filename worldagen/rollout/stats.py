"""What a pool and its inference servers have done so far, in numbers."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from worldagen.types import EpisodeResult

_LATENCIES = 10_000
"""Latest decisions over which latency quantiles are taken."""


@dataclass
class PoolStats:
    """Counted since the pool started."""

    workers: int = 0
    """Simulator workers up now."""
    waiting: int = 0
    """Episodes waiting for one now."""
    episodes: int = 0
    """Finished, whatever their status; those found in the log are counted apart."""
    from_log: int = 0
    """Results that an earlier run had left in the log."""
    crashed: int = 0
    timed_out: int = 0
    env_steps: int = 0
    seconds: dict[str, float] = field(
        default_factory=lambda: dict.fromkeys(("reset", "simulate", "render", "wait"), 0.0)
    )
    """Worker time of the finished episodes by what it went into: reset, simulate, render, wait (for the policy)."""
    busy_seconds: float = 0.0
    """Worker time between handing out an episode and having its outcome, failed tries included."""
    retries: int = 0
    """Tries that came to nothing and were followed by another."""
    restarts: int = 0
    """Workers replaced: dead, hung, or above the memory limit."""
    peak_rss_mb: float = 0.0
    """Largest resident memory of any worker."""

    def count(self, result: EpisodeResult) -> None:
        """Add a finished episode."""
        self.episodes += 1
        self.crashed += result.status == "crashed"
        self.timed_out += result.status == "timed_out"
        self.env_steps += result.steps
        for name, value in result.seconds.items():
            self.seconds[name] = self.seconds.get(name, 0.0) + value

    def metrics(self) -> dict[str, float]:
        """Flat names and values; `share_...` is the part of the episodes' time that went into it."""
        total = max(sum(self.seconds.values()), 1e-9)
        plain = {name: float(value) for name, value in vars(self).items() if name not in ("seconds", "waiting")}
        return plain | {f"share_{name}": value / total for name, value in self.seconds.items()}


@dataclass
class InferenceStats:
    """Counted since a server started."""

    decisions: int = 0
    batches: int = 0
    seconds: float = 0.0
    """In which the model computed."""
    latencies: deque[float] = field(default_factory=lambda: deque(maxlen=_LATENCIES))
    """Seconds between a request's arrival and its answer, of the latest decisions."""

    def computed(self, size: int, seconds: float) -> None:
        """Add a batch of `size` decisions."""
        self.decisions += size
        self.batches += 1
        self.seconds += seconds

    def answered(self, seconds: float) -> None:
        """Add an answer that took `seconds`."""
        self.latencies.append(seconds)


def inference_metrics(servers: Sequence[InferenceStats]) -> dict[str, float]:
    """Of all servers together: decisions, decisions per batch, latency quantiles in milliseconds."""
    decisions, batches = (sum(getattr(server, name) for server in servers) for name in ("decisions", "batches"))
    found = {"decisions": float(decisions), "batch_fill": decisions / max(batches, 1)}
    latencies = [value for server in servers for value in server.latencies]
    if latencies:
        p50, p95 = 1000 * np.quantile(latencies, (0.5, 0.95))
        found |= {"latency_p50_ms": float(p50), "latency_p95_ms": float(p95)}
    return found
