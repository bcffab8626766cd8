"""Where every token of the flattened window stands: one chunk after another, the groups of `GROUPS` within each.

The order is the published one (it fixes the rotary positions): the inputs of a chunk, then its prediction queries.
"""

from dataclasses import dataclass
from functools import cache

import torch

INPUTS = ("text", "state", "action", "image", "cls")
PREDICTIONS = ("observation", "next_state", "policy")
GROUPS = INPUTS + PREDICTIONS
CAMERAS = 2


@dataclass(frozen=True)
class Layout:
    """Sizes that determine the sequence. L = chunks * chunk_length."""

    chunks: int
    """K: observations in the window."""
    actions: int
    """a: actions per chunk, and policy queries per chunk."""
    queries: int = 6
    """Resampled tokens per camera image."""
    observation_queries: int = 9
    """World-model queries per camera image."""
    predict_state: bool = False

    @property
    def sizes(self) -> dict[str, int]:
        """Tokens of each group in one chunk, in sequence order."""
        return {
            "text": 1,
            "state": 1,
            "action": self.actions,
            "image": CAMERAS * self.queries,
            "cls": CAMERAS,
            "observation": CAMERAS * self.observation_queries,
            "next_state": int(self.predict_state),
            "policy": self.actions,
        }

    @property
    def features(self) -> int:
        """F: tokens that one frame of both cameras becomes (groups image and cls)."""
        return self.sizes["image"] + self.sizes["cls"]

    @property
    def chunk_length(self) -> int:
        return sum(self.sizes.values())

    @property
    def length(self) -> int:
        return self.chunks * self.chunk_length

    def rows(self) -> list[tuple[int, str]]:
        """(chunk, group) of each of the L tokens."""
        one = [group for group, size in self.sizes.items() for _ in range(size)]
        return [(chunk, group) for chunk in range(self.chunks) for group in one]

    @cache  # noqa: B019 (layouts are few, and small)
    def positions(self, groups: tuple[str, ...]) -> torch.Tensor:
        """int64: positions in the full sequence of the tokens of `groups`."""
        return torch.tensor([position for position, (_, group) in enumerate(self.rows()) if group in groups])

    @cache  # noqa: B019
    def members(self, groups: tuple[str, ...], wanted: tuple[str, ...]) -> torch.Tensor:
        """bool: which tokens of a sequence of `groups` alone belong to one of `wanted`."""
        return torch.tensor([group in wanted for _, group in self.rows() if group in groups])
