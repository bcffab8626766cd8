"""Sentences to vectors (B, 512): a small embedding of words trained with the model, or frozen CLIP features."""

import re
import zlib
from collections.abc import Sequence
from itertools import chain, pairwise
from typing import Any

import torch
from torch import nn

TEXT_WIDTH = 512
CLIP = "openai/clip-vit-base-patch32"


class WordEmbedding(nn.Module):
    """Mean embedding of a sentence's words and word pairs, hashed into a fixed table: no vocabulary to keep.

    Pairs carry the order: "the bowl on the plate" and "the plate on the bowl" differ.
    """

    def __init__(self, buckets: int = 4096, width: int = 64) -> None:
        super().__init__()
        self.table = nn.EmbeddingBag(buckets, width, mode="mean")
        self.project = nn.Linear(width, TEXT_WIDTH)

    def forward(self, sentences: Sequence[str]) -> torch.Tensor:
        device = self.table.weight.device
        tokens = [[self._bucket(term) for term in terms(sentence)] for sentence in sentences]
        starts = torch.tensor([0, *map(len, tokens[:-1])], device=device).cumsum(0)
        return self.project(self.table(torch.tensor(list(chain(*tokens)), device=device), starts))

    def _bucket(self, term: str) -> int:
        return zlib.crc32(term.encode()) % self.table.num_embeddings


def terms(sentence: str) -> list[str]:
    """Lower-case words and neighbouring word pairs, with the sentence's ends marked."""
    words = ["<", *re.findall(r"[\w'-]+", sentence.lower()), ">"]
    return words + [f"{first} {second}" for first, second in pairwise(words)]


class ClipText:
    """Pooled sentence features of frozen CLIP ViT-B/32, loaded at the first sentence, computed once per sentence.

    Not a Module: its weights are no part of the model. Raises OSError when they are neither cached nor downloadable.
    """

    def __init__(self, name: str = CLIP) -> None:
        self.name = name
        self._loaded: tuple | None = None
        self._known: dict[str, torch.Tensor] = {}

    def __call__(self, sentences: Sequence[str]) -> torch.Tensor:
        new = [sentence for sentence in dict.fromkeys(sentences) if sentence not in self._known]
        if new:
            self._known.update(zip(new, self._encode(new), strict=True))
        return torch.stack([self._known[sentence] for sentence in sentences])

    @torch.no_grad()
    def _encode(self, sentences: list[str]) -> torch.Tensor:
        if self._loaded is None:
            self._loaded = load_clip(self.name)
        tokenizer, model = self._loaded
        tokens = tokenizer(list(sentences), padding="max_length", max_length=77, truncation=True, return_tensors="pt")
        with torch.autocast("cpu", enabled=False):  # what is kept must not depend on who asked first
            return model(**tokens).text_embeds


def load_clip(name: str = CLIP) -> tuple[Any, Any]:
    """Tokenizer and text model, from the hub's cache or the hub. Raises OSError when they are in neither."""
    from transformers import AutoTokenizer, CLIPTextModelWithProjection  # slow to import, rarely needed

    return AutoTokenizer.from_pretrained(name), CLIPTextModelWithProjection.from_pretrained(name).eval()
