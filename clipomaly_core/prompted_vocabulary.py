"""A vocabulary together with the embeddings of its words, as frames and regions are compared with it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import normalize

from clipomaly_core.errors import UsageError
from clipomaly_core.exemplars import Recaller, make_recaller
from clipomaly_core.names import ASKED, Suppression, lemma
from clipomaly_core.text import Prompts, TextEncoder, make_prompts
from clipomaly_core.types import NameScore
from clipomaly_core.vocabulary import Vocabulary

Suppressor = Callable[[Tensor, Sequence[str]], list[bool]]
Tags = Sequence[Sequence[NameScore]]
"""The tags of each frame."""


def make_suppressor(suppressed: Sequence[Suppression], model: str, dimension: int, device: torch.device) -> Suppressor:
    """What tells which regions are suppressed.

    Args:
        suppressed: of the vocabulary; those of other models than ``model`` (the weights' SHA-256) mean nothing here.
        model: the weights that embed the regions.
        dimension: the length of its embeddings.
        device: where they will be.

    Returns:
        (R, dimension) float32 L2-normalised region embeddings and the best name of each → whether it is suppressed.

    Raises:
        UsageError: an embedding of another length, though of this model.
    """
    own = [suppression for suppression in suppressed if suppression.model == model]
    if not own:
        return lambda regions, names: [False] * len(regions)
    for suppression in own:
        if len(suppression.embedding) != 2 * dimension:
            raise UsageError(
                f"A suppression of the vocabulary ({suppression.reason}) has {len(suppression.embedding) // 2} numbers "
                f"and the model's embeddings {dimension}: remove it, or copy it from the file that "
                "`vocabulary promote` wrote."
            )
    vectors = np.stack([np.frombuffer(suppression.embedding, "<f2").astype(np.float32) for suppression in own])
    centres = normalize(torch.from_numpy(vectors).to(device), dim=-1)
    least = torch.tensor([suppression.cosine for suppression in own], device=device)
    words = [None if suppression.name is None else lemma(suppression.name) for suppression in own]

    def suppress(regions: Tensor, names: Sequence[str]) -> list[bool]:
        meant = torch.tensor([[word in (None, lemma(name)) for word in words] for name in names], device=device)
        return ((regions @ centres.T >= least) & meant).any(dim=-1).tolist()

    return suppress


@dataclass(frozen=True, slots=True)
class PromptedVocabulary:
    """One object that never changes, so that a call uses the same words from its beginning to its end.

    ``known`` and ``candidates`` hold the embeddings of the known classes (V) and of the candidate names (W) in the
    order of ``vocabulary``.
    """

    vocabulary: Vocabulary
    known: Prompts
    candidates: Prompts
    suppressed: Suppressor
    recall: Recaller

    @property
    def names(self) -> tuple[str, ...]:
        """The candidate names (W)."""
        return tuple(candidate.name for candidate in self.vocabulary.candidates)


def prompt_vocabulary(
    vocabulary: Vocabulary, encoder: TextEncoder, known_cosine: float, weights_sha256: str, device: torch.device
) -> PromptedVocabulary:
    """Embed a vocabulary, and leave out candidates that mean almost the same as a known class.

    Args:
        vocabulary: known classes and candidate names.
        encoder: embeds their words.
        known_cosine: see ``Options.known_cosine``.
        weights_sha256: which suppressions and exemplars of the vocabulary apply: those made with these weights.
        device: where region embeddings will be.

    Raises:
        UsageError: suppressions or exemplars of these weights whose embeddings have another length.
    """
    known = make_prompts(encoder, [(c.name, *c.synonyms) for c in vocabulary.known])
    candidates = _candidate_prompts(vocabulary, encoder)
    if near := _near_known(vocabulary, known, candidates, known_cosine):
        vocabulary = vocabulary.leave_out(near)
        candidates = _candidate_prompts(vocabulary, encoder)
    dimension = known.embeddings.shape[-1]
    suppressed = make_suppressor(vocabulary.suppressed, weights_sha256, dimension, device)
    recall = make_recaller(vocabulary.exemplars, vocabulary.candidates, weights_sha256, dimension, device)
    return PromptedVocabulary(vocabulary, known, candidates, suppressed, recall)


def _candidate_prompts(vocabulary: Vocabulary, encoder: TextEncoder) -> Prompts:
    return make_prompts(encoder, [(c.name, *c.synonyms) for c in vocabulary.candidates])


def _near_known(vocabulary: Vocabulary, known: Prompts, candidates: Prompts, known_cosine: float) -> dict[str, str]:
    """Candidates near a known class, each with the reason. Names that a person asked for stay."""
    if not vocabulary.candidates:
        return {}
    best, index = known.cosines(candidates.names).max(dim=-1)
    return {
        candidate.name: f"cosine {cosine:.3f} to {vocabulary.known[row].name}, a known class"
        for candidate, cosine, row in zip(vocabulary.candidates, best.tolist(), index.tolist(), strict=True)
        if cosine >= known_cosine and candidate.source not in ASKED
    }


def new_names(tags: Tags, vocabulary: Vocabulary) -> list[str]:
    """Tags that are neither candidates yet nor left out of them, sorted."""
    settled = {lemma(term) for c in vocabulary.candidates for term in (c.name, *c.synonyms)}
    settled |= {lemma(left.name) for left in vocabulary.left_out}
    return sorted({lemma(tag.name) for frame_tags in tags for tag in frame_tags} - settled - {""})


def allowed_candidates(tags: Tags, vocabulary: Vocabulary, device: torch.device) -> Tensor:
    """The candidates of each frame: those that are among its tags, and those that a person asked for.

    Returns:
        (B, N) bool for N candidates of the vocabulary.
    """
    terms = [{lemma(term) for term in (c.name, *c.synonyms)} for c in vocabulary.candidates]
    asked = [c.source in ASKED for c in vocabulary.candidates]
    allowed = []
    for frame_tags in tags:
        found = {lemma(tag.name) for tag in frame_tags}
        allowed.append([own or not term.isdisjoint(found) for own, term in zip(asked, terms, strict=True)])
    return torch.tensor(allowed, dtype=torch.bool, device=device).reshape(len(tags), len(terms))
