"""The ways to adapt, by name. All take LoRA steps on the observation loss; they differ in what they leave alone."""

from dataclasses import dataclass

from worldagen.config.schema import TTTConfig

WORLD_MODEL_ROWS = ("observation", "next_state")
"""Groups of the world model's queries. Nothing attends to them, so whatever they become, the policy is the base's."""
CONTEXT_ROWS = ("state", "action", "image", "cls")
"""Groups of what both readers attend to."""


@dataclass(frozen=True, kw_only=True)
class Method:
    """What a way to adapt adds to the paper's."""

    anchored: bool = False
    """The policy's outputs on explored states are held close to the base's (anchor.py)."""
    rows: tuple[str, ...] = ()
    """Groups of tokens that LoRA acts on; all others are computed with the base weights. Empty means all groups."""


METHODS: dict[str, Method] = {
    "plain": Method(),
    "anchored": Method(anchored=True),
    "world_model_rows": Method(rows=WORLD_MODEL_ROWS),
    "world_model_rows_context": Method(rows=WORLD_MODEL_ROWS + CONTEXT_ROWS),
    "anchored_world_model_rows_context": Method(rows=WORLD_MODEL_ROWS + CONTEXT_ROWS, anchored=True),
}


@dataclass(frozen=True, kw_only=True)
class Adaptation:
    """How to adapt: with the base, the training episodes and the number of steps it decides every bit of an adapter."""

    learning_rate: float
    rank: int
    alpha: float
    batch_size: int
    weight_decay: float
    grad_clip: float
    seed: int
    """Of the adapter's initial weights and of the order of batches."""
    precision: str = "float32"
    """Arithmetic of the steps' matrix products: auto, float32 or bfloat16 (see `compute_type`)."""
    method: str = "plain"
    """A name in METHODS."""
    anchor: float = 0.0
    """Weight of the anchor in the loss; 0 for methods without."""
    layers: tuple[int, ...] = ()
    """Backbone layers with LoRA; empty means all."""
    early_stopping: int = 0
    """Steps without a better held-out error after which the adaptation stops; 0 never stops."""


def adaptation(ttt: TTTConfig, *, method: str, learning_rate: float, rank: int, seed: int) -> Adaptation:
    """One way to adapt out of those that `ttt` sweeps over; what the method has no use for is left out of it."""
    return Adaptation(
        learning_rate=learning_rate,
        rank=rank,
        alpha=ttt.alpha,
        batch_size=ttt.batch_size,
        weight_decay=ttt.weight_decay,
        grad_clip=ttt.grad_clip,
        seed=seed,
        precision=ttt.precision,
        method=method,
        anchor=ttt.anchor if METHODS[method].anchored else 0.0,
        layers=tuple(sorted(set(ttt.layers))),
        early_stopping=ttt.early_stopping,
    )
