"""CALVIN's 34 tasks: names, sentences, and in which abstract situations each can be done.

The abstract model (what a task needs and what it changes, in words like "drawer open") is CALVIN's own; it decides
which chains of tasks its evaluation asks for. Facts from mees/calvin, calvin_agent/evaluation/multistep_sequences.py.
"""

import functools
import itertools
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import resources

Situation = Mapping[str, str | int]
"""Values of led and lightbulb (0, 1), slider (right, left), drawer (closed, open), red_block, blue_block and pink_block
(table, slider_right, slider_left, drawer, grasped, stacked_top, stacked_bottom), grasped (0, 1), in this order."""
COLOURS = ("red", "blue", "pink")
_SHELF = {"slider_left": "right", "slider_right": "left"}
"""Where the sliding door must be for a place behind it to be open."""


@dataclass(frozen=True)
class Way:
    """One way in which a task can be done: what must hold before, and what has changed after."""

    needs: Mapping[str, tuple[str | int, ...]]
    """Allowed values by name."""
    changes: Situation

    def applies(self, situation: Situation) -> bool:
        return all(situation[name] in allowed for name, allowed in self.needs.items())


def outcomes(task: str, situation: Situation) -> list[Situation]:
    """The situations in which `task` can end when it starts in this one; none where it cannot be done."""
    return [{**situation, **way.changes} for way in WAYS[task] if way.applies(situation)]


def _free(changes: Situation, **needs: str | int | tuple[str | int, ...]) -> Way:
    """A way that needs an empty hand."""
    return _way(changes, grasped=0, **needs)


def _way(changes: Situation, **needs: str | int | tuple[str | int, ...]) -> Way:
    return Way({name: value if isinstance(value, tuple) else (value,) for name, value in needs.items()}, changes)


def _lift(block: str, place: str, **needs: str) -> Way:
    return _free({block: "grasped", "grasped": 1}, **{block: place}, **needs)


def _place(block: str, place: str, **needs: str) -> Way:
    return _way({block: place, "grasped": 0}, **{block: "grasped"}, grasped=1, **needs)


def _stack(top: str, bottom: str) -> Way:
    changes: Situation = {top: "stacked_top", bottom: "stacked_bottom", "grasped": 0}
    return _way(changes, **{top: "grasped", bottom: "table"}, grasped=1)


def _unstack(top: str, bottom: str) -> Way:
    return _free({top: "table", bottom: "table"}, **{top: "stacked_top", bottom: "stacked_bottom"})


def _push_into_drawer(block: str, others: list[str]) -> Way:
    shelved: dict[str, tuple[str | int, ...]] = dict.fromkeys(others, tuple(_SHELF))
    return _free({block: "drawer"}, **{block: "table"}, **shelved, drawer="open")


def _ways() -> Iterator[tuple[str, tuple[Way, ...]]]:
    """In CALVIN's order, which its random choice of chains depends on."""
    blocks = [f"{colour}_block" for colour in COLOURS]
    for verb, block, side in itertools.product(("rotate", "push"), blocks, ("right", "left")):
        yield f"{verb}_{block}_{side}", (_free({}, **{block: "table"}),)
    yield "move_slider_left", (_free({"slider": "left"}, slider="right"),)
    yield "move_slider_right", (_free({"slider": "right"}, slider="left"),)
    yield "open_drawer", (_free({"drawer": "open"}, drawer="closed"),)
    yield "close_drawer", (_free({"drawer": "closed"}, drawer="open"),)
    for block in blocks:
        yield f"lift_{block}_table", (_lift(block, "table"),)
        yield f"lift_{block}_slider", tuple(_lift(block, place, slider=door) for place, door in _SHELF.items())
        yield f"lift_{block}_drawer", (_lift(block, "drawer", drawer="open"),)
    # A block is put into the shelf on the side where the door is: "slider_right" then names the open side.
    yield (
        "place_in_slider",
        tuple(_place(b, f"slider_{door}", slider=door) for b in blocks for door in ("right", "left")),
    )
    yield "place_in_drawer", tuple(_place(block, "drawer", drawer="open") for block in blocks)
    yield "stack_block", tuple(_stack(*pair) for pair in itertools.permutations(blocks, 2))
    yield "unstack_block", tuple(_unstack(*pair) for pair in itertools.permutations(blocks, 2))
    for light in ("lightbulb", "led"):
        yield f"turn_on_{light}", (_free({light: 1}, **{light: 0}),)
        yield f"turn_off_{light}", (_free({light: 0}, **{light: 1}),)
    yield "push_into_drawer", tuple(_push_into_drawer(b, [other for other in blocks if other != b]) for b in blocks)


WAYS: dict[str, tuple[Way, ...]] = dict(_ways())
TASKS = tuple(WAYS)


def _conditions() -> Iterator[Situation]:
    switches = itertools.product((0, 1), (0, 1), ("right", "left"), ("closed", "open"))
    places = list(itertools.product(("table", "slider_right", "slider_left"), repeat=3))
    for (led, lightbulb, slider, drawer), (red, blue, pink) in itertools.product(switches, places):
        at = (red, blue, pink)
        if at.count("table") in (1, 2) and at.count("slider_right") < 2 and at.count("slider_left") < 2:
            yield {
                "led": led, "lightbulb": lightbulb, "slider": slider, "drawer": drawer,
                "red_block": red, "blue_block": blue, "pink_block": pink, "grasped": 0,
            }  # fmt: skip


CONDITIONS = tuple(_conditions())
"""The 192 situations in which CALVIN's evaluation starts, in its order."""


@functools.cache
def conditions_of(task: str) -> tuple[int, ...]:
    """Positions in CONDITIONS of those in which `task` can be done."""
    return tuple(number for number, situation in enumerate(CONDITIONS) if outcomes(task, situation))


@functools.cache
def instructions() -> Mapping[str, str]:
    """The sentence of each task in CALVIN's evaluation (its validation annotations), with source in the file."""
    file = resources.files(__package__) / "instructions.json"
    return json.loads(file.read_text())["instructions"]
