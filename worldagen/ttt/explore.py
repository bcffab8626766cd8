"""Exploration episodes: the base policy, noisy and told to do other tasks, meets the test-time scene. No labels.

A mixture lets other explorers take some of the episodes: the policy with more noise, or random actions.
"""

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from worldagen.config import Config, ConfigError
from worldagen.data import trajectories
from worldagen.errors import WorldagenError
from worldagen.rollout.pool import Pool
from worldagen.ttt.coverage import coverage
from worldagen.types import EnvSpec, EpisodeResult, EpisodeSpec, PolicySpec


class ExplorationError(WorldagenError, RuntimeError):
    """Exploration left nothing to learn from, or nothing to measure on."""


@dataclass(frozen=True)
class Explored:
    """What exploration brought."""

    training_episodes: tuple[EpisodeResult, ...]
    """In the order of their specs, lost ones too."""
    heldout_episodes: tuple[EpisodeResult, ...]
    folder: Path
    """Where their trajectories are."""

    @property
    def training(self) -> tuple[Path, ...]:
        """Trajectory files to learn from."""
        return self._files(self.training_episodes)

    @property
    def heldout(self) -> tuple[Path, ...]:
        """Trajectory files that only measure."""
        return self._files(self.heldout_episodes)

    @property
    def environment_steps(self) -> int:
        """Control steps of the training episodes."""
        return sum(result.steps for result in self.training_episodes)

    @property
    def heldout_steps(self) -> int:
        """Control steps of the held-out episodes."""
        return sum(result.steps for result in self.heldout_episodes)

    @property
    def lost(self) -> int:
        """Episodes that crashed or timed out."""
        return sum(not result.trajectory for result in (*self.training_episodes, *self.heldout_episodes))

    @property
    def seconds(self) -> dict[str, float]:
        """Summed over all episodes: reset, simulate, render, wait."""
        total: Counter[str] = Counter()
        for result in (*self.training_episodes, *self.heldout_episodes):
            total.update(result.seconds)
        return dict(total)

    @property
    def coverage(self) -> dict[str, float]:
        """What the training episodes reached (see `coverage.coverage`)."""
        return coverage([trajectories.load(path) for path in self.training])

    def first(self, episodes: int) -> "Explored":
        """The exploration of that many training episodes, which this one began with. Held-out episodes stay.

        If none of these came through there is nothing to learn from, which ends the arms of that size alone.
        """
        return replace(self, training_episodes=self.training_episodes[:episodes])

    def checked(self) -> "Explored":
        """Itself. Raises ExplorationError when no training or no held-out episode came through."""
        for kind, files in (("training", self.training), ("held-out", self.heldout)):
            if not files:
                raise ExplorationError(f"no {kind} episode of the exploration came through; see {self.folder.parent}")
        return self

    def _files(self, results: Sequence[EpisodeResult]) -> tuple[Path, ...]:
        return tuple(self.folder / result.trajectory for result in results if result.trajectory)


_HELDOUT_SEEDS = 500_000
"""Training episodes draw their seeds below this offset, held-out ones above it."""
_GOLDEN_RATIO = (math.sqrt(5) - 1) / 2
_MORE_NOISE = 3.0
"""Noise of the explorer `noisy`, in units of the policy's."""


def exploration_specs(
    config: Config,
    env: EnvSpec,
    tasks: Sequence[str],
    instructions: Mapping[str, str],
    init_states: Mapping[str, int],
    checkpoint: str,
) -> tuple[list[EpisodeSpec], list[EpisodeSpec]]:
    """Training and held-out episodes of the scenes of `tasks`; no initial state of a task is in both.

    `instructions` holds the sentence of every task the policy knows, `init_states` how many initial states each of
    `tasks` has. Tasks take turns, and so do the instructions that one scene is explored under. Training begins at
    `explore.first_init_state` and goes upwards, held-out episodes go downwards from the one below it. Episode i is the
    same however many there are, so a larger exploration contains the smaller one. Raises ConfigError when a task has
    too few initial states for both, ValueError when it has no other task to borrow an instruction from.
    """
    world = replace(env, shifts=()) if config.explore.unshifted else env
    noise = config.explore.noise
    explorers = {
        "policy": PolicySpec(kind="learned", checkpoint=checkpoint, noise=noise),
        "noisy": PolicySpec(kind="learned", checkpoint=checkpoint, noise=_MORE_NOISE * noise),
        "random": PolicySpec(kind="random"),
    }

    def spec(index: int, first_seed: int, init_state: Callable[[int, int, int], int]) -> EpisodeSpec:
        task, turn = tasks[index % len(tasks)], index // len(tasks)
        others = [sentence for name, sentence in instructions.items() if name != task]
        if not others:
            raise ValueError(f"exploring {task} needs the instruction of another task, but only {task} is known")
        return EpisodeSpec(
            env=world,
            task=task,
            init_state=init_state(config.explore.first_init_state, turn, init_states[task]),
            seed=config.seed * 1_000_000 + first_seed + index,
            policy=explorers[explorer(config.explore.mixture, config.seed + first_seed, index)],
            instruction=others[(turn + tasks.index(task)) % len(others)],
            step_limit=config.explore.step_limit,
            actions_per_chunk=config.model.actions_per_chunk,
            stop_on_success=False,
            record="trajectory",
        )

    training = [spec(index, 0, _upwards) for index in range(max(config.explore.episodes))]
    heldout = [spec(index, _HELDOUT_SEEDS, _downwards) for index in range(config.explore.heldout_episodes)]
    _check_apart(config, training, heldout, init_states)
    return training, heldout


def explorer(mixture: Mapping[str, float], seed: int, index: int) -> str:
    """What drives episode `index`: a function of nothing else, so that an exploration begins with the smaller ones.

    Multiples of the golden ratio fill the unit interval evenly from the first on: in any number of episodes each
    explorer has its share, to within an episode or two.
    """
    shares = dict(sorted(mixture.items())) or {"policy": 1.0}
    bounds = np.cumsum(list(shares.values())) / sum(shares.values())
    start = np.random.default_rng([seed, 2]).random()
    place = (start + index * _GOLDEN_RATIO) % 1.0
    return list(shares)[min(int(np.searchsorted(bounds, place, side="right")), len(shares) - 1)]


def _upwards(first: int, turn: int, available: int) -> int:
    """`first` and upwards, starting over where the task has no more."""
    return first + turn % (available - first) if first < available else turn % available


def _downwards(first: int, turn: int, available: int) -> int:
    """Below `first` and downwards, then on from the last one."""
    return (min(first, available) - 1 - turn) % available


def _check_apart(
    config: Config, training: Sequence[EpisodeSpec], heldout: Sequence[EpisodeSpec], init_states: Mapping[str, int]
) -> None:
    shared = {(spec.task, spec.init_state) for spec in training} & {(spec.task, spec.init_state) for spec in heldout}
    if shared:
        task, state = min(shared)
        raise ConfigError(
            f"explore.episodes={config.explore.episodes} and "
            f"explore.heldout_episodes={config.explore.heldout_episodes} both begin from initial state {state} of the "
            f"{init_states[task]} of {task}, so that held-out episodes would not be new; lower one of them, or set "
            f"explore.first_init_state (now {config.explore.first_init_state}) between the two"
        )


def explore(pool: Pool, training: Sequence[EpisodeSpec], heldout: Sequence[EpisodeSpec]) -> Explored:
    """Run the episodes that the pool has not run yet, and gather all.

    Raises ExplorationError when no training or no held-out episode came through.
    """
    results = {result.spec.key: result for result in pool.run([*training, *heldout], "explore")}
    return Explored(
        training_episodes=tuple(results[spec.key] for spec in training),
        heldout_episodes=tuple(results[spec.key] for spec in heldout),
        folder=pool.trajectories,
    ).checked()
