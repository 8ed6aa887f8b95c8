"""A vocabulary file, read and checked.

It is YAML; every part may be missing and is then the built-in one:

    known:                          # replaces the known classes
      - bollard                     # a class, or one with more words for it:
      - name: car
        synonyms: [automobile]      # other words for the class itself
        kinds: [taxi, hatchback]    # hyponyms: they count as the class
    never_known: [toy car]          # names that only look like a kind of a class
    extends: builtin                # add the dictionary below to the built-in one instead of replacing it
    dictionary:                     # candidate names by category; [name, synonym, …] where there are synonyms
      cargo: [mattress, [tire, tyre]]
      user: [parade float]          # "user" and "promoted" are kept even where they are a kind of a class
    also_known:                     # more words for known classes, without listing all of them
      car: [velomobile]
    suppressed:                     # regions that look like this are no anomalies: ``vocabulary promote`` writes them
      - reason: judged not to be an object 7 times
        model: 5f0c…                # sha256 of the weights, in whose space the embedding is
        cosine: 0.93                # regions at least so near are suppressed
        name: puddle                # only those whose best name is this one; may be missing
        embedding: AAC4Ow…          # base64 of little-endian float16
    exemplar_file: words.safetensors  # beside this file: the embeddings of the exemplars
    exemplars:                      # judged regions that show what a name means: ``vocabulary promote`` writes them
      - reason: given 3 times
        name: cow                   # without a name: no anomalies, or, with a weight of 0, limits
        model: 5f0c…
        tensors: cow-5f0c4a2e       # their key in the exemplar file
        sha256: 9d81…               # of their content there
        instead_of: [boulder]       # names that people replaced by this one; may be missing
"""

import base64
import binascii
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import NoReturn

import fsspec
import yaml

from clipomaly_core.errors import UsageError
from clipomaly_core.exemplar_file import Beside, read_beside, with_content
from clipomaly_core.names import ASKED, Candidate, Exemplars, KnownClass, NameSource, Suppression, lemma


@dataclass(frozen=True, slots=True)
class MoreWords:
    """Words that a file adds to a known class; ``where`` is its place in the file, for errors."""

    known: str
    words: tuple[str, ...]
    where: str


@dataclass(frozen=True, slots=True)
class VocabularyFile:
    """What a vocabulary file gives; ``None`` for a part that it does not have."""

    known: tuple[KnownClass, ...] | None = None
    candidates: tuple[Candidate, ...] | None = None
    never_known: frozenset[str] = frozenset()
    extends: bool = False
    also_known: tuple[MoreWords, ...] = ()
    suppressed: tuple[Suppression, ...] = ()
    exemplars: tuple[Exemplars, ...] = ()


# libyaml's loader is ten times as fast. It knows no limit of depth, so it is for our own files alone.
_FAST: type[yaml.SafeLoader] | type[yaml.CSafeLoader] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@lru_cache
def read_builtin(name: str) -> VocabularyFile:
    """A file of the package's data, such as cityscapes.yaml."""
    return parse_file((files("clipomaly_core") / "data" / name).read_text("utf-8"), name, loader=_FAST)


def read_file(url: str) -> VocabularyFile:
    """A vocabulary file of any fsspec URL.

    Raises:
        UsageError: it cannot be read, or as ``parse_file``.
    """
    try:
        with fsspec.open(url, "rt", encoding="utf-8") as file:
            text = str(file.read())
    except FileNotFoundError:
        raise UsageError(f"{url}: there is no such vocabulary file.") from None
    except (OSError, ValueError, ImportError) as error:
        raise UsageError(f"{url}: cannot read the vocabulary file ({_one_line(error)}).") from error
    return parse_file(text, url, read_beside(url))


def parse_file(
    text: str,
    where: str,
    beside: Beside | None = None,
    loader: type[yaml.SafeLoader] | type[yaml.CSafeLoader] = yaml.SafeLoader,
) -> VocabularyFile:
    """What a file's text gives; ``where`` names the file in errors.

    ``beside`` reads a file beside it; without it exemplars are listed and not read. ``loader`` reads YAML.

    Raises:
        UsageError: a duplicate, an empty name, a wrong type or an unknown key; the message has file and line.
    """
    # Nodes instead of plain values: they know their lines, and show keys that stand twice.
    try:
        root = yaml.compose(text, Loader=loader)
    except yaml.MarkedYAMLError as error:
        line = f", line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise UsageError(f"{where}{line}: not valid YAML ({_one_line(error.problem)}).") from error
    except yaml.YAMLError as error:
        raise UsageError(f"{where}: not valid YAML ({_one_line(error)}).") from error
    except RecursionError as error:
        raise UsageError(f"{where}: lists within lists without end; give a file as `vocabulary show` tells.") from error
    if root is None:
        raise UsageError(f"{where}: the file is empty; give 'known' or 'dictionary'.")
    return _Nodes(where, beside).file(root)


class _Nodes:
    """Reads a YAML tree into a VocabularyFile and complains with file and line."""

    def __init__(self, where: str, beside: Beside | None) -> None:
        self._where = where
        self._beside = beside

    def file(self, root: yaml.Node) -> VocabularyFile:
        parts = self._mapping(
            root,
            (
                "known",
                "never_known",
                "extends",
                "dictionary",
                "also_known",
                "suppressed",
                "exemplar_file",
                "exemplars",
            ),
        )
        if "known" not in parts and "dictionary" not in parts:
            self._fail(root, "neither 'known' nor 'dictionary' is given; a vocabulary needs one of them")
        extends = "extends" in parts
        if extends and self._text(parts["extends"]) != "builtin":
            self._fail(parts["extends"], "'extends' can only be 'builtin'")
        return VocabularyFile(
            known=self._known(parts["known"]) if "known" in parts else None,
            candidates=self._dictionary(parts["dictionary"]) if "dictionary" in parts else None,
            never_known=frozenset(self._names(parts["never_known"], {}) if "never_known" in parts else ()),
            extends=extends,
            also_known=self._also_known(parts["also_known"]) if "also_known" in parts else (),
            suppressed=self._suppressed(parts["suppressed"]) if "suppressed" in parts else (),
            exemplars=self._exemplars(root, parts) if "exemplars" in parts else (),
        )

    def _also_known(self, node: yaml.Node) -> tuple[MoreWords, ...]:
        seen: dict[str, int] = {}
        return tuple(
            MoreWords(name, self._names(words, seen), f"{self._where}, line {words.start_mark.line + 1}")
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

    def _exemplars(self, root: yaml.Node, parts: dict[str, yaml.Node]) -> tuple[Exemplars, ...]:
        found = tuple(self._exemplar(entry) for entry in self._sequence(parts["exemplars"]))
        if not found or self._beside is None:
            return found
        if "exemplar_file" not in parts:
            self._fail(root, "exemplars without 'exemplar_file', which holds their embeddings")
        name = self._text(parts["exemplar_file"])
        if "/" in name or "\\" in name or ":" in name:
            self._fail(parts["exemplar_file"], "'exemplar_file' is the name of a file beside this one")
        return with_content(found, self._beside(name), name, self._where)

    def _exemplar(self, node: yaml.Node) -> Exemplars:
        keys = ("reason", "model", "tensors", "sha256")
        parts = self._mapping(node, (*keys, "name", "instead_of"))
        for key in keys:
            if key not in parts:
                self._fail(node, f"exemplars without {key!r}")
        replaced = self._sequence(parts["instead_of"]) if "instead_of" in parts else ()
        name = self._name(parts["name"], {}) if "name" in parts else None
        reason, model, tensors, digest = (self._text(parts[key]) for key in keys)
        return Exemplars(
            reason, model, tensors, digest, name, instead_of=tuple(self._name(one, {}) for one in replaced)
        )

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


def _one_line(problem: object) -> str:
    return " ".join(str(problem).split())
