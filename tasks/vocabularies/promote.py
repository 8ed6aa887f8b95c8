"""From decisions to the next version of a vocabulary: what would change, and why, before anything does.

- A name that people gave or accepted often enough becomes a name of W.
- A name that always turned out to be one and the same known class becomes another word for that class.
- What people rejected often enough, as no object or as known under changing names, is suppressed by how it looks:
  regions near the middle of such a group are no anomalies in the next scan, unless an accepted object looks the same.
  For what gets the name again under which it was rejected, it reaches further. Duplicates share the verdict of the item
  that stands for them: mining merges look-alikes, and a kind that all looks the same would never be rejected often.
- Objects whose name was given or accepted often enough become exemplars of it: what looks like them gets the name,
  whatever its text says, and is not suppressed.
"""

import difflib
import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from clipomaly_core.exemplar_file import exemplar_bytes, exemplar_file_name, read_beside
from clipomaly_core.names import Exemplars, NameSource, lemma
from clipomaly_core.types import UNKNOWN_NAME
from clipomaly_core.vocabulary import Vocabulary
from schemas.review import QueuedItem, Verdict
from tasks.errors import UserError
from tasks.storage import create_file, exists, locate, read_file, replace_file
from tasks.vocabularies.account import Account, Outcome, of_names, part_of
from tasks.vocabularies.change import Change, ChangeKind, apply_changes, times
from tasks.vocabularies.exemplars import propose_exemplars
from tasks.vocabularies.sightings import Sightings
from tasks.vocabularies.suppressions import propose_suppressions
from tasks.vocabularies.verdicts import Judged, Space, read_verdicts

_NEW = "extends: builtin\ndictionary: {}\n"
_LEFT_OUT = "it is left out, as asked"
_SHOWN = 24  # characters of an embedding that a diff shows
_EMBEDDING = re.compile(rf"(embedding: [A-Za-z0-9+/]{{{_SHOWN}}})[A-Za-z0-9+/=]+")


@dataclass(frozen=True, slots=True)
class Promotion:
    """What the decisions ask for, and in ``notes`` what was seen often enough and left alone, with the reason.

    ``before`` and ``after`` are the texts of the vocabulary file, ``exemplars`` what the next version has of these,
    ``outcomes`` what becomes of every decision.
    """

    changes: tuple[Change, ...]
    notes: tuple[str, ...]
    before: str
    after: str
    exemplars: tuple[Exemplars, ...] = ()
    outcomes: tuple[Outcome, ...] = ()

    def diff(self, old: str, new: str) -> str:
        """The change as a unified diff between files called ``old`` and ``new``; embeddings are cut short."""
        before, after = (_EMBEDDING.sub(r"\1…", text).splitlines() for text in (self.before, self.after))
        return "\n".join(difflib.unified_diff(before, after, old, new, n=1, lineterm=""))


def propose(
    items: Iterable[QueuedItem],
    vocabulary_url: str | None,
    spaces: Mapping[str, Space],
    least: int,
    leave_out: Collection[str] = (),
    sightings: Sightings | None = None,
) -> Promotion:
    """Work out the next version of a vocabulary; nothing is written.

    Args:
        items: judged items of the queue, and duplicates, which are what the item is that they point to.
        vocabulary_url: the file that the next version grows from; the built-in vocabulary when None.
        spaces: by scan_id; what is of no such scan is not suppressed.
        least: decisions that a change needs.
        leave_out: names, or reasons of suppressions, that are not to change.
        sightings: embeddings of the judged objects; of those that it lacks the one of the item is taken.

    Raises:
        UserError: a vocabulary file that cannot be read; UsageError, with its line, for one with an error.
    """
    text, beside = _NEW, None
    if vocabulary_url is not None:
        text = read_file(locate(vocabulary_url)).decode("utf-8", errors="replace")
        beside = read_beside(vocabulary_url)
    vocabulary = Vocabulary.parse(text, vocabulary_url or "the built-in vocabulary", beside)
    decided, duplicates = read_verdicts(items, spaces, sightings or {})
    judged = [decision for decision in decided if decision.verdict is not Verdict.UNSURE]
    account = Account()
    kept_back = {lemma(name) for name in leave_out}
    account.leave(part_of(of_names(judged, kept_back)), _LEFT_OUT)
    names = [change for change in _names(judged, vocabulary, least, account) if lemma(change.subject) not in kept_back]
    words = [change for change in _words(judged, vocabulary, least, account) if lemma(change.subject) not in kept_back]
    covered = {lemma(change.subject) for change in words}
    looks = []
    for change in propose_suppressions((*duplicates, *judged), vocabulary, covered, least, account):
        if change.subject in leave_out:
            account.leave(change.items, _LEFT_OUT)
        else:
            looks.append(change)
    called = {lemma(change.subject): change.subject for change in names}
    called |= {
        lemma(word): candidate.name
        for candidate in vocabulary.candidates
        for word in (candidate.name, *candidate.synonyms)
    }
    pictures = propose_exemplars(
        (*duplicates, *judged),
        {key: name for key, name in called.items() if key not in kept_back},
        vocabulary.exemplars,
        least,
        account,
    )
    changes = (*names, *words, *looks, *pictures)
    fresh = {change.exemplars.tensors: change.exemplars for change in pictures if change.exemplars}
    exemplars = tuple(({exemplar.tensors: exemplar for exemplar in vocabulary.exemplars} | fresh).values())
    file = exemplar_file_name(exemplars) if exemplars else None
    after = apply_changes(text, changes, file) if changes else text
    Vocabulary.parse(after, "the next version")  # what is shown can be read again
    outcomes = account.outcomes(decided, changes, least)
    return Promotion(changes, tuple(account.notes), text, after, exemplars, outcomes)


def write_promotion(promotion: Promotion, out_url: str) -> None:
    """Write the next version as a new file, and its exemplars as another beside it.

    Raises UserError when there is one, or it cannot be written.
    """
    place = locate(out_url)
    if exists(place):
        raise UserError(f"{place.url} is there already. Name a new file: an older version is never changed.")
    if promotion.exemplars:
        name = exemplar_file_name(promotion.exemplars)
        beside = locate(f"{place.url.rpartition('/')[0]}/{name}")
        create_file(beside, exemplar_bytes(promotion.exemplars))
    replace_file(place, promotion.after.encode("utf-8"))


def _names(judged: Sequence[Judged], vocabulary: Vocabulary, least: int, account: Account) -> list[Change]:
    spellings: dict[str, Counter[str]] = defaultdict(Counter)
    how: dict[str, Counter[Verdict]] = defaultdict(Counter)
    for decision in judged:
        if (
            decision.name
            and decision.name != UNKNOWN_NAME
            and (decision.verdict.is_real or decision.verdict is Verdict.KNOWN)
        ):
            spellings[lemma(decision.name)][decision.name] += 1
            how[lemma(decision.name)][decision.verdict] += 1
    there = {lemma(word) for candidate in vocabulary.candidates for word in (candidate.name, *candidate.synonyms)}
    changes = []
    for key in sorted(how):
        name = min(spellings[key], key=lambda spelling: (-spellings[key][spelling], spelling))
        given, accepted, known = (how[key][verdict] for verdict in (Verdict.RELABEL, Verdict.ACCEPT, Verdict.KNOWN))
        told = f"given {times(given)}, accepted {times(accepted)}"
        if given + accepted < least:
            continue
        own = of_names(judged, {key})
        if known:
            note = f"{name}: {told}, and called a known class {times(known)}. Decide it in the review."
            account.leave(part_of(own), "others called it a known class: decide it in the review", note)
        elif key in there:
            account.notes.append(f"{name}: {told}; it is a name of the vocabulary already.")
        else:
            extended = vocabulary.extend([name], NameSource.PROMOTED)
            if len(extended.candidates) > len(vocabulary.candidates):
                changes.append(Change(ChangeKind.NAME, name, told, items=part_of(own)))
            else:
                reasons = {lemma(left.name): left.reason for left in extended.left_out}
                why = f"it cannot be a name of an unknown: it {reasons[key]}"
                account.leave(part_of(own), why, f"{name}: {told}; {why}.")
    return changes


def _words(judged: Sequence[Judged], vocabulary: Vocabulary, least: int, account: Account) -> list[Change]:
    """Suggested names that people always judged to be the same known class."""
    classes = {lemma(word): known.name for known in vocabulary.known for word in (known.name, *known.synonyms)}
    verdicts: dict[str, Counter[tuple[Verdict, str | None]]] = defaultdict(Counter)
    shown: dict[str, str] = {}
    for decision in judged:
        key = lemma(decision.suggested)
        shown.setdefault(key, decision.suggested)
        decided = classes.get(lemma(decision.name)) if decision.verdict is Verdict.KNOWN and decision.name else None
        verdicts[key][decision.verdict, decided] += 1
        # Somebody gave or accepted this name, so it has a meaning of its own.
        if decision.verdict is not Verdict.KNOWN and decision.name:
            verdicts[lemma(decision.name)][decision.verdict, None] += 1
    changes = []
    for key in sorted(verdicts):
        for (verdict, known), count in sorted(verdicts[key].items(), key=lambda item: (item[0][0], item[0][1] or "")):
            if verdict is not Verdict.KNOWN or known is None or count < least or key == lemma(UNKNOWN_NAME):
                continue
            others = verdicts[key].total() - count
            if others:
                account.notes.append(
                    f"{shown[key]}: judged {known} {times(count)}, otherwise {times(others)}: no word for it."
                )
            elif key not in classes:
                reason = f"suggested and judged to be {known} {times(count)}, never anything else"
                own = [
                    decision
                    for decision in judged
                    if decision.verdict is Verdict.KNOWN and lemma(decision.suggested) == key
                ]
                changes.append(Change(ChangeKind.WORD, shown[key], reason, known=known, items=part_of(own)))
    return changes
