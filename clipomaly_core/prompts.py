"""Names as rows of text embeddings: a class is as near as the nearest of its synonyms."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from clipomaly_core.text import TextEncoder


@dataclass(frozen=True, slots=True)
class Prompts:
    """N names, each with one or more embeddings.

    ``embeddings`` is (P, D) float32, L2-normalised; ``rows`` is (N, S) int64: the rows of a name, its first
    one repeated where it has fewer than S.
    """

    embeddings: Tensor
    rows: Tensor

    def cosines(self, features: Tensor) -> Tensor:
        """Cosine to each name: (…, D) L2-normalised features → (…, N) in [-1, 1], in the features' precision."""
        every = features @ self.embeddings.T.to(features.dtype)
        best = every[..., self.rows[:, 0]]
        for column in range(1, self.rows.shape[1]):
            best = torch.maximum(best, every[..., self.rows[:, column]])
        return best

    def of(self, names: Sequence[int]) -> "Prompts":
        """Some of the names, by their number."""
        rows = self.rows[list(names)]
        return Prompts(self.embeddings[rows.flatten()], torch.arange(rows.numel(), device=rows.device).view_as(rows))


def make_prompts(encoder: TextEncoder, names: Sequence[Sequence[str]]) -> Prompts:
    """Embed names given as lists of synonyms, the name itself first."""
    embeddings = encoder([word for synonyms in names for word in synonyms])
    widest = max((len(synonyms) for synonyms in names), default=1)
    rows, start = [], 0
    for synonyms in names:
        own = list(range(start, start + len(synonyms)))
        rows.append(own + [start] * (widest - len(own)))
        start += len(own)
    return Prompts(
        embeddings, torch.tensor(rows, dtype=torch.int64, device=embeddings.device).reshape(len(names), widest)
    )
