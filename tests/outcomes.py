"""Outcomes of made-up episodes for tests of the statistics."""

import numpy as np

from worldagen.arms import Outcome
from worldagen.evaluation.exact import relabelled


def outcomes(pattern: str, task: str = "turn_on_the_stove") -> tuple[Outcome, ...]:
    """One episode per letter: s success, f failure, c crashed."""
    statuses = {"s": "success", "f": "failure", "c": "crashed"}
    return tuple(
        Outcome(task=task, init_state=n, seed=0, status=statuses[letter], steps=100) for n, letter in enumerate(pattern)
    )


def as_outcomes(solved: np.ndarray) -> tuple[Outcome, ...]:
    return outcomes("".join("s" if each else "f" for each in solved))


def relabelled_alike(change: np.ndarray, control: np.ndarray, seeds: int) -> float:
    """Where all episodes have so many seeds and count alike."""
    ones = np.ones(len(change), int)
    return relabelled(change, control.astype(int), seeds * ones, ones)
