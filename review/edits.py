"""The steps of a mask repair. An edit is data, so the steps can be stored with the mask."""

from dataclasses import dataclass
from enum import StrEnum

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
