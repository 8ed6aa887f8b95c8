"""Vocabulary files: list the names with their sources, and add names."""

import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ruamel.yaml import YAML

from clipomaly_core import Clipomaly, Vocabulary
from clipomaly_core.names import NameSource, lemma
from tasks.model import method_options
from tasks.model_settings import ModelSettings
from tasks.storage import exists, locate, read_file, replace_file

_NEW = "extends: builtin\ndictionary: {}\n"
"""A vocabulary file before names are added."""


@dataclass(frozen=True, slots=True)
class NameEntry:
    """A name as a person sees it. ``source`` is empty, and ``left_out`` says why, where it is in neither V nor W."""

    name: str
    source: str
    category: str = ""
    other_words: tuple[str, ...] = ()
    left_out: str = ""


@dataclass(frozen=True, slots=True)
class Extension:
    """The result for each name: ``added`` to the file, ``present`` before, or ``refused`` with the reason."""

    added: tuple[str, ...]
    present: tuple[str, ...]
    refused: tuple[NameEntry, ...]


def list_names(settings: ModelSettings, names: Sequence[str] = (), explain: bool = False) -> list[NameEntry]:
    """The names of V, then those of W, each with its source.

    Args:
        settings: the vocabulary file; the model is loaded only to explain.
        names: only these; one that is in neither is listed as such.
        explain: also what was left out, and why; a name that nobody gave is explained as if a tagger had given it.
            Nearness in text is one of the reasons, so this loads the model and embeds the dictionary.

    Raises:
        UserError: a vocabulary file or model that cannot be loaded.
    """
    given = Vocabulary.load(settings.vocabulary)
    vocabulary = given
    if explain:
        vocabulary = Clipomaly.load(
            settings.model,
            weights=settings.weights,
            vocabulary=given.extend(names, NameSource.TAGGER),
            device=settings.device,
            options=method_options(settings),
        ).vocabulary
    entries = [NameEntry(k.name, NameSource.KNOWN, "", k.synonyms) for k in vocabulary.known]
    entries += [NameEntry(c.name, c.source, c.category, c.synonyms) for c in vocabulary.candidates]
    if explain:
        entries += [NameEntry(left.name, "", "", (), left.reason) for left in vocabulary.left_out]
    if not names:
        return entries
    by_word = {lemma(word): entry for entry in reversed(entries) for word in (entry.name, *entry.other_words)}
    return [_entry_of(name, by_word.get(lemma(name)), given) for name in names]


def _entry_of(name: str, entry: NameEntry | None, given: Vocabulary) -> NameEntry:
    if entry is None:
        return NameEntry(name, "", left_out="nobody gave this name")
    if entry.source == NameSource.TAGGER and entry.name not in given.names:
        return NameEntry(name, "", left_out="nobody gave this name; nothing is against it")
    return entry


def extend_file(url: str, names: Iterable[str], source: NameSource = NameSource.USER) -> Extension:
    """Add names to a vocabulary file, which is made where there is none; its comments stay.

    Args:
        url: the file, local or any fsspec URL. A new one extends the built-in dictionary.
        names: new names of W.
        source: ``USER`` or ``PROMOTED``; also the category under which they stand in the file.

    Raises:
        UsageError: an empty name, or a file that is no vocabulary. Nothing is written then.
        UserError: a file that cannot be read or written.
    """
    place = locate(url)
    text = read_file(place).decode("utf-8", errors="replace") if exists(place) else _NEW
    before = Vocabulary.parse(text, url)
    wanted = list(names)
    after = before.extend(wanted, source)
    added = tuple(candidate.name for candidate in after.candidates[len(before.candidates) :])
    reasons = {lemma(left.name): left.reason for left in after.left_out}
    fresh = {lemma(name) for name in added}
    rest = [name for name in wanted if lemma(name) not in fresh]
    if added:
        extended = _with_names(text, added, source)
        Vocabulary.parse(extended, url)  # what is written can be read again
        replace_file(place, extended.encode("utf-8"))
    return Extension(
        added,
        tuple(name for name in rest if lemma(name) not in reasons),
        tuple(NameEntry(name, "", left_out=reasons[lemma(name)]) for name in rest if lemma(name) in reasons),
    )


def _with_names(text: str, names: Sequence[str], source: NameSource) -> str:
    editor = YAML()  # keeps comments, order and quotes
    editor.preserve_quotes = True
    editor.width = 120
    editor.indent(mapping=2, sequence=4, offset=2)
    content = editor.load(text)
    if "dictionary" not in content:
        # A file without a dictionary uses the built-in one, and must still do so afterwards.
        content["extends"] = "builtin"
    if not content.get("dictionary"):
        content["dictionary"] = {}
    content["dictionary"].setdefault(source.value, []).extend(names)
    written = io.StringIO()
    editor.dump(content, written)
    return written.getvalue()
