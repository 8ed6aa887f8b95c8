"""Which candidate names each frame is compared with, from the tags that a tagger gives."""

from collections.abc import Sequence

import torch
from torch import Tensor

from clipomaly_core.lemma import lemma
from clipomaly_core.names import ASKED
from clipomaly_core.types import NameScore
from clipomaly_core.vocabulary import Vocabulary

Tags = Sequence[Sequence[NameScore]]
"""The tags of each frame."""


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
