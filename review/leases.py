"""Leases: who holds which item, and until when."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, select, update

from review.changes import Change, apply_changes
from review.reads import Filters, read_items
from review.tables import items, status_of
from schemas.review import EventKind, ItemStatus, QueuedItem, State

_MOST_WOKEN = 1000


def lease(
    connection: Connection,
    now: datetime,
    until: datetime,
    reviewer: str,
    filters: Filters,
    count: int,
    holding: Sequence[str],
    action: str,
) -> tuple[QueuedItem, ...]:
    """Hold items for a reviewer; see ``Queue.lease``."""
    _wake(connection, action, now)
    renew(connection, now, until, reviewer, holding)
    order = (items.c.rank.desc(), items.c.item_id)
    held = connection.scalars(
        select(items.c.item_id)
        .where(
            items.c.state == State.LEASED,
            items.c.holder == reviewer,
            items.c.item_id.not_in(holding),
            *filters.conditions(),
        )
        .order_by(*order)
        .limit(count)
    ).all()
    renew(connection, now, until, reviewer, held)
    fresh = connection.scalars(
        select(items.c.item_id)
        .where(items.c.state == State.PENDING, *filters.conditions())
        .order_by(*order)
        .limit(count - len(held))
        .with_for_update(skip_locked=True)
    ).all()
    leased = ItemStatus(State.LEASED, holder=reviewer, until=until)
    changes = [Change(item_id, EventKind.LEASED, ItemStatus(State.PENDING), leased) for item_id in fresh]
    apply_changes(connection, action, reviewer, now, changes)
    found = read_items(connection, [*held, *fresh])
    # The same reviewer may have judged one of them in another window a moment ago.
    return tuple(queued for queued in found if queued.status.state is State.LEASED)


def _wake(connection: Connection, action: str, now: datetime) -> None:
    """Return items to the queue whose lease or snooze is over."""
    over = connection.execute(
        select(items)
        .where(items.c.state.in_((State.LEASED, State.SNOOZED)), items.c.until <= now)
        .order_by(items.c.until)
        .limit(_MOST_WOKEN)
        .with_for_update(skip_locked=True)
    ).mappings()
    changes = []
    for row in over:
        before = status_of(row)
        kind = EventKind.EXPIRED if before.state is State.LEASED else EventKind.WOKEN
        changes.append(Change(row["item_id"], kind, before, ItemStatus(State.PENDING)))
    apply_changes(connection, action, "clock", now, changes)


def renew(connection: Connection, now: datetime, until: datetime, reviewer: str, item_ids: Sequence[str]) -> None:
    """Renew the leases that this reviewer has on these items."""
    if item_ids:
        connection.execute(
            update(items).where(items.c.item_id.in_(item_ids), *_held_by(reviewer, now)).values(until=until)
        )


def still_held(connection: Connection, now: datetime, reviewer: str, item_ids: Sequence[str]) -> tuple[str, ...]:
    """Those of these items that the reviewer holds."""
    query = select(items.c.item_id).where(items.c.item_id.in_(item_ids), *_held_by(reviewer, now))
    still = set(connection.scalars(query))
    return tuple(item_id for item_id in item_ids if item_id in still)


def release(connection: Connection, now: datetime, reviewer: str, item_ids: Sequence[str] | None, action: str) -> int:
    """Give items back; see ``Queue.release``."""
    condition = [items.c.state == State.LEASED, items.c.holder == reviewer]
    if item_ids is not None:
        condition.append(items.c.item_id.in_(item_ids))
    rows = connection.execute(select(items).where(*condition).order_by(items.c.item_id).with_for_update())
    changes = [
        Change(row["item_id"], EventKind.RELEASED, status_of(row), ItemStatus(State.PENDING)) for row in rows.mappings()
    ]
    apply_changes(connection, action, reviewer, now, changes)
    return len(changes)


def _held_by(reviewer: str, now: datetime) -> tuple[ColumnElement[bool], ...]:
    return items.c.state == State.LEASED, items.c.holder == reviewer, items.c.until > now
