"""Where names lie: one fixed unit vector for each class of V, each planted kind and each word of the dictionary.

Learning both towers at once from random weights stalls: a random text tower gives all texts nearly one direction,
and the image tower follows it. With fixed targets the image tower learns what things look like, and the text tower,
on its own, which words mean them.
"""

from dataclasses import dataclass, replace
from hashlib import sha256

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import normalize

from clipomaly_core.names import Candidate, lemma
from clipomaly_core.vocabulary import Vocabulary
from demo_fleet import HELD_OUT_KINDS, KINDS, Kind

DIMENSION = 128
_FAMILY = 0.45
"""Share of its category in a word's vector: what names of one category have in common."""
_NEAR = 0.7
"""Cosine between a kind and a dictionary name that means something much like it."""


@dataclass(frozen=True, slots=True)
class Concepts:
    """Targets, L2-normalised: ``known`` (19, D), ``kinds`` (K, D), ``others`` (N, D), and the words of each row.

    ``near`` (M, D) are dictionary names that mean much the same as a kind, *puppy* beside *dog*. With the kind's own
    target both would be equally right, and no margin left between them. Only the text tower learns them.
    """

    known: Tensor
    kinds: Tensor
    others: Tensor
    near: Tensor
    known_words: tuple[tuple[str, ...], ...]
    kind_words: tuple[tuple[str, ...], ...]
    other_words: tuple[tuple[str, ...], ...]
    near_words: tuple[tuple[str, ...], ...]

    def to(self, device: torch.device) -> "Concepts":
        """The same on a device."""
        targets = {name: getattr(self, name).to(device) for name in ("known", "kinds", "others", "near")}
        return replace(self, **targets)


def training_kinds() -> tuple[Kind, ...]:
    """The kinds that training may see."""
    return tuple(kind for kind in KINDS if kind.name not in HELD_OUT_KINDS)


def load_concepts() -> Concepts:
    """The targets for the built-in vocabulary. The same every time: words are placed by their hash.

    V, the categories and the training kinds are orthogonal to each other. All other words, the held-out kinds among
    them, lie at random places, but orthogonal to V, so that a word that was never drawn attracts nothing known.
    """
    vocabulary = Vocabulary.load()
    category_of = {lemma(word): c.category for c in vocabulary.candidates for word in (c.name, *c.synonyms)}
    categories = sorted({c.category for c in vocabulary.candidates})
    kinds = training_kinds()
    taken = {lemma(word) for kind in kinds for word in (kind.name, *kind.synonyms)}
    others = [c for c in vocabulary.candidates if not taken & _lemmas(c)]
    named = [next((c for c in vocabulary.candidates if lemma(kind.name) in _lemmas(c)), None) for kind in kinds]
    near = [
        (row, candidate)
        for row, kind in enumerate(kinds)
        for candidate in vocabulary.candidates
        if candidate not in named and {lemma(word) for word in kind.synonyms} & _lemmas(candidate)
    ]
    apart = {word for _, candidate in near for word in _lemmas(candidate)}

    count = len(vocabulary.known)
    basis = torch.linalg.qr(torch.randn(DIMENSION, DIMENSION, generator=torch.Generator().manual_seed(0)))[0]
    known, families, own = basis.split([count, len(categories), DIMENSION - count - len(categories)])
    family = dict(zip(categories, families, strict=True))
    kind_rows = [
        _placed(own[row], family.get(category_of.get(lemma(kind.name), "nature"), families[0]))
        for row, kind in enumerate(kinds)
    ]
    other_rows = []
    for candidate in others:
        vector = _by_hash(candidate.name)
        vector = normalize(vector - known.T @ (known @ vector), dim=0)
        other_rows.append(_placed(vector, family[candidate.category]))
    near_rows = []
    for row, candidate in near:
        vector = _by_hash(candidate.name)
        vector = normalize(vector - kind_rows[row] * (kind_rows[row] @ vector), dim=0)
        near_rows.append(_NEAR * kind_rows[row] + (1 - _NEAR**2) ** 0.5 * vector)
    return Concepts(
        known=known,
        kinds=torch.stack(kind_rows),
        others=torch.stack(other_rows),
        near=torch.stack(near_rows),
        known_words=tuple((c.name, *c.synonyms, *c.kinds) for c in vocabulary.known),
        kind_words=tuple(_own_words(kind, own, apart) for kind, own in zip(kinds, named, strict=True)),
        other_words=tuple((c.name, *c.synonyms) for c in others),
        near_words=tuple((c.name, *c.synonyms) for _, c in near),
    )


def _own_words(kind: Kind, candidate: Candidate | None, apart: set[str]) -> tuple[str, ...]:
    """What means just this kind: its name, synonyms that lie nowhere else, and the dictionary's words for it."""
    told = (kind.name, *(word for word in kind.synonyms if lemma(word) not in apart))
    more = (candidate.name, *candidate.synonyms) if candidate else ()
    return (*told, *(word for word in more if word not in told))


def _lemmas(candidate: Candidate) -> set[str]:
    return {lemma(word) for word in (candidate.name, *candidate.synonyms)}


def _placed(own: Tensor, family: Tensor) -> Tensor:
    return normalize((1 - _FAMILY**2) ** 0.5 * own + _FAMILY * family, dim=0)


def _by_hash(word: str) -> Tensor:
    seed = int.from_bytes(sha256(word.encode()).digest()[:8], "big")
    vector = np.random.default_rng(seed).standard_normal(DIMENSION).astype(np.float32)
    return normalize(torch.from_numpy(vector), dim=0)
