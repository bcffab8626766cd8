"""How long simulated episodes will take, roughly and before they start."""

import os

from worldagen.config import Config

SECONDS_PER_STEP = {
    ("libero", "light"): 0.015,
    ("libero", "full"): 0.1,
    ("calvin", "light"): 0.01,
    ("calvin", "full"): 0.02,
    ("calvin_env", "light"): 0.2,
    ("calvin_env", "full"): 0.2,
}
"""One control step on one CPU, rendering and the tiny model's policy included, by simulator and visuals; an Env of your
own is taken for LIBERO. For estimates only."""
SECONDS_TO_START = 60.0
"""Starting Ray, the simulators and the model's processes."""


def simulated_minutes(config: Config, control_steps: int) -> float:
    """Estimated wall clock of so many control steps, with the policy that decides in them."""
    seconds = control_steps * SECONDS_PER_STEP[_simulator(config), config.env.visuals]
    return (SECONDS_TO_START + seconds / workers(config)) / 60


def in_words(config: Config, estimate: float) -> str:
    """An estimate of minutes in words."""
    where = f"{workers(config)} CPUs" + ("" if config.pool.workers else " of this machine")
    larger = "; a guess made for the tiny model: this one takes many times as long without a GPU"
    return f"roughly {estimate:.0f} minutes on {where}" + (larger if config.model.preset != "tiny" else "")


def _simulator(config: Config) -> str:
    if not config.env.suite.startswith("calvin_"):
        return "libero"
    return "calvin_env" if config.env.engine == "calvin_env" else "calvin"


def workers(config: Config) -> int:
    """CPUs that simulate."""
    return config.pool.workers or os.cpu_count() or 1
