"""Exploration episodes: the base policy, noisy and told to do other tasks, meets the test-time scene. No labels."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from worldagen.config import Config
from worldagen.errors import WorldagenError
from worldagen.rollout.pool import Pool
from worldagen.types import EnvSpec, EpisodeResult, EpisodeSpec, PolicySpec


class ExplorationError(WorldagenError, RuntimeError):
    """Exploration left nothing to learn from, or nothing to measure on."""


@dataclass(frozen=True)
class Explored:
    """What exploration brought."""

    training: tuple[Path, ...]
    """Trajectory files, in the order of their specs."""
    heldout: tuple[Path, ...]
    environment_steps: int
    lost: int
    """Episodes that crashed or timed out."""
    seconds: dict[str, float]
    """Summed over the episodes: reset, simulate, render, wait."""


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

    training = [spec(index, 0) for index in range(max(config.explore.episodes))]
    heldout = [spec(index, _HELDOUT_SEEDS) for index in range(config.explore.heldout_episodes)]
    return training, heldout


def _init_state(first: int, turn: int, available: int) -> int:
    """`first` and upwards, starting over where the task has no more."""
    return first + turn % (available - first) if first < available else turn % available


def explore(pool: Pool, training: Sequence[EpisodeSpec], heldout: Sequence[EpisodeSpec]) -> Explored:
    """Run the episodes that the pool has not run yet, and gather all.

    Raises ExplorationError when no training or no held-out episode came through.
    """
    results = {result.spec.key: result for result in pool.run([*training, *heldout], "explore")}
    seconds: Counter[str] = Counter()
    for result in results.values():
        seconds.update(result.seconds)
    explored = Explored(
        training=_recorded(pool, training, results),
        heldout=_recorded(pool, heldout, results),
        environment_steps=sum(result.steps for result in results.values()),
        lost=sum(not result.trajectory for result in results.values()),
        seconds=dict(seconds),
    )
    for kind, files in (("training", explored.training), ("held-out", explored.heldout)):
        if not files:
            raise ExplorationError(f"no {kind} episode of the exploration came through; see {pool.storage}")
    return explored


def _recorded(pool: Pool, specs: Sequence[EpisodeSpec], results: Mapping[str, EpisodeResult]) -> tuple[Path, ...]:
    names = [results[spec.key].trajectory for spec in specs]
    return tuple(pool.trajectories / name for name in names if name)
