"""Decisions and snoozes, and undoing them."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from sqlalchemy import Connection, RowMapping, exists, func, select, update

from review.changes import Change, apply_changes, check_open, insert_into, is_done, lock_items, read_rows
from review.errors import BadInputError, ConflictError
from review.names import check_class_name
from review.reads import read_chosen, read_items
from review.tables import contents, event_of, events, items, names, status_of
from schemas.review import UNKNOWN_NAME, Decision, Event, EventKind, ItemStatus, QueuedItem, Second, State, Verdict

# Events after which a decision still belongs to its reviewer.
_BESIDE = (
    EventKind.EXPORTED,
    EventKind.RENAMED,
    EventKind.COMMENTED,
    EventKind.MASK,
    EventKind.SECOND,
    EventKind.OPINION,
)


def check_verdict(verdict: Verdict, name: str | None) -> str | None:
    """The name of a verdict, cleaned. Raises BadInputError if it is missing, not wanted, or not a name."""
    if verdict.is_named:
        if name is None:
            raise BadInputError(f"The verdict {verdict.value!r} needs a name.")
        return check_class_name(name)
    if name is not None:
        raise BadInputError(f"The verdict {verdict.value!r} takes no name.")
    return None


def decide(
    connection: Connection,
    now: datetime,
    reviewer: str,
    wanted: Sequence[str],
    verdict: Verdict,
    name: str | None,
    action: str,
) -> tuple[Decision, ...]:
    """Judge items alike; see ``Queue.decide``."""
    rows = lock_items(connection, wanted)
    if not is_done(connection, action, reviewer, EventKind.DECIDED):
        verdict, name = _settle_name(connection, verdict, name)
        changes = []
        for item_id in wanted:
            row = check_open(rows, item_id, reviewer, now)
            said, given = verdict, name
            if verdict in (Verdict.ACCEPT, Verdict.RELABEL):
                suggestion = _suggestion(connection, row)
                if verdict is Verdict.ACCEPT and suggestion is None:
                    raise BadInputError(
                        f"Item {item_id} has no suggestion to accept. Type what it is, or choose unsure."
                    )
                if verdict is Verdict.ACCEPT or name == suggestion:
                    said, given = Verdict.ACCEPT, suggestion
            after = ItemStatus(
                State.DECIDED,
                verdict=said,
                name=given,
                decided_by=reviewer,
                decided_at=now,
            )
            changes.append(Change(item_id, EventKind.DECIDED, status_of(row), after))
        apply_changes(connection, action, reviewer, now, changes)
        reopened = update(items).where(items.c.item_id.in_(wanted), items.c.second == Second.DISAGREED)
        connection.execute(reopened.values(second=Second.SETTLED.value))
    done = connection.execute(select(events).where(events.c.action_id == action).order_by(events.c.event_id))
    return tuple(_decided(event_of(row)) for row in done.mappings())


def _suggestion(connection: Connection, row: RowMapping) -> str | None:
    """What accepting an item records: its name, or the likeliest one if no name is clear."""
    if row["name"] != UNKNOWN_NAME:
        return str(row["name"])
    guesses = connection.scalar(select(contents.c.names).where(contents.c.item_id == row["item_id"])) or ()
    return next((str(name) for name, _ in guesses if name != UNKNOWN_NAME), None)


def _settle_name(connection: Connection, verdict: Verdict, name: str | None) -> tuple[Verdict, str | None]:
    """Use the spelling and the kind of a name that exists already; store a new one."""
    if name is None:
        return verdict, None
    match = connection.execute(
        select(names).where(func.lower(names.c.name) == name.lower()).order_by(names.c.known.desc())
    ).mappings()
    there = match.first()
    if there is not None and there["known"]:
        return Verdict.KNOWN, there["name"]
    if verdict is Verdict.KNOWN:
        if connection.scalar(select(func.count()).where(names.c.known)):
            raise BadInputError(f"{name!r} is no class of the known vocabulary. Choose one that is, or relabel.")
        return verdict, name
    if there is not None:
        return verdict, there["name"]
    connection.execute(insert_into(connection, names).values(name=name, known=False).on_conflict_do_nothing())
    return verdict, name


def _decided(event: Event) -> Decision:
    after = event.after
    assert after.verdict is not None and after.decided_by is not None and after.decided_at is not None
    return Decision(event.item_id, after.verdict, after.name, after.decided_by, after.decided_at)


def snooze(
    connection: Connection, now: datetime, length: timedelta, reviewer: str, wanted: Sequence[str], action: str
) -> datetime:
    """Put items away; see ``Queue.snooze``."""
    rows = lock_items(connection, wanted)
    after = ItemStatus(State.SNOOZED, holder=reviewer, until=now + length)
    if not is_done(connection, action, reviewer, EventKind.SNOOZED):
        changes = [
            Change(item_id, EventKind.SNOOZED, status_of(check_open(rows, item_id, reviewer, now)), after)
            for item_id in wanted
        ]
        apply_changes(connection, action, reviewer, now, changes)
    return now + length


def undo(
    connection: Connection, now: datetime, until: datetime, reviewer: str, item_id: str | None, action: str
) -> tuple[QueuedItem, ...]:
    """Undo the last decision or snooze; see ``Queue.undo``."""
    if is_done(connection, action, reviewer, EventKind.UNDONE):
        again = select(events.c.item_id).where(events.c.action_id == action).order_by(events.c.event_id)
        return read_chosen(connection, again)
    later = events.alias("later")
    # After these events there is nothing to undo: an undo, the end of a snooze.
    still_last = ~exists().where(
        later.c.item_id == events.c.item_id,
        later.c.event_id > events.c.event_id,
        later.c.kind.not_in(_BESIDE),
    )
    done = events.c.kind.in_((EventKind.DECIDED, EventKind.SNOOZED))
    last = (
        select(events.c.action_id)
        .where(events.c.actor == reviewer, done, still_last)
        .order_by(events.c.event_id.desc())
        .limit(1)
    )
    if item_id is not None:
        last = last.where(events.c.item_id == item_id)
    undone = connection.scalar(last)
    if undone is None:
        raise ConflictError("There is nothing of yours to undo.")
    of_action = select(events).where(events.c.action_id == undone).order_by(events.c.event_id)
    rows = lock_items(connection, [row["item_id"] for row in read_rows(connection, of_action)])
    leased = ItemStatus(State.LEASED, holder=reviewer, until=until)
    changes = [
        Change(row["item_id"], EventKind.UNDONE, status_of(rows[row["item_id"]]), leased, row["event_id"])
        for row in read_rows(connection, of_action.where(still_last))
    ]
    if not changes:
        raise ConflictError("It was undone a moment ago.")
    apply_changes(connection, action, reviewer, now, changes)
    return read_items(connection, [change.item_id for change in changes])


def mark_exported(connection: Connection, now: datetime, item_ids: Sequence[str], actor: str, action: str) -> int:
    """Mark decided items as exported; see ``Queue.mark_exported``."""
    changes = []
    for item_id, row in lock_items(connection, item_ids).items():
        before = status_of(row)
        if before.state is State.DECIDED:
            changes.append(Change(item_id, EventKind.EXPORTED, before, replace(before, state=State.EXPORTED)))
    apply_changes(connection, action, actor, now, changes)
    return len(changes)
