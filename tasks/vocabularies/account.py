"""The effect of every decision: the change that it contributes to, or why nothing changes."""

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field

from clipomaly_core.lemma import lemma
from clipomaly_core.types import UNKNOWN_NAME
from schemas.review import Verdict
from tasks.vocabularies.change import Change
from tasks.vocabularies.verdicts import Judged


@dataclass(frozen=True, slots=True)
class Outcome:
    """``count`` equal decisions, and what they change, or why they change nothing."""

    decision: str
    count: int
    effect: str
    changes: bool


@dataclass(slots=True)
class Account:
    """Notes of what was decided often enough and left alone, and by item the reason why it changes nothing."""

    notes: list[str] = field(default_factory=list)
    _reasons: dict[str, str] = field(default_factory=dict)

    def leave(self, items: Iterable[str], reason: str, note: str | None = None) -> None:
        """Items, by id, that change nothing for this reason; ``note`` tells it of all of them together."""
        if note is not None:
            self.notes.append(note)
        for item_id in items:
            self._reasons.setdefault(item_id, reason)

    def outcomes(self, judged: Sequence[Judged], changes: Sequence[Change], least: int) -> tuple[Outcome, ...]:
        """The effect of each of these decisions, without duplicates; those that change something come first.

        Args:
            judged: the decisions.
            changes: those that are proposed.
            least: decisions that a change needs.
        """
        effects: dict[str, list[str]] = {}
        for change in changes:
            for item_id in sorted(change.items):
                effects.setdefault(item_id, []).append(_effect(change))
        names = Counter(lemma(one.name) for one in judged if one.name and one.verdict.is_real)
        counted: Counter[tuple[bool, str, str]] = Counter()
        for one in judged:
            if own := effects.get(one.item_id):
                counted[True, _decision(one), ", ".join(dict.fromkeys(own))] += 1
            else:
                counted[False, _decision(one), self._reasons.get(one.item_id) or _usual_reason(one, names, least)] += 1
        told = [Outcome(decision, n, effect, acts) for (acts, decision, effect), n in counted.items()]
        return tuple(sorted(told, key=lambda one: (not one.changes, -one.count, one.decision, one.effect)))


def part_of(items: Iterable[Judged]) -> frozenset[str]:
    """The ids of the items that a change rests on."""
    return frozenset(one.item_id for one in items)


def of_names(judged: Iterable[Judged], keys: Collection[str]) -> list[Judged]:
    """The decisions that gave or accepted one of these names, by lemma."""
    return [one for one in judged if one.verdict.is_real and one.name and lemma(one.name) in keys]


def _decision(one: Judged) -> str:
    called = "" if one.suggested in (UNKNOWN_NAME, one.name) else f" (it was called {one.suggested})"
    match one.verdict:
        case Verdict.ACCEPT:
            return f"accepted {one.name or UNKNOWN_NAME}"
        case Verdict.RELABEL:
            return f"named {one.name}{called}"
        case Verdict.KNOWN:
            return f"known{f' {one.name}' if one.name else ''}{called}"
        case Verdict.NOT_AN_OBJECT:
            return f"not an object{called}"
        case Verdict.UNSURE:
            return "unsure"


def _effect(change: Change) -> str:
    return f"{change.kind} {change.subject}" + (f" for {change.known}" if change.known else "")


def _usual_reason(one: Judged, names: Counter[str], least: int) -> str:
    if one.verdict is Verdict.UNSURE:
        return "nobody could tell what it is"
    if one.verdict.is_real:
        if not one.name or one.name == UNKNOWN_NAME:
            return "it was given no name"
        count = names[lemma(one.name)]
        if count < least:
            return f"{count} of the {least} decisions that a name needs"
    if not one.sightings:
        return "it has no embedding"
    if one.space is None:
        return "the tables do not have its scan"
    if one.verdict.is_real:
        return f"fewer than {least} of its name, duplicates aside, can be seen in the tables"
    return f"fewer than {least} that look like it were rejected"
