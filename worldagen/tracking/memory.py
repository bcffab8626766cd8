"""How much memory a process has used."""

from pathlib import Path


def peak_rss_mb() -> float:
    """Largest resident memory of this process so far, in MiB.

    From /proc: getrusage would count, after an exec, what the process that started this one had used.
    """
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(status["VmHWM"].split()[0]) / 1024
