"""A change of a vocabulary, and the text of the file with it."""

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.util import load_yaml_guess_indent

from clipomaly_core.names import Exemplars, NameSource, Suppression


class ChangeKind(StrEnum):
    """What a change does to a vocabulary."""

    NAME = "name"
    WORD = "another word"
    SUPPRESSION = "suppression"
    EXEMPLARS = "exemplars of"


@dataclass(frozen=True, slots=True)
class Change:
    """One proposed change.

    ``subject`` is a name, ``known`` the class that it is another word for, ``items`` the ids of what it rests on.
    """

    kind: ChangeKind
    subject: str
    reason: str
    known: str | None = None
    suppression: Suppression | None = None
    exemplars: Exemplars | None = None
    items: frozenset[str] = frozenset()


def times(count: int) -> str:
    """How often, in words: a reason is a sentence."""
    return {0: "never", 1: "once", 2: "twice"}.get(count, f"{count} times")


def apply_changes(text: str, changes: Sequence[Change], exemplar_file: str | None = None) -> str:
    """The text of a vocabulary file with the changes, each with its reason as a comment; other comments stay.

    ``exemplar_file`` is the name of the file beside it with the exemplars, where it has any.
    """
    editor = YAML()
    editor.preserve_quotes = True
    editor.width = 4096  # an embedding is one line
    # In the form of the file, so that a diff shows only what changed.
    offset = load_yaml_guess_indent(text)[2]
    offset = 2 if offset is None else offset
    editor.indent(mapping=2, sequence=offset + 2, offset=offset)
    content = editor.load(text)
    if "dictionary" not in content:
        # A file without a dictionary uses the built-in one, and must still do so afterwards.
        content["extends"] = "builtin"
        content["dictionary"] = CommentedMap()
    if exemplar_file is not None:
        content["exemplar_file"] = exemplar_file
    for change in changes:
        match change.kind:
            case ChangeKind.NAME:
                _append(_child(content["dictionary"], NameSource.PROMOTED.value), change.subject, change.reason)
            case ChangeKind.WORD:
                assert change.known is not None
                words = _child(_mapping(content, "also_known"), change.known)
                _append(words, change.subject, change.reason)
            case ChangeKind.SUPPRESSION:
                assert change.suppression is not None
                one = change.suppression
                written = CommentedMap(reason=one.reason, model=one.model, cosine=one.cosine)
                if one.name is not None:
                    written["name"] = one.name
                written["embedding"] = base64.b64encode(one.embedding).decode()
                _child(content, "suppressed").append(written)
            case ChangeKind.EXEMPLARS:
                assert change.exemplars is not None
                _put(_child(content, "exemplars"), change.exemplars)
    out = io.StringIO()
    editor.dump(content, out)
    return out.getvalue()


def _put(entries: CommentedSeq, exemplars: Exemplars) -> None:
    """In place of what the name had of this model, or at the end."""
    written = CommentedMap(reason=exemplars.reason)
    if exemplars.name is not None:
        written["name"] = exemplars.name
    written |= {"model": exemplars.model, "tensors": exemplars.tensors, "sha256": exemplars.sha256}
    if exemplars.instead_of:
        written["instead_of"] = CommentedSeq(exemplars.instead_of)
        written["instead_of"].fa.set_flow_style()
    keys = [entry["tensors"] for entry in entries]
    if exemplars.tensors in keys:
        entries[keys.index(exemplars.tensors)] = written
    else:
        entries.append(written)


def _mapping(parent: CommentedMap, key: str) -> CommentedMap:
    if not parent.get(key):
        parent[key] = CommentedMap()
    return parent[key]


def _child(parent: CommentedMap, key: str) -> CommentedSeq:
    if not isinstance(parent.get(key), CommentedSeq):
        parent[key] = CommentedSeq()
    parent[key].fa.set_block_style()
    return parent[key]


def _append(words: CommentedSeq, word: str, reason: str) -> None:
    words.append(word)
    words.yaml_add_eol_comment(reason, len(words) - 1)
