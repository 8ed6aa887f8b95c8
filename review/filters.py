"""Filters for items of the queue."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from sqlalchemy import ColumnElement

from review.tables import items


@dataclass(frozen=True, slots=True)
class Filters:
    """Conditions that an item must all meet; None means no condition.

    ``name`` is the suggested name; ``first_day`` and ``last_day`` are capture dates in UTC, both included;
    ``min_score`` and ``max_score`` bound the anomaly score in [0, 1]; ``items`` are ids, at most 500.
    """

    name: str | None = None
    drive: str | None = None
    cluster: str | None = None
    first_day: date | None = None
    last_day: date | None = None
    min_score: float | None = None
    max_score: float | None = None
    items: tuple[str, ...] | None = None

    def conditions(self) -> list[ColumnElement[bool]]:
        """The WHERE clauses over the table of items."""
        met: list[ColumnElement[bool]] = []
        if self.name is not None:
            met.append(items.c.name == self.name)
        if self.drive is not None:
            met.append(items.c.drive == self.drive)
        if self.cluster is not None:
            met.append(items.c.cluster == self.cluster)
        if self.first_day is not None:
            met.append(items.c.timestamp >= _midnight(self.first_day))
        if self.last_day is not None and self.last_day < date.max:
            met.append(items.c.timestamp < _midnight(self.last_day + timedelta(days=1)))
        if self.min_score is not None:
            met.append(items.c.score >= self.min_score)
        if self.max_score is not None:
            met.append(items.c.score <= self.max_score)
        if self.items is not None:
            met.append(items.c.item_id.in_(self.items))
        return met


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), tzinfo=UTC)
