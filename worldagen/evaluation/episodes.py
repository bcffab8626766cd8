"""Evaluation episodes: drawn from the configuration alone, so every arm runs exactly the same ones."""

from collections.abc import Sequence

from worldagen.config import Config
from worldagen.types import EnvSpec, EpisodeSpec, PolicySpec


def evaluation_specs(
    config: Config, env: EnvSpec, tasks: Sequence[str], policy: PolicySpec, *, video: bool = False
) -> list[EpisodeSpec]:
    """Initial states 0 .. n-1 of every task under its own instruction.

    Two policies' specs at the same position share task, initial state and seed, so their results are paired. Tasks take
    turns: the first episodes already cover all of them. With `video`, only the `evaluation.videos` ones to be filmed.
    """
    count = config.evaluation.episodes_per_task
    specs = [
        EpisodeSpec(
            env=env,
            task=task,
            init_state=init_state,
            seed=config.seed * 1_000_000 + init_state,
            policy=policy,
            step_limit=config.evaluation.step_limit,
            actions_per_chunk=config.model.actions_per_chunk,
            record="video" if video else "none",
        )
        for init_state in range(count)
        for task in tasks
    ]
    return specs[: config.evaluation.videos] if video else specs
