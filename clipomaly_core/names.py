"""The parts of a vocabulary: known classes, candidate names, suppressions, exemplars, and names that are left out.

``lemma`` says when two spellings of an English noun are the same name.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache

# fmt: off
_IRREGULAR = {
    "people": "person", "persons": "person", "children": "child", "feet": "foot", "teeth": "tooth",
    "geese": "goose", "mice": "mouse", "lice": "louse", "oxen": "ox", "cacti": "cactus", "fungi": "fungus",
    "calves": "calf", "elves": "elf", "halves": "half", "hooves": "hoof", "knives": "knife", "leaves": "leaf",
    "lives": "life", "loaves": "loaf", "scarves": "scarf", "sheaves": "sheaf", "shelves": "shelf",
    "headscarves": "headscarf", "thieves": "thief", "wharves": "wharf", "wives": "wife", "wolves": "wolf",
    "buses": "bus", "gases": "gas", "canvases": "canvas", "lenses": "lens",
    "irises": "iris", "trellises": "trellis", "ibises": "ibis", "pelvises": "pelvis", "mantises": "mantis",
    "rhinoceroses": "rhinoceros", "thermoses": "thermos", "axes": "axe", "pickaxes": "pickaxe",
    "quizzes": "quiz", "fuses": "fuse",
} | {
    word + "s": word
    for word in (
        "bikini", "coati", "jacuzzi", "kiwi", "okapi", "sari", "ski", "taxi", "wapiti", "zucchini",
        "coypu", "emu", "gnu", "kudu", "menu", "tutu", "zebu",
    )
}

# Singulars that end like plurals, and nouns that have no singular.
_INVARIABLE = frozenset({
    "asbestos", "barracks", "bellows", "biceps", "binoculars", "canvas", "chaos", "christmas", "clothes",
    "crossroads", "cyclops", "dungarees", "forceps", "gallows", "gas", "goggles", "headphones",
    "headquarters", "jeans", "leggings", "lens", "molasses", "news", "overalls", "pajamas", "pampas",
    "pancreas", "pants", "pliers", "pyjamas", "rhinoceros", "roadworks", "scissors", "secateurs", "shears",
    "shorts",
    "species", "sunglasses", "thermos", "tights", "tongs", "trousers", "tweezers", "waders",
    "abdomen", "cyclamen", "omen", "regimen", "specimen", "stamen",
})

_PREPOSITIONS = frozenset({"at", "for", "in", "of", "on", "with"})

# Singulars whose final e the rules for -ches, -oes and -ies would take.
_SILENT_E = frozenset({
    "ache", "avalanche", "brioche", "cache", "creche", "moustache", "mustache", "niche", "quiche",
    "canoe", "doe", "floe", "foe", "hoe", "horseshoe", "oboe", "roe", "shoe", "sloe", "snowshoe", "toe",
    "beanie", "birdie", "bogie", "bowtie", "brownie", "budgie", "caddie", "collie", "cookie", "genie",
    "hoodie", "magpie", "movie", "necktie", "pie", "prairie", "selfie", "smoothie", "talkie", "tie", "zombie",
})
# fmt: on


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


@lru_cache(maxsize=1 << 16)
def lemma(name: str) -> str:
    """The form under which two spellings of an English noun, plural or singular, are the same name.

    Lower case, single spaces for hyphens and underscores, and the head noun in the singular: the last
    word, or the one before a preposition. "Traffic-Cones" is "traffic cone", "stacks of tires" is "stack of
    tires". Rules with lists of exceptions; a plural that none of them knows stays as it is.
    """
    words = name.casefold().replace("-", " ").replace("_", " ").split()
    if words:
        head = _head(words)
        words[head] = _singular(words[head])
    return " ".join(words)


def tails(key: str) -> Iterator[str]:
    """The name up to its head noun, ever shorter: "old police car" → itself, "police car", "car"."""
    words = key.split()
    words = words[: _head(words) + 1]
    return (" ".join(words[start:]) for start in range(len(words)))


def _head(words: list[str]) -> int:
    """Index of the head noun: the word before a preposition, or else the last."""
    return next((at for at, word in enumerate(words[1:]) if word in _PREPOSITIONS), len(words) - 1)


def _singular(word: str) -> str:
    if word in _IRREGULAR:
        return _IRREGULAR[word]
    if word in _INVARIABLE:
        return word
    if word.endswith("men"):
        return word.removesuffix("men") + "man"
    if not word.endswith("s") or word.endswith(("ss", "us", "is", "'s")) or len(word) < 3:
        return word
    if word[:-1] in _SILENT_E:
        return word[:-1]
    if word.endswith("ies") and len(word) > 4:
        return word[:-3] + "y"
    if word.endswith(("sses", "xes", "zzes", "tzes", "ches", "shes", "oes")):
        return word[:-2]
    if word.endswith("uses") and not word.endswith(("ouses", "auses")):
        return word[:-2]
    return word[:-1]
