"""Exploration episodes: the base policy, noisy and told to do other tasks, meets the test-time scene. No labels."""

from collections.abc import Mapping, Sequence

from worldagen.config import Config
from worldagen.types import EnvSpec, EpisodeSpec, PolicySpec

_HELDOUT_SEEDS = 500_000
"""Training episodes draw their seeds below this offset, held-out ones above it."""


def exploration_specs(
    config: Config,
    env: EnvSpec,
    tasks: Sequence[str],
    instructions: Mapping[str, str],
    init_states: Mapping[str, int],
    checkpoint: str,
) -> tuple[list[EpisodeSpec], list[EpisodeSpec]]:
    """Training and held-out episodes of the scenes of `tasks`; no episode is in both.

    `instructions` holds the sentence of every task the policy knows, `init_states` how many initial states each of
    `tasks` has. Tasks take turns, and so do the instructions that one scene is explored under. Episode i is the same
    however many there are, so a larger exploration contains the smaller one. Raises ValueError when a task has no other
    task to borrow an instruction from.
    """
    policy = PolicySpec(kind="learned", checkpoint=checkpoint, noise=config.explore.noise)

    def spec(index: int, first_seed: int) -> EpisodeSpec:
        task, turn = tasks[index % len(tasks)], index // len(tasks)
        others = [sentence for name, sentence in instructions.items() if name != task]
        if not others:
            raise ValueError(f"exploring {task} needs the instruction of another task, but only {task} is known")
        return EpisodeSpec(
            env=env,
            task=task,
            init_state=_init_state(config.explore.first_init_state, turn, init_states[task]),
            seed=config.seed * 1_000_000 + first_seed + index,
            policy=policy,
            instruction=others[(turn + tasks.index(task)) % len(others)],
            step_limit=config.explore.step_limit,
            actions_per_chunk=config.model.actions_per_chunk,
            stop_on_success=False,
            record="trajectory",
        )

    training = [spec(index, 0) for index in range(config.explore.episodes)]
    heldout = [spec(index, _HELDOUT_SEEDS) for index in range(config.explore.heldout_episodes)]
    return training, heldout


def _init_state(first: int, turn: int, available: int) -> int:
    """`first` and upwards, starting over where the task has no more."""
    return first + turn % (available - first) if first < available else turn % available
