"""Names as rows of text embeddings: a class is as near as the nearest of its synonyms."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor

from clipomaly_core.text import TextEncoder

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Prompts:
    """N names, each with one or more embeddings.

    ``embeddings`` is (P, D) float32, L2-normalised: first a row for each name, then one for each that has a second
    word, then a third, and so on; ``further`` holds for each of these later rounds the (n,) int64 numbers of its names,
    and ``rows`` for each name the rows of its words. All embeddings are zero from column ``width`` on: in a tower whose
    images have parts that no text has.
    """

    embeddings: Tensor
    further: tuple[Tensor, ...]
    rows: tuple[tuple[int, ...], ...]
    width: int

    @property
    def names(self) -> Tensor:
        """The embeddings of the names proper: (N, D)."""
        return self.embeddings[: len(self.rows)]

    def cosines(self, features: Tensor) -> Tensor:
        """Cosine to each name: (…, D) L2-normalised features → (…, N) in [-1, 1], in the features' precision."""
        every = features[..., : self.width] @ self.embeddings[:, : self.width].T.to(features.dtype)
        if not self.further:
            return every
        first, *rounds = every.split([len(self.rows), *map(len, self.further)], dim=-1)
        best = first.clone()  # changed below, where gradients may need what it was
        for names, cosines in zip(self.further, rounds, strict=True):
            best[..., names] = torch.maximum(best[..., names], cosines)
        return best

    def words(self) -> "Prompts":
        """Every word as a name of its own, in the order of ``embeddings``."""
        return arrange(self.embeddings, [[row] for row in range(len(self.embeddings))])

    def of(self, names: Sequence[int]) -> "Prompts":
        """Some of the names, by their number."""
        own = [self.rows[name] for name in names]
        rows = torch.tensor([row for _, row in _by_rounds(own)], dtype=torch.int64)
        return arrange(self.embeddings[rows.to(self.embeddings.device)], own)


def make_prompts(encoder: TextEncoder, names: Sequence[Sequence[str]]) -> Prompts:
    """Embed names given as lists of synonyms, the name itself first."""
    return arrange(encoder([word for _, word in _by_rounds(names)]), names)


def _by_rounds(words: Sequence[Sequence[T]]) -> Iterator[tuple[int, T]]:
    """The number of each name with its first word, then of those that have one with the second, and so on."""
    for number in range(max(map(len, words), default=0)):
        yield from ((name, own[number]) for name, own in enumerate(words) if number < len(own))


def arrange(embeddings: Tensor, words: Sequence[Sequence[object]]) -> Prompts:
    """Names from (P, D) L2-normalised embeddings of their words, which come as ``Prompts`` says."""
    rows: list[list[int]] = [[] for _ in words]
    further: list[list[int]] = []
    for row, (name, _) in enumerate(_by_rounds(words)):
        rows[name].append(row)
        if len(rows[name]) > 1 + len(further):
            further.append([])
        if len(rows[name]) > 1:
            further[-1].append(name)
    rounds = tuple(torch.tensor(names, device=embeddings.device) for names in further)
    used = embeddings.any(0).nonzero().flatten().tolist()
    return Prompts(embeddings, rounds, tuple(map(tuple, rows)), used[-1] + 1 if used else 0)
