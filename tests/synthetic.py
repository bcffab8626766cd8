"""Episodes made up for tests: random ones, and a curtain that a small model can learn."""

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


def make_curtain(index: int, chunks: int = 6, size: int = 32) -> Trajectory:
    """A curtain that each chunk opens or closes by a quarter of the image, as the instruction says."""
    rng = np.random.default_rng(index)
    task = ("open", "close")[index % 2]
    edge = int(rng.integers(0, 5))
    images, states, actions, intended = [], [], [], []
    for _ in range(chunks + 1):
        image = np.full((size, size, 3), 60, np.uint8)
        image[:, : edge * size // 4] = (230, 40, 40)
        images.append(image)
        states.append([edge / 4, 0, 0, 0, 0, 0, 1])
        wanted = -0.7 if task == "open" else 0.7
        move = wanted if rng.random() < 0.8 else -wanted  # now and then something else is done than was intended
        actions.append(np.tile([move, 0, 0, 0, 0, 0, 1], (5, 1)))
        intended.append(np.tile([wanted, 0, 0, 0, 0, 0, 1], (5, 1)))
        edge = min(max(edge + int(np.sign(move)), 0), 4)
    return Trajectory(
        spec=EpisodeSpec(
            env=EnvSpec(image_size=size), task=task, init_state=index, seed=0, policy=PolicySpec(kind="expert")
        ),
        instruction=f"{task} the curtain",
        primary=np.stack(images),
        wrist=np.stack(images)[:, ::-1].copy(),
        state=np.array(states, np.float32),
        actions=np.array(actions[:-1], np.float32),
        intended=np.array(intended[:-1], np.float32),
        counts=np.full(chunks, 5, np.int32),
        success=True,
    )
