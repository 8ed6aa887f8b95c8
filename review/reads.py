"""Read the queue: items, groups and decisions, by filters. Nothing here changes a row."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, func, select

from review.changes import CHUNK
from review.errors import BadInputError
from review.tables import contents, decision_of, items, pictures, queued_item, repaired_mask, repaired_masks
from schemas.review import JUDGED, UNKNOWN_NAME, Decision, MaskState, QueuedItem, State


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


@dataclass(frozen=True, slots=True)
class Cluster:
    """Two or more waiting look-alikes: their suggested names, the most frequent first, and one example."""

    cluster: str
    names: tuple[tuple[str, int], ...]
    example: str

    @property
    def name(self) -> str:
        """The most frequent name."""
        return self.names[0][0]

    @property
    def items(self) -> int:
        """How many wait."""
        return sum(count for _, count in self.names)

    @property
    def is_mixed(self) -> bool:
        """Whether they may be different things: they have several names, or no clear name."""
        return len(self.names) > 1 or self.name == UNKNOWN_NAME


def read_items(connection: Connection, item_ids: Sequence[str], with_pictures: bool = True) -> tuple[QueuedItem, ...]:
    """These items in this order, without those that are not there."""
    tables = (contents, pictures) if with_pictures else (contents,)
    query = select(items, *(column for table in tables for column in table.c if column.name != "item_id"))
    joined = query.select_from(items)
    for table in tables:
        joined = joined.join(table, table.c.item_id == items.c.item_id)
    rows = connection.execute(joined.where(items.c.item_id.in_(item_ids)))
    found = {row["item_id"]: queued_item(row) for row in rows.mappings()}
    repaired = [item_id for item_id, one in found.items() if one.mask_state is MaskState.REPAIRED]
    if repaired and with_pictures:
        masks = select(repaired_masks).where(repaired_masks.c.item_id.in_(repaired))
        for row in connection.execute(masks).mappings():
            found[row["item_id"]] = replace(found[row["item_id"]], repaired=repaired_mask(row))
    return tuple(found[item_id] for item_id in item_ids if item_id in found)


def read_chosen(connection: Connection, query: Select[Any], with_pictures: bool = True) -> tuple[QueuedItem, ...]:
    """The items whose ids a query finds, in its order."""
    return read_items(connection, connection.scalars(query).all(), with_pictures)


def list_items(
    connection: Connection, filters: Filters, states: Sequence[State], count: int, skip: int
) -> tuple[QueuedItem, ...]:
    """A page of items, highest rank first; see ``Queue.list_items``."""
    if not 1 <= count <= 500 or skip < 0:
        raise BadInputError("Between 1 and 500 items can be listed at once.")
    query = (
        select(items.c.item_id)
        .where(items.c.state.in_(states), *filters.conditions())
        .order_by(items.c.rank.desc(), items.c.item_id)
        .limit(count)
        .offset(skip)
    )
    return read_chosen(connection, query)


def items_after(
    connection: Connection, after: str, states: Sequence[State], filters: Filters, with_pictures: bool
) -> tuple[QueuedItem, ...]:
    """The next 200 items in order of their ids; fewer where these are the last."""
    query = (
        select(items.c.item_id)
        .where(items.c.state.in_(states), items.c.item_id > after, *filters.conditions())
        .order_by(items.c.item_id)
        .limit(CHUNK)
    )
    return read_chosen(connection, query, with_pictures)


def decisions_after(connection: Connection, after: str) -> list[Decision]:
    """The next 200 decisions in order of the items' ids; fewer where these are the last."""
    query = (
        select(items).where(items.c.state.in_(JUDGED), items.c.item_id > after).order_by(items.c.item_id).limit(CHUNK)
    )
    return [decision_of(row) for row in connection.execute(query).mappings()]


def recent(connection: Connection, reviewer: str, count: int) -> tuple[QueuedItem, ...]:
    """The latest decisions of a reviewer; see ``Queue.recent``."""
    query = (
        select(items.c.item_id)
        .where(items.c.decided_by == reviewer, items.c.state.in_(JUDGED))
        .order_by(items.c.decided_at.desc(), items.c.item_id)
        .limit(count)
    )
    return read_chosen(connection, query, with_pictures=False)


def count_items(connection: Connection, filters: Filters, states: Sequence[State]) -> int:
    """How many items are in these states."""
    query = select(func.count()).select_from(items).where(items.c.state.in_(states), *filters.conditions())
    return connection.scalar(query) or 0


def clusters(connection: Connection, filters: Filters, limit: int) -> tuple[Cluster, ...]:
    """The groups of look-alikes with the most items waiting."""
    waiting = func.count()
    of_groups = (items.c.state == State.PENDING, items.c.cluster.is_not(None), *filters.conditions())
    largest = (
        select(items.c.cluster, func.min(items.c.item_id))
        .where(*of_groups)
        .group_by(items.c.cluster)
        .having(waiting > 1)
        .order_by(waiting.desc(), items.c.cluster)
        .limit(limit)
    )
    examples = {cluster: example for cluster, example in connection.execute(largest)}
    held = (
        select(items.c.cluster, items.c.name, waiting)
        .where(*of_groups, items.c.cluster.in_(examples))
        .group_by(items.c.cluster, items.c.name)
        .order_by(waiting.desc(), items.c.name)
    )
    names: dict[str, list[tuple[str, int]]] = {cluster: [] for cluster in examples}
    for cluster, name, count in connection.execute(held):
        names[cluster].append((name, count))
    return tuple(Cluster(cluster, tuple(names[cluster]), example) for cluster, example in examples.items())
