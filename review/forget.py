"""Forget the items of sources on request: rows, pictures, masks, places, opinions and events; only the ids stay."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection, delete, insert, select

from review.changes import Change, apply_changes, lock_items
from review.tables import (
    contents,
    events,
    forgotten_items,
    items,
    opinions,
    pictures,
    places,
    repaired_masks,
    status_of,
)
from schemas.review import EventKind, ItemStatus, State


def items_of_sources(connection: Connection, source_uris: Sequence[str]) -> list[str]:
    """The ids of all items of these sources."""
    found = select(contents.c.item_id).where(contents.c.source_uri.in_(source_uris))
    return list(connection.scalars(found.order_by(contents.c.item_id)))


def forget_items(connection: Connection, now: datetime, item_ids: Sequence[str], actor: str, action: str) -> int:
    """Remove these items; returns how many were there.

    Another item that is a duplicate of one of them waits to be judged again, or becomes a duplicate of what that one
    was a duplicate of.
    """
    gone = lock_items(connection, item_ids)
    if not gone:
        return 0
    followers = connection.scalars(
        select(items.c.item_id).where(items.c.duplicate_of.in_(gone), items.c.item_id.not_in(gone))
    )
    changes = []
    for item_id, row in lock_items(connection, list(followers)).items():
        original = row["duplicate_of"]
        while original in gone:
            original = gone[original]["duplicate_of"]
        after = ItemStatus(State.DUPLICATE if original else State.PENDING, duplicate_of=original)
        changes.append(Change(item_id, EventKind.REOPENED, status_of(row), after))
    apply_changes(connection, action, actor, now, changes, "what it was a duplicate of was forgotten")
    known = set(connection.scalars(select(forgotten_items.c.item_id).where(forgotten_items.c.item_id.in_(gone))))
    new = [{"item_id": key, "forgotten_by": actor, "forgotten_at": now} for key in gone if key not in known]
    if new:
        connection.execute(insert(forgotten_items), new)  # first: the triggers keep the events of all other items
    connection.execute(items.update().where(items.c.item_id.in_(gone)).values(duplicate_of=None))
    for table in (events, opinions, repaired_masks, pictures, places, contents, items):
        connection.execute(delete(table).where(table.c.item_id.in_(gone)))
    return len(gone)
