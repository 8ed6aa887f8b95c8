"""A vocabulary together with the embeddings of its words."""

from dataclasses import dataclass

import torch

from clipomaly_core.exemplars import Recaller, make_recaller
from clipomaly_core.names import ASKED
from clipomaly_core.prompts import Prompts, make_prompts
from clipomaly_core.suppression import Suppressor, make_suppressor
from clipomaly_core.text import TextEncoder
from clipomaly_core.vocabulary import Vocabulary


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
