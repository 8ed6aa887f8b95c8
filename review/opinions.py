"""Second opinions, given without knowing the first decision, and how well reviewers agree."""

import hashlib
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, exists, insert, select, update

from review.changes import Change, apply_changes, lock_items, read_rows, unknown_item
from review.errors import BadInputError, ConflictError
from review.names import same_name
from review.reads import read_chosen, read_items
from review.tables import items, opinion_of, opinions, status_of
from schemas.review import JUDGED, EventKind, Opinion, QueuedItem, Second, Verdict


@dataclass(frozen=True, slots=True)
class Disagreement:
    """An item on which a second reviewer disagrees."""

    queued: QueuedItem
    opinions: tuple[Opinion, ...]


@dataclass(frozen=True, slots=True)
class Agreement:
    """How well reviewers agree on the ``items`` that two or more of them judged: on ``agreed`` of them they do.

    ``alpha`` is Krippendorff's for nominal data: 1 is full agreement, 0 what chance gives; None where it is not
    defined (fewer than two items, or all of one label). ``waiting`` items wait for their second opinion.
    """

    items: int
    agreed: int
    alpha: float | None
    waiting: int
    open_disagreements: int


def is_in_share(item_id: str, share: float) -> bool:
    """Whether an item is of the ``share`` in [0, 1] that gets a second opinion: always the same answer for an id."""
    return int.from_bytes(hashlib.sha256(item_id.encode()).digest()[:8]) < share * 2**64


def ask(connection: Connection, now: datetime, actor: str, wanted: Sequence[str], action: str) -> int:
    """Ask for a second opinion on judged items; how many had not been asked for."""
    rows = lock_items(connection, wanted)
    changes = []
    for item_id in wanted:
        if item_id not in rows:
            raise unknown_item(item_id)
        status = status_of(rows[item_id])
        if not status.state.is_judged:
            raise ConflictError(f"Item {item_id} is {status.state.value}: a second opinion needs a first one.")
        if rows[item_id]["second"] is None:
            changes.append(Change(item_id, EventKind.SECOND, status, status))
    _set(connection, [change.item_id for change in changes], Second.WANTED)
    apply_changes(connection, action, actor, now, changes, note="asked for")
    return len(changes)


def unasked_after(connection: Connection, after: str, count: int) -> Sequence[str]:
    """The ids of judged items that nobody asked a second opinion on, in order, after this one."""
    query = (
        select(items.c.item_id)
        .where(items.c.state.in_(JUDGED), items.c.second.is_(None), items.c.item_id > after)
        .order_by(items.c.item_id)
        .limit(count)
    )
    return connection.scalars(query).all()


def next_for(connection: Connection, reviewer: str, count: int) -> tuple[QueuedItem, ...]:
    """Items that wait for the opinion of another reviewer, highest rank first."""
    said = exists().where(opinions.c.item_id == items.c.item_id, opinions.c.reviewer == reviewer)
    query = (
        select(items.c.item_id)
        .where(
            items.c.second == Second.WANTED,
            items.c.state.in_(JUDGED),
            items.c.decided_by != reviewer,
            ~said,
        )
        .order_by(items.c.rank.desc(), items.c.item_id)
        .limit(count)
    )
    return read_chosen(connection, query)


def give(
    connection: Connection,
    now: datetime,
    reviewer: str,
    item_id: str,
    verdict: Verdict,
    name: str | None,
    action: str,
) -> Second:
    """Record what a second reviewer says; whether it agrees. See ``Queue.give_opinion``."""
    row = lock_items(connection, [item_id]).get(item_id)
    if row is None:
        raise unknown_item(item_id)
    status = status_of(row)
    if not status.state.is_judged or row["second"] is None:
        raise ConflictError(f"Nobody asked for a second opinion on item {item_id}.")
    if status.decided_by == reviewer:
        raise ConflictError(f"You judged item {item_id} yourself: somebody else must give the second opinion.")
    given = select(opinions).where(opinions.c.item_id == item_id, opinions.c.reviewer == reviewer)
    if connection.execute(given).first() is not None:
        raise ConflictError(f"You gave your opinion on item {item_id} already.")
    if verdict is Verdict.ACCEPT:
        [queued] = read_items(connection, [item_id], with_pictures=False)
        name = queued.item.suggestion
        if name is None:
            raise BadInputError(f"Item {item_id} has no suggestion to accept. Type what it is, or choose unsure.")
    connection.execute(
        insert(opinions).values(item_id=item_id, reviewer=reviewer, verdict=verdict.value, name=name, at=now)
    )
    agrees = same_label((status.verdict, status.name), (verdict, name))
    outcome = Second.AGREED if agrees and row["second"] != Second.DISAGREED else Second.DISAGREED
    _set(connection, [item_id], outcome)
    said = f"{verdict.value}{f': {name}' if name else ''}"
    change = Change(item_id, EventKind.OPINION, status, status)
    apply_changes(connection, action, reviewer, now, [change], note=f"{outcome.value}: {said}")
    return outcome


def settle(connection: Connection, now: datetime, actor: str, item_id: str, note: str, action: str) -> None:
    """Keep the decision in spite of a different opinion; see ``Queue.settle``."""
    row = lock_items(connection, [item_id]).get(item_id)
    if row is None:
        raise unknown_item(item_id)
    if row["second"] != Second.DISAGREED:
        raise ConflictError(f"Nobody disagrees on item {item_id}.")
    _set(connection, [item_id], Second.SETTLED)
    status = status_of(row)
    apply_changes(connection, action, actor, now, [Change(item_id, EventKind.SECOND, status, status)], note=note)


def disagreements(connection: Connection) -> tuple[Disagreement, ...]:
    """Open disagreements, highest rank first; at most 500."""
    query = (
        select(items.c.item_id)
        .where(items.c.second == Second.DISAGREED, items.c.state.in_(JUDGED))
        .order_by(items.c.rank.desc(), items.c.item_id)
        .limit(500)
    )
    found = read_chosen(connection, query, with_pictures=False)
    said = _said(connection, [queued.item.item_id for queued in found])
    return tuple(
        Disagreement(queued, tuple(opinion for opinion in said if opinion.item_id == queued.item.item_id))
        for queued in found
    )


def agreement(connection: Connection) -> Agreement:
    """How well reviewers agree on items that more than one of them judged."""
    rows = read_rows(
        connection,
        select(items, opinions.c.reviewer, opinions.c.verdict.label("said"), opinions.c.name.label("said_name"))
        .join(opinions, opinions.c.item_id == items.c.item_id)
        .where(items.c.state.in_(JUDGED)),
    )
    labels: dict[str, dict[str, str]] = {}
    for row in rows:
        of_item = labels.setdefault(row["item_id"], {row["decided_by"]: _label(row["verdict"], row["decided_name"])})
        of_item[row["reviewer"]] = _label(row["said"], row["said_name"])
    agreed = sum(len(set(said.values())) == 1 for said in labels.values())
    alpha = nominal_alpha(said.values() for said in labels.values())
    states = connection.scalars(select(items.c.second).where(items.c.second.is_not(None))).all()
    return Agreement(len(labels), agreed, alpha, states.count(Second.WANTED), states.count(Second.DISAGREED))


def same_label(one: tuple[Verdict | None, str | None], other: tuple[Verdict | None, str | None]) -> bool:
    """Whether two verdicts mean the same: accepting a name equals giving it."""
    names = one[1], other[1]
    if names[0] is not None and names[1] is not None:
        return same_name(names[0], names[1])
    return one == other


def _label(verdict: str, name: str | None) -> str:
    return f"name {' '.join(name.casefold().split())}" if name else f"verdict {verdict}"


def _said(connection: Connection, item_ids: Sequence[str]) -> list[Opinion]:
    query = select(opinions).where(opinions.c.item_id.in_(item_ids)).order_by(opinions.c.at)
    return [opinion_of(row) for row in read_rows(connection, query)]


def _set(connection: Connection, item_ids: Sequence[str], second: Second) -> None:
    if item_ids:
        connection.execute(update(items).where(items.c.item_id.in_(item_ids)).values(second=second.value))


def nominal_alpha(labels: Iterable[Collection[str]]) -> float | None:
    """Krippendorff's alpha of nominal labels; 1 is full agreement, 0 is that of chance, below 0 is worse than chance.

    ``labels`` are the labels that each item got from its reviewers, in any order. Items with a single label count for
    nothing. None with fewer than two other items, or if all their labels are alike, because chance then agrees too.

    Source: K. Krippendorff, "Computing Krippendorff's Alpha-Reliability", 2011. (The library of this name is under the
    GPL, which this project cannot ask of its users.)
    """
    all_labels: Counter[str] = Counter()
    observed, items = 0.0, 0
    for item in labels:
        if len(item) > 1:
            counts = Counter(item)
            all_labels += counts
            items += 1
            observed += _unlike_pairs(counts) / (len(item) - 1)
    expected = _unlike_pairs(all_labels) / max(all_labels.total() - 1, 1)
    return 1 - observed / expected if items > 1 and expected else None


def _unlike_pairs(counts: Counter[str]) -> int:
    return counts.total() ** 2 - sum(count**2 for count in counts.values())
