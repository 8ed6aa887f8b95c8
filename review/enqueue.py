"""Add to the queue: new items, the older items that they replace, and the names to offer."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, insert, select, text, update

from review.changes import Change, apply_changes, insert_into, is_held, lock_items
from review.errors import BadInputError
from review.names import clean_name
from review.tables import (
    content_columns,
    contents,
    forgotten_items,
    item_columns,
    items,
    names,
    picture_columns,
    pictures,
    status_of,
)
from schemas.review import EventKind, ItemStatus, ReviewItem, State

_ENQUEUE_LOCK = 0x636C6971  # an arbitrary number that every enqueueing process agrees on


@dataclass(frozen=True, slots=True)
class Enqueued:
    """What became of the items handed in.

    ``superseded`` counts older items that gave way to them, ``replacing`` those of ``added`` that took such a place.
    """

    added: int = 0
    unchanged: int = 0
    duplicates: int = 0
    superseded: int = 0
    replacing: int = 0

    @property
    def new(self) -> int:
        """Those that show what the queue did not have."""
        return self.added - self.replacing

    def __add__(self, other: "Enqueued") -> "Enqueued":
        return Enqueued(
            self.added + other.added,
            self.unchanged + other.unchanged,
            self.duplicates + other.duplicates,
            self.superseded + other.superseded,
            self.replacing + other.replacing,
        )


def enqueue(connection: Connection, now: datetime, new: Mapping[str, ReviewItem], actor: str, action: str) -> Enqueued:
    """Write the items that are not in the queue yet; see ``Queue.enqueue``."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _ENQUEUE_LOCK})
    there = {
        item_id
        for table in (items, forgotten_items)
        for item_id in connection.scalars(select(table.c.item_id).where(table.c.item_id.in_(new)))
    }
    coming: list[tuple[ReviewItem, ItemStatus]] = []
    superseded = duplicates = replacing = 0

    def write() -> None:
        if not coming:
            return
        connection.execute(insert(items), [item_columns(item, status, now) for item, status in coming])
        connection.execute(insert(contents), [content_columns(item) for item, _ in coming])
        connection.execute(insert(pictures), [picture_columns(item) for item, _ in coming])
        entered = [Change(item.item_id, EventKind.ENQUEUED, None, status) for item, status in coming]
        apply_changes(connection, action, actor, now, entered)
        coming.clear()

    for item in new.values():
        if item.item_id in there:
            continue
        original, giving_way = None, list[tuple[str, ItemStatus]]()
        if item.duplicate_of is not None or item.supersedes:
            write()  # it may point to an item of the same call
            original, giving_way = _settle(connection, item, now)
        coming.append((item, ItemStatus(State.DUPLICATE if original else State.PENDING, duplicate_of=original)))
        if giving_way:
            write()
            replaced = ItemStatus(State.DUPLICATE, duplicate_of=original or item.item_id)
            changes = [Change(older, EventKind.SUPERSEDED, before, replaced) for older, before in giving_way]
            apply_changes(connection, action, actor, now, changes)
        duplicates += original is not None
        superseded += len(giving_way)
        replacing += bool(giving_way) and original is None
    write()
    return Enqueued(len(new) - len(there) - duplicates, len(there), duplicates, superseded, replacing)


def _settle(connection: Connection, item: ReviewItem, now: datetime) -> tuple[str | None, list[tuple[str, ItemStatus]]]:
    """The item that a new item duplicates, and the open items that it (or that item) replaces."""
    if item.duplicate_of is not None:
        found = _original(connection, item.duplicate_of)
        if found is None:
            raise BadInputError(
                f"Item {item.item_id} is a duplicate of {item.duplicate_of}, which is not in the queue. "
                "Add that one first."
            )
        return found[0], []
    originals: dict[str, ItemStatus] = {}
    for older in item.supersedes:
        # Only a few instances of an older scan ever entered the queue.
        found = _original(connection, older)
        if found is not None:
            originals[found[0]] = found[1]
    staying = [key for key, status in originals.items() if status.state.is_judged or is_held(status, now)]
    giving_way = [(key, status) for key, status in originals.items() if key not in staying]
    return (staying[0] if staying else None), giving_way


def _original(connection: Connection, item_id: str) -> tuple[str, ItemStatus] | None:
    """Follow duplicates to their original item."""
    while True:
        row = lock_items(connection, [item_id]).get(item_id)
        if row is None:
            return None
        if row["state"] != State.DUPLICATE:
            return item_id, status_of(row)
        item_id = row["duplicate_of"]


def set_vocabulary(connection: Connection, known: Iterable[str], candidates: Iterable[str]) -> None:
    """Write the known classes and the names to offer; see ``Queue.set_vocabulary``."""
    rows = {name: False for name in map(clean_name, candidates)} | {name: True for name in map(clean_name, known)}
    connection.execute(update(names).values(known=False))
    for name, is_known in rows.items():
        statement = insert_into(connection, names).values(name=name, known=is_known)
        connection.execute(statement.on_conflict_do_update(index_elements=["name"], set_={"known": is_known}))
