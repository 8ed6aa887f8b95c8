"""When two spellings of an English noun are the same name."""

from collections.abc import Iterator
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
