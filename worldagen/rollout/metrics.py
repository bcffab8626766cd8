"""The pool's counters as Ray metrics, which Ray's dashboard and Prometheus show while a run goes on."""

from ray.util.metrics import Counter, Gauge, Histogram

from worldagen.rollout.stats import PoolStats

_LATENCY_BOUNDS = [0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0]


class PoolMetrics:
    """Brings Ray's metrics up to a pool's numbers."""

    def __init__(self) -> None:
        self.shown = PoolStats()
        self.gauges = {
            "workers": Gauge("worldagen_workers", "Simulator workers up"),
            "waiting": Gauge("worldagen_episodes_waiting", "Episodes waiting for a worker"),
            "peak_rss_mb": Gauge("worldagen_peak_rss_mb", "Largest resident memory of any worker"),
        }
        self.counters = {
            "episodes": Counter("worldagen_episodes", "Episodes finished, whatever their status"),
            "crashed": Counter("worldagen_episodes_crashed", "Episodes given up because their simulator failed"),
            "timed_out": Counter("worldagen_episodes_timed_out", "Episodes given up because their simulator hung"),
            "env_steps": Counter("worldagen_env_steps", "Control steps of finished episodes"),
            "retries": Counter("worldagen_retries", "Tries that were followed by another"),
            "restarts": Counter("worldagen_worker_restarts", "Workers replaced"),
            "busy_seconds": Counter("worldagen_busy_seconds", "Time in which workers had an episode"),
        }
        self.seconds = Counter("worldagen_seconds", "Worker time by what it went into", tag_keys=("activity",))

    def show(self, stats: PoolStats) -> None:
        """Report what has changed since the last call."""
        for name, gauge in self.gauges.items():
            gauge.set(getattr(stats, name))
        for name, counter in self.counters.items():
            if (more := getattr(stats, name) - getattr(self.shown, name)) > 0:
                counter.inc(more)
        for activity, value in stats.seconds.items():
            if (more := value - self.shown.seconds.get(activity, 0.0)) > 0:
                self.seconds.inc(more, {"activity": activity})
        self.shown = stats


class InferenceMetrics:
    """Latency and batch size of a server's decisions."""

    def __init__(self) -> None:
        self.latency = Histogram("worldagen_decision_seconds", "Request to answer", boundaries=_LATENCY_BOUNDS)
        self.batch = Histogram("worldagen_batch_size", "Decisions per batch", boundaries=[1, 2, 4, 8, 16, 32, 64, 128])
