"""Episodes made up for tests: random ones, and moving squares that a small model can learn."""

import numpy as np

from worldagen.types import EnvSpec, EpisodeSpec, PolicySpec, Trajectory


def make_trajectory(index: int = 0, chunks: int = 6, task: str = "a", size: int = 16, last: int = 3) -> Trajectory:
    rng = np.random.default_rng(index)
    counts = np.full(chunks, 5, np.int32)
    counts[-1] = last
    actions = rng.uniform(-1, 1, (chunks, 5, 7)).astype(np.float32)
    actions[-1, last:] = 0
    return Trajectory(
        spec=EpisodeSpec(env=EnvSpec(), task=task, init_state=index, seed=0, policy=PolicySpec(kind="expert")),
        instruction=f"do {task}",
        primary=rng.integers(0, 256, (chunks + 1, size, size, 3), np.uint8),
        wrist=rng.integers(0, 256, (chunks + 1, size, size, 3), np.uint8),
        state=rng.normal(size=(chunks + 1, 7)).astype(np.float32),
        actions=actions,
        intended=actions * np.float32(0.5),
        counts=counts,
        success=True,
    )
