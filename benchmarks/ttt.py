"""What one arm's adaptation costs: 64 steps on 36 episodes with the tiny model, split into its parts.

    python benchmarks/ttt.py [method=plain,anchored,...] [steps=64] [episodes=36] [threads=2] [precision=auto]

Episodes hold random pixels, which take as long as real ones. Bar: 60 s of wall clock on 2 cores. CPU seconds are shown
beside it, because a busy machine stretches the wall clock and hardly them.
"""

import sys
import time
from collections import defaultdict
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from worldagen.config import ModelConfig
from worldagen.config.schema import METHODS, TTTConfig
from worldagen.models import adapter
from worldagen.models.worldagen import WorldAgen
from worldagen.ttt.learner import Learner
from worldagen.ttt.measure import Yardstick
from worldagen.ttt.methods import adaptation
from worldagen.types import EnvSpec, EpisodeSpec, PolicySpec, Trajectory

CHUNKS = 24
"""Of an exploratory episode of 120 control steps."""
HELDOUT = 4
BAR = 60.0
INSTRUCTIONS = [f"do task {number}" for number in range(14)]


def episode(index: int, config: ModelConfig) -> Trajectory:
    rng = np.random.default_rng(index)
    shape = (CHUNKS + 1, config.image_size, config.image_size, 3)
    actions = rng.uniform(-1, 1, (CHUNKS, config.actions_per_chunk, 7)).astype(np.float32)
    return Trajectory(
        spec=EpisodeSpec(env=EnvSpec(), task="any", init_state=index, seed=0, policy=PolicySpec()),
        instruction=INSTRUCTIONS[index % len(INSTRUCTIONS)],
        primary=rng.integers(0, 256, shape, np.uint8),
        wrist=rng.integers(0, 256, shape, np.uint8),
        state=rng.normal(size=(CHUNKS + 1, 7)).astype(np.float32),
        actions=actions,
        intended=actions,
        counts=np.full(CHUNKS, config.actions_per_chunk, np.int32),
    )


class Clock:
    """Sums the wall clock and CPU seconds of the calls that it wraps, by name."""

    def __init__(self) -> None:
        self.wall: defaultdict[str, float] = defaultdict(float)
        self.cpu: defaultdict[str, float] = defaultdict(float)

    def timed(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            wall, cpu = time.perf_counter(), time.process_time()
            try:
                return call(*args, **kwargs)
            finally:
                self.wall[name] += time.perf_counter() - wall
                self.cpu[name] += time.process_time() - cpu

        return wrapper


def measure(method: str, steps: int, episodes: int, precision: str) -> Clock:
    torch.manual_seed(0)
    model = WorldAgen(ModelConfig()).eval()
    explored = [episode(index, model.config) for index in range(episodes + HELDOUT)]
    ttt = TTTConfig(precision=precision)
    how = adaptation(ttt, method=method, learning_rate=3e-4, rank=8, seed=0)
    clock = Clock()

    def whole() -> None:
        learner = Learner(
            model, explored[HELDOUT:], explored[:HELDOUT], how, INSTRUCTIONS, ttt.changed_threshold, ttt.measure_windows
        )
        learner._step = clock.timed("steps", learner._step)  # type: ignore[method-assign]
        learner.advance(to=steps)

    see, look = model.encode_frames, Yardstick.measure
    build = Yardstick.__init__
    model.encode_frames = clock.timed("encoding", see)  # type: ignore[method-assign]
    Yardstick.measure = clock.timed("measuring", look)  # type: ignore[method-assign]
    Yardstick.__init__ = clock.timed("measuring", build)  # type: ignore[method-assign]
    try:
        clock.timed("total", whole)()
    finally:
        Yardstick.measure, Yardstick.__init__ = look, build  # type: ignore[method-assign]
    adapter.remove(model, "ttt")
    return clock


def main(arguments: list[str]) -> None:
    given = dict(argument.split("=", 1) for argument in arguments)
    methods = given.get("method", ",".join(METHODS)).split(",")
    steps, episodes = int(given.get("steps", 64)), int(given.get("episodes", 36))
    torch.set_num_threads(int(given.get("threads", 2)))
    print(f"{steps} steps on {episodes} episodes of {CHUNKS} chunks, {torch.get_num_threads()} threads")
    print(f"{'wall (CPU) seconds':36}{'encoding':>14}{'steps':>14}{'measuring':>14}{'total':>14}")
    for method in methods:
        clock = measure(method, steps, episodes, given.get("precision", "auto"))
        parts = ("encoding", "steps", "measuring", "total")
        cells = "".join(f"{f'{clock.wall[part]:.1f} ({clock.cpu[part]:.1f})':>14}" for part in parts)
        over = "" if clock.wall["total"] <= BAR else f"   over the bar of {BAR:g} s"
        print(f"{method:36}{cells}{over}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
