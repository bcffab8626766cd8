"""What a pool has done so far, in numbers."""

from dataclasses import dataclass, field

from worldagen.types import EpisodeResult


@dataclass
class PoolStats:
    """Counted since the pool started."""

    workers: int = 0
    """Simulator workers up now."""
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
    """Failed tries that were followed by another."""
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
