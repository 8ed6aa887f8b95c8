"""From decisions to the next version of a vocabulary: what would change, and why, before anything does.

- A name that people gave or accepted often enough becomes a name of W.
- A name that always turned out to be one and the same known class becomes another word for that class.
- What people rejected often enough, as no object or as known under changing names, is suppressed by how it looks:
  regions near the middle of such a group are no anomalies in the next scan, unless an accepted object looks the same.
  For what gets the name again under which it was rejected, it reaches further. Duplicates share the verdict of the item
  that stands for them: mining merges look-alikes, and a kind that all looks the same would never be rejected often.
"""

import base64
import difflib
import io
import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np
import numpy.typing as npt
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.util import load_yaml_guess_indent

from clipomaly_core.types import UNKNOWN_NAME
from clipomaly_core.vocabulary import NameSource, Suppression, Vocabulary, lemma
from schemas.review import QueuedItem, ReviewItem, Verdict
from tasks.commits import read_scan_records
from tasks.embeddings import sample_vectors
from tasks.errors import UserError
from tasks.neighbours import Distances, learn_distances
from tasks.storage import exists, locate, read_file, replace_file

_NEW = "extends: builtin\ndictionary: {}\n"
_ALIKE = 0.35  # distance (see tasks/neighbours.py) up to which rejected things are of one kind, as in mining
_LOST = 0.01  # share of accepted objects that may be lost to a suppression: of many, one looks like anything
_BEYOND = 0.01  # cosine by which it stays away from the others
_NAMED_ALIKE = 1.5  # times further apart they may be under one name
_MOST_REJECTED = 5000  # the latest so many are grouped: their likeness is compared pair by pair
_SHOWN = 24  # letters of an embedding in a diff
_EMBEDDING = re.compile(rf"(embedding: [A-Za-z0-9+/]{{{_SHOWN}}})[A-Za-z0-9+/=]+")


class ChangeKind(StrEnum):
    """What a change does to a vocabulary."""

    NAME = "name"
    WORD = "another word"
    SUPPRESSION = "suppression"


@dataclass(frozen=True, slots=True)
class Change:
    """One proposed change: ``subject`` is a name, ``known`` the class that it is another word for."""

    kind: ChangeKind
    subject: str
    reason: str
    known: str | None = None
    suppression: Suppression | None = None


@dataclass(frozen=True, slots=True)
class Promotion:
    """What the decisions ask for, and in ``notes`` what was seen often enough and left alone, with the reason.

    ``before`` and ``after`` are the texts of the vocabulary file.
    """

    changes: tuple[Change, ...]
    notes: tuple[str, ...]
    before: str
    after: str

    def diff(self, old: str, new: str) -> str:
        """The change as a unified diff between files called ``old`` and ``new``; embeddings are cut short."""
        before, after = (_EMBEDDING.sub(r"\1…", text).splitlines() for text in (self.before, self.after))
        return "\n".join(difflib.unified_diff(before, after, old, new, n=1, lineterm=""))


@dataclass(frozen=True, slots=True)
class Space:
    """Where a scan's embeddings lie: the SHA-256 of the weights that made them, and what is far apart among them."""

    model: str
    distances: Distances


def read_spaces(tables_url: str) -> dict[str, Space]:
    """The space of each scan of the tables, by scan_id; the scans of one model share the newest one's distances."""
    distances: dict[str, Distances] = {}
    spaces = {}
    for scan in reversed(read_scan_records(tables_url)):
        if scan.weights_sha256 not in distances:
            distances[scan.weights_sha256] = learn_distances(sample_vectors(tables_url, scan))
        spaces[scan.scan_id] = Space(scan.weights_sha256, distances[scan.weights_sha256])
    return spaces


@dataclass(frozen=True, slots=True)
class _Judged:
    """What promotion needs of a judged item. ``best`` is what it would have been called, had its name been clear;
    ``duplicate`` says that the verdict is that of the item which stands for it."""

    verdict: Verdict
    name: str | None
    suggested: str
    best: str
    space: Space | None
    embedding: bytes | None
    duplicate: bool = False


def propose(
    items: Iterable[QueuedItem],
    vocabulary_url: str | None,
    spaces: Mapping[str, Space],
    least: int,
    leave_out: Collection[str] = (),
) -> Promotion:
    """Work out the next version of a vocabulary; nothing is written.

    Args:
        items: judged items of the queue, and duplicates, which are what the item is that they point to.
        vocabulary_url: the file that the next version grows from; the built-in vocabulary when None.
        spaces: by scan_id; what is of no such scan is not suppressed.
        least: decisions that a change needs.
        leave_out: names, or reasons of suppressions, that are not to change.

    Raises:
        UserError: a vocabulary file that cannot be read; UsageError, with its line, for one with an error.
    """
    text = _NEW
    if vocabulary_url is not None:
        text = read_file(locate(vocabulary_url)).decode("utf-8", errors="replace")
    vocabulary = Vocabulary.parse(text, vocabulary_url or "the built-in vocabulary")
    judged, duplicates = _read(items, spaces)
    notes: list[str] = []
    kept_back = {lemma(name) for name in leave_out}
    names = [one for one in _names(judged, vocabulary, least, notes) if lemma(one.subject) not in kept_back]
    words = [one for one in _words(judged, vocabulary, least, notes) if lemma(one.subject) not in kept_back]
    covered = {lemma(one.subject) for one in words}
    looks = [
        one
        for one in _suppressions((*duplicates, *judged), vocabulary, covered, least, notes)
        if one.subject not in leave_out
    ]
    changes = (*names, *words, *looks)
    after = _applied(text, changes) if changes else text
    Vocabulary.parse(after, "the next version")  # what is shown can be read again
    return Promotion(changes, tuple(notes), text, after)


def write_promotion(promotion: Promotion, out_url: str) -> None:
    """Write the next version as a new file. Raises UserError when there is one, or it cannot be written."""
    place = locate(out_url)
    if exists(place):
        raise UserError(f"{place.url} is there already. Name a new file: an older version is never changed.")
    replace_file(place, promotion.after.encode("utf-8"))


def _read(items: Iterable[QueuedItem], spaces: Mapping[str, Space]) -> tuple[list[_Judged], list[_Judged]]:
    """What was judged, and the duplicates of that."""
    verdicts: dict[str, tuple[Verdict, str | None]] = {}
    points: dict[str, str] = {}
    judged: list[_Judged] = []
    waiting: list[tuple[str, ReviewItem]] = []
    for one in items:
        item, status = one.item, one.status
        if status.duplicate_of is not None:
            points[item.item_id] = status.duplicate_of
            waiting.append((item.item_id, replace(item, mask_rle=b"", track=())))
        elif status.verdict is not None and status.verdict is not Verdict.UNSURE:
            verdicts[item.item_id] = status.verdict, status.name
            judged.append(_judged(item, status.verdict, status.name, spaces))
    duplicates = []
    for item_id, item in waiting:
        while item_id in points:
            item_id = points[item_id]
        if item_id in verdicts:
            duplicates.append(replace(_judged(item, *verdicts[item_id], spaces), duplicate=True))
    return judged, duplicates


def _judged(item: ReviewItem, verdict: Verdict, name: str | None, spaces: Mapping[str, Space]) -> _Judged:
    return _Judged(verdict, name, item.name, _best(item), spaces.get(item.scan_id), item.embedding)


# ----------------------------------------------------------------------------------------------- names


def _names(judged: Sequence[_Judged], vocabulary: Vocabulary, least: int, notes: list[str]) -> list[Change]:
    spellings: dict[str, Counter[str]] = defaultdict(Counter)
    how: dict[str, Counter[Verdict]] = defaultdict(Counter)
    for one in judged:
        if one.name and one.name != UNKNOWN_NAME and one.verdict in (Verdict.ACCEPT, Verdict.RELABEL, Verdict.KNOWN):
            spellings[lemma(one.name)][one.name] += 1
            how[lemma(one.name)][one.verdict] += 1
    there = {lemma(word) for candidate in vocabulary.candidates for word in (candidate.name, *candidate.synonyms)}
    changes = []
    for key in sorted(how):
        name = min(spellings[key], key=lambda spelling: (-spellings[key][spelling], spelling))
        given, accepted, known = (how[key][verdict] for verdict in (Verdict.RELABEL, Verdict.ACCEPT, Verdict.KNOWN))
        told = f"given {_times(given)}, accepted {_times(accepted)}"
        if given + accepted < least:
            continue
        if known:
            notes.append(f"{name}: {told}, and called a known class {_times(known)}. Settle it in the review.")
        elif key in there:
            notes.append(f"{name}: {told}; it is a name of the vocabulary already.")
        else:
            extended = vocabulary.extend([name], NameSource.PROMOTED)
            if len(extended.candidates) > len(vocabulary.candidates):
                changes.append(Change(ChangeKind.NAME, name, told))
            else:
                reasons = {lemma(left.name): left.reason for left in extended.left_out}
                notes.append(f"{name}: {told}; it cannot be a name of an unknown: it {reasons[key]}.")
    return changes


def _words(judged: Sequence[_Judged], vocabulary: Vocabulary, least: int, notes: list[str]) -> list[Change]:
    """Suggested names that were always the same known class."""
    classes = {lemma(word): known.name for known in vocabulary.known for word in (known.name, *known.synonyms)}
    verdicts: dict[str, Counter[tuple[Verdict, str | None]]] = defaultdict(Counter)
    shown: dict[str, str] = {}
    for one in judged:
        key = lemma(one.suggested)
        shown.setdefault(key, one.suggested)
        decided = classes.get(lemma(one.name)) if one.verdict is Verdict.KNOWN and one.name else None
        verdicts[key][one.verdict, decided] += 1
        # Somebody gave or accepted this very name: whatever it was suggested for, it means something of its own.
        if one.verdict is not Verdict.KNOWN and one.name:
            verdicts[lemma(one.name)][one.verdict, None] += 1
    changes = []
    for key in sorted(verdicts):
        for (verdict, known), count in sorted(verdicts[key].items(), key=lambda item: (item[0][0], item[0][1] or "")):
            if verdict is not Verdict.KNOWN or known is None or count < least or key == lemma(UNKNOWN_NAME):
                continue
            others = verdicts[key].total() - count
            if others:
                notes.append(
                    f"{shown[key]}: judged {known} {_times(count)}, otherwise {_times(others)}: no word for it."
                )
            elif key not in classes:
                reason = f"suggested and judged to be {known} {_times(count)}, never anything else"
                changes.append(Change(ChangeKind.WORD, shown[key], reason, known=known))
    return changes


# -------------------------------------------------------------------------------------------- suppressions


def _best(item: ReviewItem) -> str:
    return item.names[0].name if item.name == UNKNOWN_NAME and item.names else item.name


def _suppressions(
    judged: Sequence[_Judged], vocabulary: Vocabulary, covered: Collection[str], least: int, notes: list[str]
) -> list[Change]:
    """Groups of rejected look-alikes, each with how near a region must be to its middle."""
    changes: list[Change] = []
    spaces = {one.space.model: one.space for one in judged if one.space}
    for model, space in sorted(spaces.items()):
        of_model = [one for one in judged if one.space and one.space.model == model and one.embedding]
        accepted = [one for one in of_model if one.verdict in (Verdict.ACCEPT, Verdict.RELABEL)]
        rejected = [
            one
            for one in of_model
            if one.verdict is Verdict.NOT_AN_OBJECT
            or (one.verdict is Verdict.KNOWN and lemma(one.suggested) not in covered)
        ][-_MOST_REJECTED:]
        there = [one for one in vocabulary.suppressed if one.model == model]
        before = len(rejected)
        rejected = [one for one in rejected if not any(_covers(suppressed, one) for suppressed in there)]
        if before - len(rejected) >= least:
            notes.append(f"{before - len(rejected)} rejected items are suppressed by the vocabulary already.")
        by_name: dict[str, list[_Judged]] = defaultdict(list)
        for one in rejected:
            by_name[lemma(one.best)].append(one)
        by_name.pop(lemma(UNKNOWN_NAME), None)
        for name, called in sorted(by_name.items()):
            rivals = [one for one in accepted if lemma(one.best) == name]
            changes += _regions(called, rivals, space, _NAMED_ALIKE * _ALIKE, called[0].best, least, notes)
        # And of all of them, by their looks alone: the next pumpkin may be called a squash.
        changes += _regions(rejected, accepted, space, _ALIKE, None, least, notes)
    unplaced = sum(
        one.verdict is Verdict.NOT_AN_OBJECT and not one.duplicate and not (one.space and one.embedding)
        for one in judged
    )
    if unplaced >= least:
        notes.append(f"{unplaced} rejected items have no embedding of a scan in the tables: they suppress nothing.")
    return changes


def _covers(suppressed: Suppression, one: _Judged) -> bool:
    if suppressed.name is not None and lemma(suppressed.name) != lemma(one.best):
        return False
    return bool(_unit(suppressed.embedding) @ _unit(one.embedding or b"") >= suppressed.cosine)


def _regions(
    rejected: Sequence[_Judged],
    rivals: Sequence[_Judged],
    space: Space,
    alike: float,
    name: str | None,
    least: int,
    notes: list[str],
) -> list[Change]:
    groups = _groups(rejected, least, space.distances.cosine(alike))
    made = (_suppression(group, rivals, space, alike, name, notes) for group in groups)
    return [change for change in made if change is not None]


def _groups(rejected: Sequence[_Judged], least: int, alike: float) -> list[list[_Judged]]:
    """The largest group of look-alikes, then the largest of what is left, as long as they have ``least`` members. One
    verdict alone makes none, however many duplicates share it: it may be a slip."""
    left = list(rejected)
    groups = []
    while len(left) >= least:
        vectors = _vectors(left)
        near = vectors @ vectors.T >= alike
        centre = int(near.sum(axis=1).argmax())
        members = [one for one, is_near in zip(left, near[centre], strict=True) if is_near]
        if len(members) < least:
            break
        if sum(not one.duplicate for one in members) >= min(least, 2):
            groups.append(members)
        left = [one for one, is_near in zip(left, near[centre], strict=True) if not is_near]
    return groups


def _suppression(
    group: Sequence[_Judged],
    rivals: Sequence[_Judged],
    space: Space,
    alike: float,
    name: str | None,
    notes: list[str],
) -> Change | None:
    """Around the middle of the group, for what gets ``name`` again or for all; ``rivals`` must be found again."""
    vectors = _vectors(group)
    middle = vectors.mean(axis=0)
    middle /= max(float(np.linalg.norm(middle)), 1e-12)
    inside = vectors @ middle
    beside = np.sort(_vectors(rivals) @ middle) if rivals else np.array([-1.0])
    nearest = float(beside[-1 - int(_LOST * len(beside))])
    # Not as near as these were to each other: few that were judged do not show how far the next ones will be.
    cosine = max(space.distances.cosine(alike), nearest + _BEYOND)
    names = sorted(Counter(one.name or one.best for one in group).items(), key=lambda item: (-item[1], item[0]))
    called = ", ".join(f"{name} {count}" for name, count in names[:3])
    duplicates = sum(one.duplicate for one in group)
    shared = f" with {duplicates} duplicate{'s' if duplicates > 1 else ''}" if duplicates else ""
    told = f"rejected {_times(len(group) - duplicates)}{shared} ({called})" + (
        f", for what is called {name} again" if name else ""
    )
    if np.count_nonzero(inside >= cosine) * 5 < len(group) * 4:
        notes.append(f"{told}: not suppressed, because accepted objects look the same (cosine {nearest:.2f}).")
        return None
    cosine = round(cosine, 4)
    reason = f"{told}; nearest accepted object at cosine {nearest:.2f}" if rivals else told
    embedding = middle.astype("<f2").tobytes()
    suppression = Suppression(reason, space.model, cosine, embedding, name)
    return Change(ChangeKind.SUPPRESSION, called, reason, suppression=suppression)


def _vectors(items: Sequence[_Judged]) -> npt.NDArray[np.float32]:
    if not items:
        return np.zeros((0, 1), np.float32)
    return np.stack([_unit(one.embedding or b"") for one in items])


def _unit(embedding: bytes) -> npt.NDArray[np.float32]:
    vector = np.frombuffer(embedding, "<f2").astype(np.float32)
    return np.asarray(vector / max(float(np.linalg.norm(vector)), 1e-12), np.float32)


def _times(count: int) -> str:
    return {0: "never", 1: "once", 2: "twice"}.get(count, f"{count} times")


# ------------------------------------------------------------------------------------------------ file


def _applied(text: str, changes: Sequence[Change]) -> str:
    """The text of a vocabulary file with the changes, each with its reason as a comment; other comments stay."""
    editor = YAML()
    editor.preserve_quotes = True
    editor.width = 4096  # an embedding is one line
    # As the file has it: a diff is to show what changed and nothing else.
    offset = load_yaml_guess_indent(text)[2]
    offset = 2 if offset is None else offset
    editor.indent(mapping=2, sequence=offset + 2, offset=offset)
    content = editor.load(text)
    if "dictionary" not in content:
        # Without a dictionary of its own the file uses the built-in one, and must go on doing so.
        content["extends"] = "builtin"
        content["dictionary"] = CommentedMap()
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
    out = io.StringIO()
    editor.dump(content, out)
    return out.getvalue()


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
