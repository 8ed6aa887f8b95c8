"""Write changes: rows are locked and changed in one transaction, with an event for each."""

import secrets
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any, TypeVar

from sqlalchemy import Connection, RowMapping, Select, Table, bindparam, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite

from review.errors import BadInputError, ConflictError, UnknownItemError
from review.tables import events, items, status_columns, status_json, status_of
from schemas.review import EventKind, ItemStatus, State

CHUNK = 200
MOST_AT_ONCE = 500

Thing = TypeVar("Thing")


@dataclass(frozen=True, slots=True)
class Change:
    """A change of one item. ``before`` is None for a new one; ``undoes`` is the event that an undo reverses."""

    item_id: str
    kind: EventKind
    before: ItemStatus | None
    after: ItemStatus
    undoes: int | None = None


def apply_changes(
    connection: Connection, action: str, actor: str, at: datetime, changes: Sequence[Change], note: str | None = None
) -> None:
    """Write the changes of one call and their events."""
    moved = [change for change in changes if change.before is not None]
    if moved:
        target = update(items).where(items.c.item_id == bindparam("key"))
        connection.execute(
            target.values({column: bindparam(column) for column in status_columns(moved[0].after)}),
            [{"key": change.item_id} | status_columns(change.after) for change in moved],
        )
    if changes:
        connection.execute(
            insert(events),
            [
                {
                    "action_id": action,
                    "item_id": change.item_id,
                    "at": at,
                    "actor": actor,
                    "kind": change.kind.value,
                    "before": status_json(change.before) if change.before else None,
                    "after": status_json(change.after),
                    "undoes": change.undoes,
                    "note": note,
                }
                for change in changes
            ],
        )


def lock_items(connection: Connection, item_ids: Sequence[str]) -> dict[str, RowMapping]:
    """The rows of these items, locked in the order of their ids so that two calls never deadlock."""
    rows = connection.execute(
        select(items).where(items.c.item_id.in_(item_ids)).order_by(items.c.item_id).with_for_update()
    )
    return {row["item_id"]: row for row in rows.mappings()}


def is_done(connection: Connection, action: str, actor: str, kind: EventKind) -> bool:
    """Whether this same call was done before; checked while its items are locked."""
    row = connection.execute(select(events.c.actor, events.c.kind).where(events.c.action_id == action).limit(1)).first()
    if row is not None and tuple(row) != (actor, kind):
        raise BadInputError("This action id belongs to another action. Make a new one for each.")
    return row is not None


def insert_into(connection: Connection, table: Table) -> Any:
    """An INSERT of this database that may end in ``on_conflict_…``."""
    return sqlite.insert(table) if connection.dialect.name == "sqlite" else postgresql.insert(table)


def read_rows(connection: Connection, query: Select[Any]) -> Sequence[RowMapping]:
    """All rows of a query."""
    return connection.execute(query).mappings().all()


def in_chunks(things: Iterable[Thing]) -> Iterator[list[Thing]]:
    """Lists of up to 200, so that transactions stay short."""
    iterator = iter(things)
    while chunk := list(islice(iterator, CHUNK)):
        yield chunk


def unique_ids(item_ids: str | Sequence[str]) -> list[str]:
    """Each id once, in this order. Raises BadInputError for none or more than 500."""
    wanted = [item_ids] if isinstance(item_ids, str) else list(dict.fromkeys(item_ids))
    if not 1 <= len(wanted) <= MOST_AT_ONCE:
        raise BadInputError(f"Between 1 and {MOST_AT_ONCE} items can be judged at once.")
    return wanted


def new_action() -> str:
    """An id that the events of one call share."""
    return secrets.token_hex(16)


def check_action(action_id: str | None) -> str:
    """The id that a caller gave, or a new one. Raises BadInputError when it cannot be one."""
    if action_id is None:
        return new_action()
    if not (8 <= len(action_id) <= 64 and action_id.isascii() and action_id.isalnum()):
        raise BadInputError("An action id has 8 to 64 letters and digits.")
    return action_id


def is_held(status: ItemStatus, now: datetime) -> bool:
    """Whether somebody holds the item at this time."""
    return status.state is State.LEASED and status.until is not None and status.until > now


def unknown_item(item_id: str) -> UnknownItemError:
    """The error for an id that the queue does not know."""
    return UnknownItemError(f"The queue has no item {item_id[:64]!r}. Check the id, and that this is the right queue.")


def check_open(rows: Mapping[str, RowMapping], item_id: str, reviewer: str, now: datetime) -> RowMapping:
    """The row of an item that this reviewer may judge now. Raises UnknownItemError and ConflictError."""
    row = rows.get(item_id)
    if row is None:
        raise unknown_item(item_id)
    status = status_of(row)
    if status.state.is_judged:
        assert status.verdict is not None and status.decided_at is not None
        named = f" as {status.name}" if status.name else ""
        who = "You have" if status.decided_by == reviewer else f"{status.decided_by} has"
        raise ConflictError(
            f"{who} decided item {item_id} already: {status.verdict.value}{named}, "
            f"{status.decided_at:%d %B %H:%M} UTC. This decision stays until it is undone."
        )
    if status.state is State.DUPLICATE:
        raise ConflictError(f"Item {item_id} shows the same object as {status.duplicate_of}. Judge that one.")
    if status.holder != reviewer and is_held(status, now):
        raise ConflictError(
            f"{status.holder} holds item {item_id} until {status.until:%H:%M} UTC. Your decision was not "
            "recorded; take another item."
        )
    return row
