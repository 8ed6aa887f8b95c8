"""Later changes of decisions: merged names, reopened items, comments."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from sqlalchemy import Connection, delete, func, select, update

from review.changes import CHUNK, Change, apply_changes, insert_into, lock_items, unknown_item
from review.errors import BadInputError, ConflictError
from review.tables import events, items, names, opinions, status_of
from schemas.review import JUDGED, EventKind, ItemStatus, State, Verdict

LONGEST_NOTE = 2000


def rename_some(connection: Connection, now: datetime, actor: str, old: str, new: str, action: str) -> int:
    """Give up to 200 judged items named ``old`` the name ``new``; how many. 0 when none is left."""
    chosen = connection.scalars(
        select(items.c.item_id).where(items.c.state.in_(JUDGED), items.c.decided_name == old).limit(CHUNK)
    ).all()
    known = bool(connection.scalar(select(names.c.known).where(names.c.name == new)))
    changes = []
    for item_id, row in lock_items(connection, chosen).items():
        before = status_of(row)
        if before.name != old or not before.state.is_judged:
            continue
        verdict = Verdict.KNOWN if known else Verdict.ACCEPT if row["name"] == new else Verdict.RELABEL
        changes.append(Change(item_id, EventKind.RENAMED, before, replace(before, name=new, verdict=verdict)))
    apply_changes(connection, action, actor, now, changes, note=f"{old} → {new}")
    connection.execute(update(opinions).where(opinions.c.name == old, opinions.c.item_id.in_(chosen)).values(name=new))
    return len(changes)


def replace_name(connection: Connection, old: str, new: str) -> None:
    """Offer ``new`` and no longer ``old``. Raises BadInputError where ``old`` is a class of the known vocabulary."""
    if connection.scalar(select(names.c.known).where(names.c.name == old)):
        raise BadInputError(f"{old!r} is a class of the known vocabulary, which only a scan's vocabulary can change.")
    connection.execute(delete(names).where(names.c.name == old))
    connection.execute(insert_into(connection, names).values(name=new, known=False).on_conflict_do_nothing())


def spelling(connection: Connection, name: str) -> str:
    """The spelling of a name that is offered already, or the name itself."""
    query = select(names.c.name).where(func.lower(names.c.name) == name.lower()).order_by(names.c.known.desc())
    found = connection.scalar(query)
    return str(found) if found is not None else name


def reopen(connection: Connection, now: datetime, actor: str, wanted: Sequence[str], note: str, action: str) -> None:
    """Put judged items back into the queue; see ``Queue.reopen``."""
    rows = lock_items(connection, wanted)
    changes = []
    for item_id in wanted:
        if item_id not in rows:
            raise unknown_item(item_id)
        before = status_of(rows[item_id])
        if not before.state.is_judged:
            raise ConflictError(f"Item {item_id} is {before.state.value}: only judged items can be opened again.")
        decided = connection.scalar(
            select(func.max(events.c.event_id)).where(events.c.item_id == item_id, events.c.kind == EventKind.DECIDED)
        )
        changes.append(Change(item_id, EventKind.REOPENED, before, ItemStatus(State.PENDING), decided))
    apply_changes(connection, action, actor, now, changes, note=note)


def comment(connection: Connection, now: datetime, actor: str, item_id: str, note: str, action: str) -> None:
    """Write a comment into the history of an item; see ``Queue.comment``."""
    note_event(connection, now, actor, item_id, EventKind.COMMENTED, note, action)


def note_event(
    connection: Connection, now: datetime, actor: str, item_id: str, kind: EventKind, note: str, action: str
) -> None:
    """An event that leaves the item's status as it is."""
    row = lock_items(connection, [item_id]).get(item_id)
    if row is None:
        raise unknown_item(item_id)
    status = status_of(row)
    apply_changes(connection, action, actor, now, [Change(item_id, kind, status, status)], note=note)


def check_note(note: str) -> str:
    """A comment as it is stored. Raises BadInputError when it is empty, too long or holds a zero byte."""
    cleaned = note.strip()
    if not cleaned or "\0" in cleaned:
        raise BadInputError("The comment is empty. Say why.")
    if len(cleaned) > LONGEST_NOTE:
        raise BadInputError(f"The comment has {len(cleaned):,} characters; at most {LONGEST_NOTE:,} are kept.")
    return cleaned
