"""What people say about masks, and the masks that they repaired. The masks in the tables do not change."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection, delete, update

from review.changes import insert_into
from review.revisions import note_event
from review.tables import items, repaired_masks
from schemas.review import EventKind, MaskState


def set_state(
    connection: Connection, now: datetime, reviewer: str, item_id: str, state: MaskState | None, action: str
) -> None:
    """Say that a mask is right or wrong, or remove this; see ``Queue.flag_mask``."""
    said = state.value if state else "nothing said"
    note_event(connection, now, reviewer, item_id, EventKind.MASK, said, action)
    connection.execute(delete(repaired_masks).where(repaired_masks.c.item_id == item_id))
    _write_state(connection, item_id, state)


def repair(
    connection: Connection,
    now: datetime,
    reviewer: str,
    item_id: str,
    mask_rle: bytes,
    edits: Sequence[str],
    action: str,
) -> None:
    """Store a repaired mask beside the mask of the item; see ``Queue.repair_mask``."""
    note_event(connection, now, reviewer, item_id, EventKind.MASK, f"repaired: {'; '.join(edits)}"[:2000], action)
    row = {"mask_rle": mask_rle, "edits": [*edits], "repaired_by": reviewer, "repaired_at": now}
    statement = insert_into(connection, repaired_masks).values(item_id=item_id, **row)
    connection.execute(statement.on_conflict_do_update(index_elements=["item_id"], set_=row))
    _write_state(connection, item_id, MaskState.REPAIRED)


def _write_state(connection: Connection, item_id: str, state: MaskState | None) -> None:
    statement = update(items).where(items.c.item_id == item_id)
    connection.execute(statement.values(mask_state=state.value if state else None))
