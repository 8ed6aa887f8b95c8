"""The effect of every decision: the change that it contributes to, or why nothing changes."""

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field

from clipomaly_core.names import lemma
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
        names = Counter(lemma(item.name) for item in judged if item.name and item.verdict.is_real)
        counted: Counter[tuple[bool, str, str]] = Counter()
        for item in judged:
            if own := effects.get(item.item_id):
                counted[True, _decision(item), ", ".join(dict.fromkeys(own))] += 1
            else:
                counted[
                    False, _decision(item), self._reasons.get(item.item_id) or _usual_reason(item, names, least)
                ] += 1
        told = [Outcome(decision, n, effect, acts) for (acts, decision, effect), n in counted.items()]
        return tuple(
            sorted(told, key=lambda outcome: (not outcome.changes, -outcome.count, outcome.decision, outcome.effect))
        )


def part_of(items: Iterable[Judged]) -> frozenset[str]:
    """The ids of the items that a change rests on."""
    return frozenset(item.item_id for item in items)


def of_names(judged: Iterable[Judged], keys: Collection[str]) -> list[Judged]:
    """The decisions that gave or accepted one of these names, by lemma."""
    return [item for item in judged if item.verdict.is_real and item.name and lemma(item.name) in keys]


def _decision(item: Judged) -> str:
    called = "" if item.suggested in (UNKNOWN_NAME, item.name) else f" (it was called {item.suggested})"
    match item.verdict:
        case Verdict.ACCEPT:
            return f"accepted {item.name or UNKNOWN_NAME}"
        case Verdict.RELABEL:
            return f"named {item.name}{called}"
        case Verdict.KNOWN:
            return f"known{f' {item.name}' if item.name else ''}{called}"
        case Verdict.NOT_AN_OBJECT:
            return f"not an object{called}"
        case Verdict.UNSURE:
            return "unsure"


def _effect(change: Change) -> str:
    return f"{change.kind} {change.subject}" + (f" for {change.known}" if change.known else "")


def _usual_reason(item: Judged, names: Counter[str], least: int) -> str:
    if item.verdict is Verdict.UNSURE:
        return "nobody could tell what it is"
    if item.verdict.is_real:
        if not item.name or item.name == UNKNOWN_NAME:
            return "it was given no name"
        count = names[lemma(item.name)]
        if count < least:
            return f"{count} of the {least} decisions that a name needs"
    if not item.sightings:
        return "it has no embedding"
    if item.space is None:
        return "the tables do not have its scan"
    if item.verdict.is_real:
        return f"fewer than {least} of its name, duplicates aside, can be seen in the tables"
    return f"fewer than {least} that look like it were rejected"
