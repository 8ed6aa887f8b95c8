"""The vocabulary: known classes (V), candidate names (W), and the names that were left out, with the reason."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import lru_cache
from hashlib import sha256

from clipomaly_core.errors import UsageError
from clipomaly_core.exemplar_file import Beside
from clipomaly_core.names import ASKED, Candidate, Exemplars, KnownClass, LeftOut, NameSource, Suppression, lemma, tails
from clipomaly_core.vocabulary_file import MoreWords, VocabularyFile, parse_file, read_builtin, read_file


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """Known classes (V) and candidate names (W). Never changes: ``extend`` and ``leave_out`` give a new one.

    Two names are the same name when their lemmas are (see ``lemma``). ``never_known`` are names whose last
    word is a class but which are not a kind of it ("toy car").
    """

    known: tuple[KnownClass, ...]
    candidates: tuple[Candidate, ...] = ()
    left_out: tuple[LeftOut, ...] = ()
    never_known: frozenset[str] = frozenset()
    suppressed: tuple[Suppression, ...] = ()
    exemplars: tuple[Exemplars, ...] = ()

    @classmethod
    def load(cls, url: str | None = None) -> "Vocabulary":
        """The built-in vocabulary, or the one of a YAML file (any fsspec URL); vocabulary_file.py says its form.

        Args:
            url: the file; ``None`` for the 19 Cityscapes classes and the built-in road dictionary.

        Raises:
            UsageError: the file cannot be read, or holds a duplicate, an empty name, a wrong type or an
                unknown key; the message has file and line.
        """
        return _builtin() if url is None else cls._of(read_file(url))

    @classmethod
    def parse(cls, text: str, where: str, beside: Beside | None = None) -> "Vocabulary":
        """The vocabulary that a file's text gives; ``where`` names the file in errors. Raises as ``load``.

        ``beside`` reads a file beside it by its name; without it exemplars are listed and not read.
        """
        return cls._of(parse_file(text, where, beside))

    @classmethod
    def _of(cls, file: VocabularyFile) -> "Vocabulary":
        cityscapes, dictionary = read_builtin("cityscapes.yaml"), read_builtin("dictionary.yaml")
        candidates = file.candidates or ()
        if file.candidates is None or file.extends:
            # The file's own entries come first: if both have a name, the user's entry is used.
            candidates += dictionary.candidates or ()
        never_known = cityscapes.never_known | file.never_known
        known = _with_words(file.known or cityscapes.known or (), file.also_known)
        empty = cls(known, never_known=never_known, suppressed=file.suppressed, exemplars=file.exemplars)
        return empty._admit(candidates)

    @property
    def names(self) -> tuple[str, ...]:
        """The known classes, then the candidate names."""
        return (*(known.name for known in self.known), *(candidate.name for candidate in self.candidates))

    @property
    def sha256(self) -> str:
        """Hex digest of everything that can change a result: classes and names in order, exceptions, suppressions,
        exemplars."""
        content: dict[str, object] = {
            "known": _plain(self.known),
            "candidates": _plain(self.candidates),
            "never_known": sorted(self.never_known),
        }
        if self.suppressed:
            content["suppressed"] = sorted(
                (entry.model, entry.cosine, entry.embedding.hex(), *((lemma(entry.name),) if entry.name else ()))
                for entry in self.suppressed
            )
        if self.exemplars:
            content["exemplars"] = sorted(
                (
                    entry.model,
                    lemma(entry.name) if entry.name else "",
                    entry.sha256,
                    *sorted(map(lemma, entry.instead_of)),
                )
                for entry in self.exemplars
            )
        return sha256(json.dumps(content, sort_keys=True, separators=(",", ":")).encode()).hexdigest()

    def extend(self, names: Iterable[str], source: NameSource = NameSource.USER) -> "Vocabulary":
        """A vocabulary with more candidate names.

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
    """Reasons that keep a name out of the candidates, by lemma."""

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
        """Why a name cannot be a candidate, or ``None``."""
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
            for tail in tails(key):
                if kind := self.kinds.get(tail) or self.words.get(tail):
                    return f"{subject}is a kind of {kind}"
        return None


@lru_cache
def _builtin() -> Vocabulary:
    return Vocabulary._of(VocabularyFile())


def _plain(entries: Sequence[KnownClass] | Sequence[Candidate]) -> list[dict[str, object]]:
    """Entries as JSON holds them. ``asdict`` gives the same, but copies every word: 0.1 s for the dictionary."""
    names = [field.name for entry in entries[:1] for field in fields(entry)]
    return [{name: getattr(entry, name) for name in names} for entry in entries]


def _with_words(known: tuple[KnownClass, ...], more: tuple[MoreWords, ...]) -> tuple[KnownClass, ...]:
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


def _tidy(name: str) -> str:
    tidy = " ".join(name.split())
    if not tidy:
        raise UsageError("A name is empty: give each name at least one letter.")
    return tidy
