"""The Mixed Unidirectional Attention Mask: who may attend to whom.

Within one window, every token belongs to a chunk and a group. `VISIBLE[row][column]` says in which chunks a row's group
sees a column's group: `own`, `past` (every earlier chunk), `both`; a pair that is not listed never sees each other, and
no token sees the future. Prediction queries are no columns: nothing attends to them.

The policy (queries `policy`) sees everything but the actions of its own chunk, which it is to predict. The world model
(queries `observation`, `next_state`) sees those actions, and is meant to be blind to the instruction. In the published
mask (`compat`) it is not: actions see the text, the world model sees the actions, so two layers carry the text over.
`strict` hides the text from the actions too; then only text and policy rows ever see text, at any depth.
"""

from collections.abc import Iterable

import torch

from worldagen.models.tokens import Layout

_WORLD = {"state": "both", "action": "past", "image": "both", "cls": "both"}

VISIBLE: dict[str, dict[str, str]] = {
    "text": {"text": "both", "action": "past"},
    "state": _WORLD,
    "action": {**_WORLD, "action": "both"},
    "image": _WORLD,
    "cls": _WORLD,
    "observation": {**_WORLD, "action": "both"},
    "next_state": {**_WORLD, "action": "both"},
    "policy": {**_WORLD, "text": "both"},
}

MASKS: dict[str, dict[str, dict[str, str]]] = {
    "strict": VISIBLE,
    "compat": {**VISIBLE, "action": {**VISIBLE["action"], "text": "both"}},
}


def seen_by(groups: Iterable[str], kind: str) -> set[str]:
    """`groups`, and every group whose content can reach them through any number of layers."""
    seen = set(groups)
    while new := {column for row in seen for column in MASKS[kind][row]} - seen:
        seen |= new
    return seen


def attention_mask(layout: Layout, kind: str) -> torch.Tensor:
    """The mask `kind` (`strict` or `compat`) as bool (L, L), True where row may attend to column.

    Raises ValueError for an unknown kind.
    """
    if kind not in MASKS:
        raise ValueError(f"unknown attention mask {kind!r}; known: {', '.join(MASKS)}")
    rows = layout.rows()

    def sees(row: tuple[int, str], column: tuple[int, str]) -> bool:
        where = MASKS[kind][row[1]].get(column[1])
        return (row[0] == column[0] and where in ("own", "both")) or (row[0] > column[0] and where in ("past", "both"))

    return torch.tensor([[sees(row, column) for column in rows] for row in rows])
