"""The parts of a vocabulary: known classes, candidate names, suppressions, exemplars, and names that are left out."""

from dataclasses import dataclass
from enum import StrEnum


class NameSource(StrEnum):
    """Where a name came from."""

    KNOWN = "known"
    DICTIONARY = "dictionary"
    TAGGER = "tagger"
    USER = "user"
    PROMOTED = "promoted"


ASKED = frozenset({NameSource.USER, NameSource.PROMOTED})
"""A person asked for names of these sources: being a kind of a known class is no reason to refuse them."""


@dataclass(frozen=True, slots=True)
class KnownClass:
    """A known class (V). ``synonyms`` are other words for it, ``kinds`` its hyponyms ("taxi" of car)."""

    name: str
    synonyms: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Candidate:
    """A candidate name (W)."""

    name: str
    synonyms: tuple[str, ...]
    source: NameSource
    category: str


@dataclass(frozen=True, slots=True)
class Suppression:
    """Regions that are no anomalies: those whose embedding is near this one.

    ``embedding`` is a vector of little-endian float16 in the space of the model whose weights have the SHA-256
    ``model``; ``cosine`` in (0, 1] is how near a region must be. Other models do not use it. With a ``name`` only
    regions are meant for which that is the best name, be it clear or not.
    """

    reason: str
    model: str
    cosine: float
    embedding: bytes
    name: str | None = None


@dataclass(frozen=True, slots=True)
class Exemplars:
    """Judged regions that show what a name means, beside its text, or, without a ``name``, what is no anomaly.

    ``model`` is the SHA-256 of the weights that embedded them; other models do not use them. ``sha256`` is that of
    their content, which lies in the exemplar file beside the vocabulary under the key ``tensors``. Of K regions,
    ``embeddings`` are (K, D) little-endian float16, ``weights`` (K,) little-endian float32 in [0, 1], how far each is
    trusted (one of 0 only limits the others), and ``widths`` (K,) little-endian float32 above 0, the 1 - cosine at
    which that trust has fallen to 1/e.
    All three are empty where the exemplar file was not read. ``instead_of`` are names that people replaced by this one.
    """

    reason: str
    model: str
    tensors: str
    sha256: str
    name: str | None = None
    embeddings: bytes = b""
    weights: bytes = b""
    widths: bytes = b""
    instead_of: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A name that was left out of the candidates, and why, in words."""

    name: str
    reason: str
