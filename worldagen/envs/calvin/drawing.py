"""The generator's inner loop, compiled: shuffling the tasks as numpy does and testing the first five."""

import numba
import numpy as np

_LENGTH = 5
_RESERVE = 4096
"""More random numbers than a shuffle of the tasks takes: 33, each taken again with a probability below one half."""


@numba.njit
def find_sequences(
    raw: np.ndarray, wanted: int, start: int, successors: np.ndarray, categories: np.ndarray
) -> tuple[np.ndarray, int]:
    """Shuffle the tasks over and over with the random numbers `raw` uint32 (n,) until `wanted` sequences are found.

    `successors` (situations, tasks) leads on from situation `start`, `categories` (tasks,) must differ within a
    sequence. Returns task numbers int64 (found, 5), and how many random numbers were used; fewer than wanted are found
    when they run out.
    """
    tasks = successors.shape[1]
    found = np.empty((wanted, _LENGTH), np.int64)
    count, used = 0, 0
    while count < wanted and used + _RESERVE < len(raw):
        order = np.arange(tasks)
        used = _shuffle(order, raw, used)
        if _is_sequence(order[:_LENGTH], start, successors, categories):
            found[count] = order[:_LENGTH]
            count += 1
    return found[:count], used


@numba.njit
def _shuffle(order: np.ndarray, raw: np.ndarray, used: int) -> int:
    """numpy's legacy shuffle in place: Fisher and Yates from the end, each index by masking and rejection."""
    for last in range(len(order) - 1, 0, -1):
        mask = 1
        while mask < last:
            mask = 2 * mask + 1
        other = raw[used] & mask
        used += 1
        while other > last:
            other = raw[used] & mask
            used += 1
        order[last], order[other] = order[other], order[last]
    return used


@numba.njit
def _is_sequence(tasks: np.ndarray, situation: int, successors: np.ndarray, categories: np.ndarray) -> bool:
    for position, task in enumerate(tasks):
        situation = successors[situation, task]
        if situation < 0:
            return False
        for earlier in tasks[:position]:
            if categories[earlier] == categories[task]:
                return False
    return True
