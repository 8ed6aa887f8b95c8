"""The progress of the review, in numbers."""

from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import Column, ColumnElement, Connection, case, func, select

from review.names import NO_NAMES
from review.tables import items
from schemas.review import JUDGED, OPEN, State, Verdict
from schemas.shares import wilson_interval


@dataclass(frozen=True, slots=True)
class StateCount:
    """How many items are in a state."""

    state: State
    items: int


@dataclass(frozen=True, slots=True)
class NightProgress:
    """The items that came in on one UTC date: how many, and how many of them are judged. Duplicates aside."""

    night: str
    items: int
    judged: int


@dataclass(frozen=True, slots=True)
class ReviewerProgress:
    """What one reviewer judged, and how much of it today (UTC). ``real`` of those ``sure`` (all but the unsure ones)
    were unknown objects: a reviewer far from the others sees something else in the pictures, or in the rules."""

    reviewer: str
    judged: int
    today: int
    sure: int
    real: int


@dataclass(frozen=True, slots=True)
class NameProgress:
    """A name: how many open items it is suggested for, and how many items were judged to be it.

    Of the judged items that it was suggested for, the unsure ones aside (``suggested``), it was ``right`` for some.
    """

    name: str
    open: int
    judged: int
    suggested: int = 0
    right: int = 0


@dataclass(frozen=True, slots=True)
class DriveProgress:
    """A drive and how many of its items are open."""

    drive: str
    open: int


@dataclass(frozen=True, slots=True)
class VerdictCount:
    """How often a verdict was given."""

    verdict: Verdict
    items: int


@dataclass(frozen=True, slots=True)
class Precision:
    """The share of real unknown objects (accepted or relabelled) among all instances.

    Estimated from the items drawn at random that were judged, the unsure ones aside: ``share`` with its
    95 % Wilson interval from ``low`` to ``high`` in [0, 1]; None while there are none.
    """

    judged: int
    share: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class Stats:
    """All statistics. Nights newest first, reviewers and names with the most items first."""

    states: tuple[StateCount, ...]
    verdicts: tuple[VerdictCount, ...]
    nights: tuple[NightProgress, ...]
    reviewers: tuple[ReviewerProgress, ...]
    names: tuple[NameProgress, ...]
    drives: tuple[DriveProgress, ...]
    precision: Precision

    def items(self, *states: State) -> int:
        """How many items are in these states."""
        return sum(count.items for count in self.states if count.state in states)


def read_stats(connection: Connection, now: datetime) -> Stats:
    """Count, within the transaction of ``connection``."""
    by_state = _counts(connection, items.c.state)
    return Stats(
        tuple(StateCount(state, by_state.get(state, 0)) for state in State),
        _verdicts(connection),
        _nights(connection),
        _reviewers(connection, now),
        _names(connection),
        _drives(connection),
        _precision(connection),
    )


def _counts(connection: Connection, column: Column[str], *conditions: ColumnElement[bool]) -> dict[str, int]:
    rows = connection.execute(select(column, func.count()).where(*conditions).group_by(column))
    return {key: count for key, count in rows}


def _verdicts(connection: Connection) -> tuple[VerdictCount, ...]:
    by_verdict = _counts(connection, items.c.verdict, items.c.state.in_(JUDGED))
    return tuple(VerdictCount(verdict, by_verdict.get(verdict, 0)) for verdict in Verdict)


def _nights(connection: Connection) -> tuple[NightProgress, ...]:
    judged = func.sum(case((items.c.state.in_(JUDGED), 1), else_=0))
    rows = connection.execute(
        select(items.c.night, func.count(), judged)
        .where(items.c.state != State.DUPLICATE)
        .group_by(items.c.night)
        .order_by(items.c.night.desc())
    )
    return tuple(NightProgress(night, count, int(done)) for night, count, done in rows)


def _reviewers(connection: Connection, now: datetime) -> tuple[ReviewerProgress, ...]:
    midnight = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    today = func.sum(case((items.c.decided_at >= midnight, 1), else_=0))
    count = func.count()
    sure = func.sum(case((items.c.verdict != Verdict.UNSURE, 1), else_=0))
    real = func.sum(case((items.c.verdict.in_([verdict for verdict in Verdict if verdict.is_real]), 1), else_=0))
    rows = connection.execute(
        select(items.c.decided_by, count, today, sure, real)
        .where(items.c.decided_by.is_not(None))
        .group_by(items.c.decided_by)
        .order_by(count.desc(), items.c.decided_by)
    )
    return tuple(ReviewerProgress(reviewer, judged, *map(int, numbers)) for reviewer, judged, *numbers in rows)


def _names(connection: Connection) -> tuple[NameProgress, ...]:
    still_open = _counts(connection, items.c.name, items.c.state.in_(OPEN))
    judged = _counts(connection, items.c.decided_name, items.c.state.in_(JUDGED), items.c.decided_name.is_not(None))
    sure = (items.c.state.in_(JUDGED), items.c.verdict != Verdict.UNSURE)
    suggested = _counts(connection, items.c.name, *sure)
    right = _counts(connection, items.c.name, *sure, items.c.name == items.c.decided_name)
    both = {
        name: NameProgress(
            name, still_open.get(name, 0), judged.get(name, 0), suggested.get(name, 0), right.get(name, 0)
        )
        for name in still_open | judged | suggested
        if name.casefold() not in NO_NAMES or still_open.get(name)
    }
    return tuple(sorted(both.values(), key=lambda name: (-name.open - name.judged, name.name)))


def _drives(connection: Connection) -> tuple[DriveProgress, ...]:
    by_drive = _counts(connection, items.c.drive, items.c.state.in_(OPEN))
    return tuple(DriveProgress(drive, by_drive[drive]) for drive in sorted(by_drive))


def _precision(connection: Connection) -> Precision:
    by_verdict = _counts(connection, items.c.verdict, items.c.state.in_(JUDGED), items.c.drawn_at_random.is_(True))
    real = sum(count for verdict, count in by_verdict.items() if Verdict(verdict).is_real)
    judged = sum(by_verdict.values()) - by_verdict.get(Verdict.UNSURE, 0)
    if not judged:
        return Precision(0, None, None, None)
    return Precision(judged, real / judged, *wilson_interval(real, judged))
