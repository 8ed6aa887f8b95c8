"""What people say about masks, and the masks that they repaired, with the steps of the repair.

The masks in the tables do not change. An edit is data, so the steps can be stored with the mask.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from sqlalchemy import Connection, delete, update

from review.changes import insert_into
from review.revisions import note_event
from review.tables import items, repaired_masks
from schemas.review import EventKind, MaskState

MOST_EDITS = 50
MOST_POINTS = 400


class EditKind(StrEnum):
    """What an edit does; ``keep`` and ``drop`` mean the connected part nearest to a place."""

    KEEP = "keep"
    DROP = "drop"
    BOX = "box"
    LASSO = "lasso"
    ERASE = "erase"
    GROW = "grow"
    SHRINK = "shrink"
    SNAP = "snap"


@dataclass(frozen=True, slots=True)
class Edit:
    """One step. ``points``: one for keep and drop, two corners for a box, three or more for a lasso (which adds) and
    for erase (which takes away), none for the others."""

    kind: EditKind
    points: tuple[tuple[float, float], ...] = ()

    def told(self) -> str:
        """In words, as it is stored."""
        places = " ".join(f"{x:.4f},{y:.4f}" for x, y in self.points)
        return f"{self.kind.value} {places}".strip()


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
