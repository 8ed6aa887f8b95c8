"""Whether a person would accept a name of the model: names are compared as words, never by similarity.

What counts is stated: the accepted words of each frame and their kinds come from a YAML file,

    kinds:                     # optional: words that name a thing more narrowly
      cow: [calf, bull]
    frames:                    # any of these names an anomaly of the frame; the first one gives its category
      farm_road_017: [cow, tractor]

synonyms, kinds and categories from the built-in vocabulary and the model's own.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import yaml

from clipomaly_core import Vocabulary
from clipomaly_core.names import lemma
from tasks.errors import UsageError

NO_CATEGORY = "other"


class Match(StrEnum):
    """How a name agrees with an accepted word, closest first."""

    EXACT = "exact"
    SYNONYM = "synonym"
    HYPONYM = "hyponym"


@dataclass(frozen=True, slots=True)
class AcceptedNames:
    """The words that name the anomalies of each frame, by frame name, and the kinds of words."""

    frames: Mapping[str, tuple[str, ...]]
    kinds: Mapping[str, tuple[str, ...]]


def read_accepted_names(path: Path) -> AcceptedNames:
    """Read a file of accepted words, in the form that the module docstring shows.

    Raises:
        UsageError: the file cannot be read or is of another form.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"--names {path} cannot be read ({error.strerror}).") from error
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise UsageError(f"--names {path} is not valid YAML ({' '.join(str(error).split())}).") from error
    if not isinstance(content, dict) or not content.get("frames") or content.keys() - {"frames", "kinds"}:
        raise UsageError(f"--names {path}: give 'frames' and optionally 'kinds', and nothing else.")
    return AcceptedNames(
        _word_lists(content["frames"], f"--names {path}, frames"),
        _word_lists(content.get("kinds") or {}, f"--names {path}, kinds"),
    )


def _word_lists(content: object, where: str) -> dict[str, tuple[str, ...]]:
    if not isinstance(content, dict):
        raise UsageError(f"{where}: give names with a list of words each.")
    for name, words in content.items():
        fits = isinstance(words, list) and words and all(isinstance(word, str) and word.strip() for word in words)
        if not isinstance(name, str) or not fits:
            raise UsageError(f"{where}: {name}: give a list of words, such as [cow, calf].")
    return {name: tuple(words) for name, words in content.items()}


class Lexicon:
    """Synonyms of words, their kinds (hyponyms), and their categories."""

    def __init__(self, vocabularies: Iterable[Vocabulary], kinds: Mapping[str, Sequence[str]]) -> None:
        self._synonyms: defaultdict[str, set[str]] = defaultdict(set)
        self._kinds: defaultdict[str, set[str]] = defaultdict(set)
        self._categories: dict[str, str] = {}
        for vocabulary in vocabularies:
            words = [(entry.name, *entry.synonyms) for entry in vocabulary.known]
            words += [(entry.name, *entry.synonyms) for entry in vocabulary.candidates]
            for given in words:
                same = {lemma(word) for word in given}
                for word in same:
                    self._synonyms[word] |= same
            for known in vocabulary.known:
                self._kinds[lemma(known.name)] |= {lemma(kind) for kind in known.kinds}
            for candidate in vocabulary.candidates:
                for word in (candidate.name, *candidate.synonyms):
                    self._categories.setdefault(lemma(word), candidate.category)
        for name, narrower in kinds.items():
            self._kinds[lemma(name)] |= {lemma(word) for word in narrower}

    def match(self, name: str, accepted: Sequence[str]) -> Match | None:
        """How a name agrees with the closest of the accepted words; ``None`` where it names something else.

        A hyponym is a listed kind of an accepted word, or ends in one and is of the same category
        ("mountain goat" is a goat, "teddy bear" is no bear). A more general name ("animal") is no match.
        """
        given = lemma(name)
        words = {lemma(word) for word in accepted}
        if given in words:
            return Match.EXACT
        same = words.union(*(self._synonyms.get(word, ()) for word in words))
        if given in same:
            return Match.SYNONYM
        also_given = {given, *self._synonyms.get(given, ())}
        if any(also_given & self._kinds.get(word, set()) for word in same):
            return Match.HYPONYM
        category = self.category(name)
        if any(given.endswith(f" {word}") and category == self.category(word) != NO_CATEGORY for word in same):
            return Match.HYPONYM
        return None

    def category(self, word: str) -> str:
        """The vocabulary's category of a word, or ``"other"``."""
        return self._categories.get(lemma(word), NO_CATEGORY)
