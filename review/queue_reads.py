"""An open queue, and what can be asked of it. Nothing here changes a row."""

import os
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Self, TypeVar

from sqlalchemy import Connection, select

from review import opinions, places, reads
from review.audit import Audit, audit
from review.changes import CHUNK, read_rows, unknown_item
from review.database import Database, database_time
from review.errors import BadInputError
from review.names import NO_NAMES, KnownName
from review.opinions import Agreement, Disagreement
from review.places import Embedded, FindsMap
from review.reads import Cluster, Filters
from review.statistics import Stats, read_stats
from review.tables import event_of, events, names
from schemas.review import OPEN, Decision, Event, QueuedItem, State

Result = TypeVar("Result")


class OpenedQueue:
    """The base of ``Queue``."""

    def __init__(self, database: Database, lease: timedelta, clock: Callable[[], datetime] | None) -> None:
        self.database = database
        self.lease_time = lease
        self._clock = clock

    @classmethod
    def open(
        cls,
        url: str | os.PathLike[str],
        *,
        lease: timedelta = timedelta(minutes=5),
        patience: float = 15.0,
        create: bool = True,
        clock: Callable[[], datetime] | None = None,
    ) -> Self:
        """Open a queue. A queue of an older version is upgraded; with ``create``, a missing queue is created.

        ``url`` is a file (SQLite) or ``postgresql://user@host/database``. A lease lasts ``lease`` unless
        renewed; ``patience`` is for how many seconds a call waits for a database that is away. ``clock`` takes
        the place of the database's time.

        Raises BadInputError for a wrong address and ReviewError for a queue of a newer version.
        """
        if lease <= timedelta(0):
            raise BadInputError("A lease must last longer than 0 seconds.")
        return cls(Database(os.fspath(url), patience, create), lease, clock)

    def close(self) -> None:
        """Close the connections of the database."""
        self.database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _write(self, step: Callable[[Connection, datetime], Result], *, durable: bool = True) -> Result:
        """Run one step in a transaction, at the time of the database."""
        return self.database.write(lambda connection: step(connection, self._now(connection)), durable=durable)

    def _now(self, connection: Connection) -> datetime:
        return self._clock() if self._clock else database_time(connection)


EVERYTHING = Filters()


class QueueToRead(OpenedQueue):
    """The base of ``Queue``: what can be asked of it."""

    def item(self, item_id: str) -> QueuedItem:
        """One item with its current status. Raises UnknownItemError."""
        found = self.database.read(lambda c: reads.read_items(c, [item_id]))
        if not found:
            raise unknown_item(item_id)
        return found[0]

    def list_items(
        self,
        filters: Filters = EVERYTHING,
        states: Sequence[State] = OPEN,
        count: int = 20,
        *,
        skip: int = 0,
    ) -> tuple[QueuedItem, ...]:
        """Up to ``count`` items in these states, highest rank first, without leasing them."""
        return self.database.read(lambda c: reads.list_items(c, filters, states, count, skip))

    def walk(
        self, states: Sequence[State], filters: Filters = EVERYTHING, *, with_pictures: bool = True
    ) -> Iterator[QueuedItem]:
        """All items in these states, in order of their ids; a few hundred are in memory at a time.

        Without pictures, ``mask_rle`` and ``crop_jpeg`` are empty, and reading is many times as fast.
        """
        after = ""
        while True:
            query = partial(reads.items_after, after=after, states=states, filters=filters, with_pictures=with_pictures)
            found = self.database.read(query)
            yield from found
            if len(found) < CHUNK:
                return
            after = found[-1].item.item_id

    def decisions(self) -> Iterator[Decision]:
        """Every current decision, exported or not, in order of the items' ids."""
        after = ""
        while True:
            found = self.database.read(partial(reads.decisions_after, after=after))
            yield from found
            if len(found) < CHUNK:
                return
            after = found[-1].item_id

    def events(self, item_id: str) -> tuple[Event, ...]:
        """The history of an item, in order. Raises UnknownItemError."""
        query = select(events).where(events.c.item_id == item_id).order_by(events.c.event_id)
        rows = self.database.read(partial(read_rows, query=query))
        if not rows:
            raise unknown_item(item_id)
        return tuple(event_of(row) for row in rows)

    def count(self, filters: Filters = EVERYTHING, states: Sequence[State] = (State.PENDING,)) -> int:
        """How many items are in these states."""
        return self.database.read(lambda c: reads.count_items(c, filters, states))

    def clusters(self, filters: Filters = EVERYTHING, limit: int = 48) -> tuple[Cluster, ...]:
        """The groups of look-alikes with the most items waiting."""
        return self.database.read(lambda c: reads.clusters(c, filters, limit))

    def recent(self, reviewer: str, count: int = 200) -> tuple[QueuedItem, ...]:
        """The current decisions of a reviewer, the latest first, without pictures."""
        return self.database.read(lambda c: reads.recent(c, reviewer, count))

    def embeddings(self) -> Iterator[Embedded]:
        """The embedding of every item that is no duplicate, and its place on the map, in order of their ids."""
        after = ""
        while found := self.database.read(partial(places.embeddings_after, after=after)):
            yield from found
            after = found[-1].item_id

    def finds_map(self) -> FindsMap:
        """The map of finds, as mining drew it last."""
        return self.database.read(places.read_map)

    def audit(self) -> Audit:
        """What would become a wrong class of a dataset: decisions without a real name, and misspelt names."""
        return self.database.read(audit)

    def stats(self) -> Stats:
        """Progress: states, nights, reviewers, names, and the precision from the random share."""
        return self.database.read(lambda c: read_stats(c, self._now(c)))

    def disagreements(self) -> tuple[Disagreement, ...]:
        """Open disagreements, highest rank first; at most 500."""
        return self.database.read(opinions.disagreements)

    def agreement(self) -> Agreement:
        """How well reviewers agree on items that more than one of them judged."""
        return self.database.read(opinions.agreement)

    def vocabulary(self) -> tuple[KnownName, ...]:
        """All names that are offered, in alphabetical order, without words that are no name."""
        rows = self.database.read(partial(read_rows, query=select(names).order_by(names.c.name)))
        return tuple(KnownName(row["name"], row["known"]) for row in rows if row["name"].casefold() not in NO_NAMES)
