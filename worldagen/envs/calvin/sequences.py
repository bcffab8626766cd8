"""CALVIN's evaluation: 1,000 sequences of five tasks, shipped as data, and the generator that makes the same ones.

Sequences of some of the tasks alone, for policies that know no others, are drawn by the same rule.

The rule (mees/calvin, calvin_agent/evaluation/multistep_sequences.py): from each of the 192 initial conditions draw
five different tasks, again and again, until enough draws can be done one after the other, each in exactly one way, and
come from five different categories; then shuffle what was found for all conditions.
"""

import functools
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import resources

import numpy as np

from worldagen.envs.calvin.tasks import CONDITIONS, TASKS, conditions_of, outcomes

_RAW = 1 << 20
"""Random numbers taken at a time."""


@dataclass(frozen=True)
class TaskSequence:
    condition: int
    """Position in CONDITIONS of the situation it starts from."""
    tasks: tuple[str, ...]

    @property
    def init_state(self) -> int:
        """The same as an initial state of the first task."""
        return conditions_of(self.tasks[0]).index(self.condition)


@functools.cache
def official_sequences() -> tuple[TaskSequence, ...]:
    """The 1,000 sequences in the order of CALVIN's evaluation; source and licence stand in the file."""
    data = json.loads((resources.files(__package__) / "sequences.json").read_text())
    return tuple(TaskSequence(condition, tuple(tasks)) for condition, tasks in data["sequences"])


def generate_sequences(count: int = 1000) -> tuple[TaskSequence, ...]:
    """What CALVIN's `get_sequences(count)` gives, from the same random numbers."""
    successors = _successors()
    sequences: list[TaskSequence] = []
    for condition, share in enumerate(np.array_split(range(count), len(CONDITIONS))):
        for tasks in _draw(condition, len(share), successors):
            sequences.append(TaskSequence(condition, tuple(TASKS[task] for task in tasks)))
    np.random.RandomState(0).shuffle(sequences)  # type: ignore[arg-type]
    return tuple(sequences)


def drawn_sequences(tasks: Sequence[str], count: int, seed: int = 0, length: int = 5) -> tuple[TaskSequence, ...]:
    """`count` sequences of `length` of `tasks` alone, drawn by CALVIN's rule from its initial conditions.

    CALVIN draws until a draw can be done, so all that can be done are equally likely: here these are listed and
    shuffled. Conditions take turns in random order, those without a sequence left out. Sequence i is the same however
    many are drawn, and none comes twice before all of its condition have come. Raises ValueError when there is none.
    """
    successors, numbers = _successors().tolist(), [TASKS.index(task) for task in tasks]
    listed = {
        condition: list(_possible(condition, numbers, successors, length)) for condition in range(len(CONDITIONS))
    }
    conditions = np.random.default_rng(seed).permutation([number for number, found in listed.items() if found])
    if not len(conditions):
        categories = sorted({category(task) for task in tasks})
        raise ValueError(
            f"no {length} of these {len(tasks)} tasks can be done one after the other: CALVIN takes them from "
            f"different categories, here there are {len(categories)} ({', '.join(categories)}); name more tasks or "
            "shorten evaluation.chain_length"
        )
    order = {number: np.random.default_rng([seed, number]).permutation(listed[number]) for number in conditions}
    turns = (divmod(position, len(conditions)) for position in range(count))
    drawn = ((conditions[place], order[conditions[place]], turn) for turn, place in turns)
    return tuple(
        TaskSequence(int(condition), tuple(TASKS[task] for task in found[turn % len(found)]))
        for condition, found, turn in drawn
    )


def _possible(
    situation: int,
    numbers: Sequence[int],
    successors: Sequence[Sequence[int]],
    length: int,
    begun: tuple[int, ...] = (),
) -> Iterator[tuple[int, ...]]:
    """Every sequence of task numbers that goes on from `situation` after `begun`."""
    if len(begun) == length:
        yield begun
        return
    taken = {category(TASKS[task]) for task in begun}
    for task in numbers:
        if successors[situation][task] >= 0 and category(TASKS[task]) not in taken:
            yield from _possible(successors[situation][task], numbers, successors, length, (*begun, task))


@functools.cache
def category(task: str) -> str:
    """A sequence holds only one task of each category."""
    verb, *_, last = task.split("_")
    if verb == "lift":
        return f"lift from {last}"
    if verb in ("rotate", "push") and last in ("left", "right"):
        return "move a block"
    return "drawer" if verb in ("open", "close") else verb


def _successors() -> np.ndarray:
    """int64 (situations, 34): number of the situation that a task leads to, -1 where it does not lead to exactly one.

    The first situations are CONDITIONS, the others all that can be reached from them.
    """
    situations = list(CONDITIONS)
    number_of = {tuple(situation.values()): number for number, situation in enumerate(situations)}
    rows = []
    for situation in situations:  # grows while it is walked
        rows.append(row := [-1] * len(TASKS))
        for task, name in enumerate(TASKS):
            ends = outcomes(name, situation)
            if len(ends) == 1:
                key = tuple(ends[0].values())
                if key not in number_of:
                    number_of[key] = len(situations)
                    situations.append(ends[0])
                row[task] = number_of[key]
    return np.array(rows)


def _draw(condition: int, wanted: int, successors: np.ndarray) -> list[np.ndarray]:
    """The first `wanted` draws (5,) of task numbers that make a sequence from a condition.

    CALVIN draws with `np.random.choice(tasks, 5, replace=False)`, seeded with the condition's number: the first five of
    a shuffle. Millions of draws fail, so numpy's shuffle is done here by compiled code, on numpy's random numbers.
    """
    from worldagen.envs.calvin.drawing import find_sequences  # compiles, which takes a while

    names = [category(task) for task in TASKS]
    categories = np.array([names.index(name) for name in names])
    random = np.random.RandomState(condition)
    found: list[np.ndarray] = []
    raw = np.zeros(0, np.uint32)
    while len(found) < wanted:
        raw = np.concatenate([raw, random.randint(0, 1 << 32, _RAW, dtype=np.uint32)])
        tasks, used = find_sequences(raw, wanted - len(found), condition, successors, categories)
        found.extend(tasks)
        raw = raw[used:]
    return found
