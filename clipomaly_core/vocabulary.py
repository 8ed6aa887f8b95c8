"""What things may be called: known classes V, candidate names W, and what was left out of W and why.

A vocabulary file is YAML; every part may be missing and is then the built-in one:

    known:                          # replaces V
      - bollard                     # a class, or one with more words for it:
      - name: car
        synonyms: [automobile]      # other words for the class itself
        kinds: [taxi, hatchback]    # hyponyms: they count as the class
    never_known: [toy car]          # names that only look like a kind of a class
    extends: builtin                # add the dictionary below to the built-in one instead of replacing it
    dictionary:                     # names of W by category; [name, synonym, …] where there are synonyms
      cargo: [mattress, [tire, tyre]]
      user: [parade float]          # "user" and "promoted" are kept even where they are a kind of a class
    also_known:                     # more words for classes of V, without writing V anew
      car: [velomobile]
    suppressed:                     # regions that look like this are no anomalies: ``vocabulary promote`` writes them
      - reason: judged not to be an object 7 times
        model: 5f0c…                # sha256 of the weights, in whose space the embedding is
        cosine: 0.93                # regions at least so near are suppressed
        name: puddle                # only those whose best name is this one; may be missing
        embedding: AAC4Ow…          # base64 of little-endian float16
"""

import base64
import binascii
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from functools import lru_cache
from hashlib import sha256
from importlib.resources import files
from typing import NoReturn

import fsspec
import yaml

from clipomaly_core.errors import UsageError


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
    """A class of V. ``synonyms`` are other words for it, ``kinds`` its hyponyms ("taxi" of car)."""

    name: str
    synonyms: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Candidate:
    """A name of W."""

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
class LeftOut:
    """A name that was kept out of W, and why, in words."""

    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """V and W. Never changes: ``extend`` and ``leave_out`` give a new one.

    Two names are the same name when their lemmas are (see ``lemma``). ``never_known`` are names whose last
    word is a class but which are not a kind of it ("toy car").
    """

    known: tuple[KnownClass, ...]
    candidates: tuple[Candidate, ...] = ()
    left_out: tuple[LeftOut, ...] = ()
    never_known: frozenset[str] = frozenset()
    suppressed: tuple[Suppression, ...] = ()

    @classmethod
    def load(cls, url: str | None = None) -> "Vocabulary":
        """The built-in vocabulary, or the one of a YAML file (any fsspec URL); the module says its form.

        Args:
            url: the file; ``None`` for the 19 Cityscapes classes and the built-in road dictionary.

        Raises:
            UsageError: the file cannot be read, or holds a duplicate, an empty name, a wrong type or an
                unknown key; the message has file and line.
        """
        return cls._of(_File() if url is None else _parse(_read(url), url))

    @classmethod
    def parse(cls, text: str, where: str) -> "Vocabulary":
        """The vocabulary that a file's text gives; ``where`` names the file in errors. Raises as ``load``."""
        return cls._of(_parse(text, where))

    @classmethod
    def _of(cls, file: "_File") -> "Vocabulary":
        cityscapes, dictionary = _builtin("cityscapes.yaml"), _builtin("dictionary.yaml")
        candidates = file.candidates or ()
        if file.candidates is None or file.extends:
            # The file's own entries go first: where both have a name, what the user wrote of it holds.
            candidates += dictionary.candidates or ()
        never_known = cityscapes.never_known | file.never_known
        known = _with_words(file.known or cityscapes.known or (), file.also_known)
        return cls(known, never_known=never_known, suppressed=file.suppressed)._admit(candidates)

    @property
    def names(self) -> tuple[str, ...]:
        """The names of V, then those of W."""
        return (*(known.name for known in self.known), *(candidate.name for candidate in self.candidates))

    @property
    def sha256(self) -> str:
        """Hex digest of all that can change a result: V, W in their order, exceptions and suppressions."""
        content: dict[str, object] = {
            "known": [asdict(known) for known in self.known],
            "candidates": [asdict(candidate) for candidate in self.candidates],
            "never_known": sorted(self.never_known),
        }
        if self.suppressed:
            content["suppressed"] = sorted(
                (one.model, one.cosine, one.embedding.hex(), *((lemma(one.name),) if one.name else ()))
                for one in self.suppressed
            )
        return sha256(json.dumps(content, sort_keys=True, separators=(",", ":")).encode()).hexdigest()

    def extend(self, names: Iterable[str], source: NameSource = NameSource.USER) -> "Vocabulary":
        """A vocabulary with more names in W.

        A name that is already there changes nothing. A name that is a known class, or another word for
        one, is left out with the reason. So is a kind of a known class, unless the source is USER or
        PROMOTED: then a person asked for it, and it also comes back from ``left_out``.

        Raises:
            UsageError: an empty name, or one string instead of several.
        """
        if isinstance(names, str):
            raise UsageError(f"Names come as a list: [{names!r}], not {names!r}.")
        return self._admit(Candidate(_tidy(name), (), source, str(source)) for name in names)

    def leave_out(self, reasons: Mapping[str, str]) -> "Vocabulary":
        """A vocabulary without these candidates: they move to ``left_out`` with the reason given for each.

        Raises:
            UsageError: a name that is no candidate.
        """
        strangers = reasons.keys() - {candidate.name for candidate in self.candidates}
        if strangers:
            raise UsageError(f"Cannot leave out {min(strangers)!r}: it is not among the candidate names.")
        return replace(
            self,
            candidates=tuple(candidate for candidate in self.candidates if candidate.name not in reasons),
            left_out=(*self.left_out, *(LeftOut(name, reason) for name, reason in reasons.items())),
        )

    def _admit(self, candidates: Iterable[Candidate]) -> "Vocabulary":
        rules = _Rules.of(self.known, self.never_known)
        admitted = list(self.candidates)
        left_out = {lemma(left.name): left for left in self.left_out}
        taken = {lemma(term) for candidate in admitted for term in (candidate.name, *candidate.synonyms)}
        for candidate in candidates:
            key = lemma(candidate.name)
            if key in taken or (key in left_out and candidate.source not in ASKED):
                continue
            reason = rules.against(candidate)
            if reason is not None:
                left_out.setdefault(key, LeftOut(candidate.name, reason))
                continue
            left_out.pop(key, None)
            taken.add(key)
            fresh = {lemma(synonym): synonym for synonym in candidate.synonyms if lemma(synonym) not in taken}
            taken.update(fresh)
            admitted.append(replace(candidate, synonyms=tuple(fresh.values())))
        return replace(self, candidates=tuple(admitted), left_out=tuple(left_out.values()))


@dataclass(frozen=True, slots=True)
class _Rules:
    """What keeps a name out of W, by lemma."""

    words: dict[str, str]  # a class's name and synonyms → the class
    kinds: dict[str, str]  # its hyponyms → the class
    exceptions: frozenset[str]

    @classmethod
    def of(cls, known: tuple[KnownClass, ...], never_known: frozenset[str]) -> "_Rules":
        return cls(
            words={lemma(term): entry.name for entry in known for term in (entry.name, *entry.synonyms)},
            kinds={lemma(kind): entry.name for entry in known for kind in entry.kinds},
            exceptions=frozenset(lemma(name) for name in never_known),
        )

    def against(self, candidate: Candidate) -> str | None:
        """Why a candidate cannot be in W, or ``None``."""
        for term in (candidate.name, *candidate.synonyms):
            key = lemma(term)
            subject = "" if term == candidate.name else f"its synonym {term!r} "
            if key in self.words:
                name = self.words[key]
                if term == name:
                    return f"{subject}is the known class {name!r}"
                if key == lemma(name):
                    return f"{subject}shares the lemma {key!r} with the known class {name!r}"
                return f"{subject}is another word for the known class {name!r}"
            if candidate.source in ASKED or key in self.exceptions:
                continue
            for tail in _tails(key):
                if kind := self.kinds.get(tail) or self.words.get(tail):
                    return f"{subject}is a kind of {kind}"
        return None


def _tails(key: str) -> Iterator[str]:
    """The name up to its head noun, ever shorter: "old police car" → itself, "police car", "car"."""
    words = key.split()
    words = words[: _head(words) + 1]
    return (" ".join(words[start:]) for start in range(len(words)))


# ---------------------------------------------------------------------------------------------- lemmas

# fmt: off
_IRREGULAR = {
    "people": "person", "persons": "person", "children": "child", "feet": "foot", "teeth": "tooth",
    "geese": "goose", "mice": "mouse", "lice": "louse", "oxen": "ox", "cacti": "cactus", "fungi": "fungus",
    "calves": "calf", "elves": "elf", "halves": "half", "hooves": "hoof", "knives": "knife", "leaves": "leaf",
    "lives": "life", "loaves": "loaf", "scarves": "scarf", "sheaves": "sheaf", "shelves": "shelf",
    "thieves": "thief", "wharves": "wharf", "wives": "wife", "wolves": "wolf",
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


# ----------------------------------------------------------------------------------------------- files


@dataclass(frozen=True, slots=True)
class _File:
    """What a vocabulary file gives; ``None`` for a part that it does not have."""

    known: tuple[KnownClass, ...] | None = None
    candidates: tuple[Candidate, ...] | None = None
    never_known: frozenset[str] = frozenset()
    extends: bool = False
    also_known: tuple["_MoreWords", ...] = ()
    suppressed: tuple[Suppression, ...] = ()


@dataclass(frozen=True, slots=True)
class _MoreWords:
    """Words that a file adds to a class of V; ``where`` is its place in the file, for errors."""

    known: str
    words: tuple[str, ...]
    where: str


def _with_words(known: tuple[KnownClass, ...], more: tuple[_MoreWords, ...]) -> tuple[KnownClass, ...]:
    classes = {lemma(entry.name): entry for entry in known}
    for addition in more:
        entry = classes.get(lemma(addition.known))
        if entry is None:
            raise UsageError(
                f"{addition.where}: {addition.known!r} is no known class; there are "
                f"{', '.join(other.name for other in known)}."
            )
        there = {lemma(word) for word in (entry.name, *entry.synonyms)}
        fresh = tuple(word for word in addition.words if lemma(word) not in there)
        classes[lemma(addition.known)] = replace(entry, synonyms=(*entry.synonyms, *fresh))
    return tuple(classes.values())


@lru_cache
def _builtin(name: str) -> _File:
    return _parse((files("clipomaly_core") / "data" / name).read_text("utf-8"), name)


def _read(url: str) -> str:
    try:
        with fsspec.open(url, "rt", encoding="utf-8") as file:
            return str(file.read())
    except FileNotFoundError:
        raise UsageError(f"{url}: there is no such vocabulary file.") from None
    except (OSError, ValueError, ImportError) as error:
        raise UsageError(f"{url}: cannot read the vocabulary file ({_one_line(error)}).") from error


def _parse(text: str, where: str) -> _File:
    # Nodes instead of plain values: they know their lines, and show keys that stand twice.
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        line = f", line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise UsageError(f"{where}{line}: not valid YAML ({_one_line(error.problem)}).") from error
    except yaml.YAMLError as error:
        raise UsageError(f"{where}: not valid YAML ({_one_line(error)}).") from error
    if root is None:
        raise UsageError(f"{where}: the file is empty; give 'known' or 'dictionary'.")
    return _Nodes(where).file(root)


class _Nodes:
    """Reads a YAML tree into a _File and complains with file and line."""

    def __init__(self, where: str) -> None:
        self._where = where

    def file(self, root: yaml.Node) -> _File:
        parts = self._mapping(root, ("known", "never_known", "extends", "dictionary", "also_known", "suppressed"))
        if "known" not in parts and "dictionary" not in parts:
            self._fail(root, "neither 'known' nor 'dictionary' is given; a vocabulary needs one of them")
        extends = "extends" in parts
        if extends and self._text(parts["extends"]) != "builtin":
            self._fail(parts["extends"], "'extends' can only be 'builtin'")
        return _File(
            known=self._known(parts["known"]) if "known" in parts else None,
            candidates=self._dictionary(parts["dictionary"]) if "dictionary" in parts else None,
            never_known=frozenset(self._names(parts["never_known"], {}) if "never_known" in parts else ()),
            extends=extends,
            also_known=self._also_known(parts["also_known"]) if "also_known" in parts else (),
            suppressed=self._suppressed(parts["suppressed"]) if "suppressed" in parts else (),
        )

    def _also_known(self, node: yaml.Node) -> tuple[_MoreWords, ...]:
        seen: dict[str, int] = {}
        return tuple(
            _MoreWords(name, self._names(words, seen), f"{self._where}, line {words.start_mark.line + 1}")
            for name, words in self._mapping(node).items()
        )

    def _suppressed(self, node: yaml.Node) -> tuple[Suppression, ...]:
        keys = ("reason", "model", "cosine", "embedding")
        found = []
        for entry in self._sequence(node):
            parts = self._mapping(entry, (*keys, "name"))
            for key in keys:
                if key not in parts:
                    self._fail(entry, f"a suppression without {key!r}")
            found.append(
                Suppression(
                    self._text(parts["reason"]),
                    self._text(parts["model"]),
                    self._cosine(parts["cosine"]),
                    self._embedding(parts["embedding"]),
                    self._name(parts["name"], {}) if "name" in parts else None,
                )
            )
        return tuple(found)

    def _cosine(self, node: yaml.Node) -> float:
        try:
            value = float(node.value) if isinstance(node, yaml.ScalarNode) else 0.0
        except ValueError:
            value = 0.0
        if not 0 < value <= 1:
            self._fail(node, "a cosine is a number above 0 and up to 1")
        return value

    def _embedding(self, node: yaml.Node) -> bytes:
        try:
            data = base64.b64decode(self._text(node), validate=True)
        except (binascii.Error, ValueError):
            data = b""
        if not data or len(data) % 2:
            self._fail(node, "an embedding is base64 of float16 numbers: leave it as it was written")
        return data

    def _known(self, node: yaml.Node) -> tuple[KnownClass, ...]:
        seen: dict[str, int] = {}
        classes = []
        for entry in self._sequence(node):
            if isinstance(entry, yaml.ScalarNode):
                classes.append(KnownClass(self._name(entry, seen)))
                continue
            parts = self._mapping(entry, ("name", "synonyms", "kinds"))
            if "name" not in parts:
                self._fail(entry, "a class without a 'name'")
            name = self._name(parts["name"], seen)
            words = (self._names(parts[key], seen) if key in parts else () for key in ("synonyms", "kinds"))
            classes.append(KnownClass(name, *words))
        if len(classes) < 2:
            self._fail(node, "'known' needs two classes or more")
        return tuple(classes)

    def _dictionary(self, node: yaml.Node) -> tuple[Candidate, ...]:
        seen: dict[str, int] = {}
        candidates = []
        for category, entries in self._mapping(node).items():
            source = NameSource(category) if category in ASKED else NameSource.DICTIONARY
            for entry in self._sequence(entries):
                if isinstance(entry, yaml.SequenceNode):
                    name, *synonyms = self._names(entry, seen) or self._fail(entry, "an entry without a name")
                else:
                    name, synonyms = self._name(entry, seen), []
                candidates.append(Candidate(name, tuple(synonyms), source, category))
        return tuple(candidates)

    def _names(self, node: yaml.Node, seen: dict[str, int]) -> tuple[str, ...]:
        return tuple(self._name(entry, seen) for entry in self._sequence(node))

    def _name(self, node: yaml.Node, seen: dict[str, int]) -> str:
        name = " ".join(self._text(node).split())
        if not name:
            self._fail(node, "an empty name: write one or remove the entry")
        key = lemma(name)
        if key in seen:
            self._fail(node, f"{name!r} is given twice (first in line {seen[key]}): remove one")
        seen[key] = node.start_mark.line + 1
        return name

    def _text(self, node: yaml.Node) -> str:
        if isinstance(node, yaml.ScalarNode):
            if node.tag == "tag:yaml.org,2002:str":
                return str(node.value)
            if node.tag == "tag:yaml.org,2002:null":
                self._fail(node, "an empty name: write one or remove the entry")
            self._fail(node, f"{node.value!r} is not read as text: put it in quotes")
        self._fail(node, "a name is expected here, not a list or keys")

    def _sequence(self, node: yaml.Node) -> list[yaml.Node]:
        if not isinstance(node, yaml.SequenceNode):
            self._fail(node, "a list is expected here")
        return list(node.value)

    def _mapping(self, node: yaml.Node, allowed: tuple[str, ...] | None = None) -> dict[str, yaml.Node]:
        if not isinstance(node, yaml.MappingNode):
            self._fail(node, f"keys are expected here ({', '.join(allowed or ('category: [names]',))})")
        parts: dict[str, yaml.Node] = {}
        for key_node, value in node.value:
            key = self._text(key_node).strip()
            if allowed is not None and key not in allowed:
                self._fail(key_node, f"unknown key {key!r}: use one of {', '.join(allowed)}")
            if key in parts:
                self._fail(key_node, f"the key {key!r} is given twice: join the two")
            parts[key] = value
        return parts

    def _fail(self, node: yaml.Node, problem: str) -> NoReturn:
        raise UsageError(f"{self._where}, line {node.start_mark.line + 1}: {problem}.")


def _tidy(name: str) -> str:
    tidy = " ".join(name.split())
    if not tidy:
        raise UsageError("A name is empty: give each name at least one letter.")
    return tidy


def _one_line(problem: object) -> str:
    return " ".join(str(problem).split())
