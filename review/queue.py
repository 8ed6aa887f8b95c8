"""The queue: items in, leases out, decisions back. Every change is one transaction and leaves its events."""

import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import islice
from typing import Any, TypeVar

from sqlalchemy import Connection, RowMapping, Select, bindparam, exists, func, insert, select, text, update
from sqlalchemy.dialects import postgresql, sqlite

from review.database import Database
from review.errors import BadInputError, ConflictError, UnknownItemError
from review.filters import Filters
from review.names import KnownName, check_reviewer, clean_name
from review.rows import (
    content_columns,
    decision_of,
    event_of,
    item_columns,
    picture_columns,
    queued_item,
    status_columns,
    status_json,
    status_of,
)
from review.statistics import Stats, read_stats
from review.tables import contents, events, items, names, pictures
from review.validation import check_item
from schemas.review import Decision, Event, EventKind, ItemStatus, QueuedItem, ReviewItem, State, Verdict

EVERYTHING = Filters()
OPEN = (State.PENDING, State.LEASED, State.SNOOZED)
JUDGED = (State.DECIDED, State.EXPORTED)

_ENQUEUE_LOCK = 0x636C6971  # an arbitrary number that every enqueueing process agrees on
_CHUNK = 200
_MOST_WOKEN = 1000

Thing = TypeVar("Thing")


@dataclass(frozen=True, slots=True)
class Enqueued:
    """What became of the items handed in; ``superseded`` counts older items that gave way to them."""

    added: int = 0
    unchanged: int = 0
    duplicates: int = 0
    superseded: int = 0


@dataclass(frozen=True, slots=True)
class Cluster:
    """Two or more look-alikes that wait: the name of one, how many there are, and one to show for all."""

    cluster: str
    name: str
    items: int
    example: str


@dataclass(frozen=True, slots=True)
class _Change:
    item_id: str
    kind: EventKind
    before: ItemStatus | None
    after: ItemStatus
    undoes: int | None = None


class Queue:
    """A review queue. Made by ``Queue.open``; safe to share between threads.

    Any method may raise UnavailableError when the database stays away; nothing is changed then, and the
    same call may be made again.
    """

    def __init__(self, database: Database, lease: timedelta, clock: Callable[[], datetime]) -> None:
        self.database = database
        self.lease_time = lease
        self._clock = clock

    @classmethod
    def open(
        cls,
        url: str,
        *,
        lease: timedelta = timedelta(minutes=5),
        patience: float = 15.0,
        create: bool = True,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> "Queue":
        """Open a queue, upgrading one of an older version, and with ``create`` making it where there is none.

        ``url`` is a file (SQLite) or ``postgresql://user@host/database``. A lease lasts ``lease`` unless
        renewed; ``patience`` is for how many seconds a call waits for a database that is away.

        Raises BadInputError for an address that is none and ReviewError for a queue of a newer version.
        """
        if lease <= timedelta(0):
            raise BadInputError("A lease must last longer than no time at all.")
        return cls(Database(url, patience, create), lease, clock)

    def close(self) -> None:
        """Give back the database's connections."""
        self.database.close()

    def __enter__(self) -> "Queue":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # Into the queue

    def enqueue(self, new: Iterable[ReviewItem], *, actor: str = "mine") -> Enqueued:
        """Hand in items. Those that are there already stay as they are, whatever became of them.

        An item that ``supersedes`` open ones takes their place. Where one of them was judged, or is held by
        a reviewer, that one stays and the new item becomes its duplicate: no decision is ever erased.

        Raises BadInputError, naming the item, before anything of its chunk of 200 is written.
        """
        total = Enqueued()
        for chunk in _chunks(new):
            for item in chunk:
                check_item(item)
            unique = {item.item_id: item for item in chunk}
            done = self.database.write(partial(self._enqueue, new=unique, actor=actor, action=_new_action()))
            total = Enqueued(
                total.added + done.added,
                total.unchanged + done.unchanged + len(chunk) - len(unique),
                total.duplicates + done.duplicates,
                total.superseded + done.superseded,
            )
        return total

    def _enqueue(self, connection: Connection, new: dict[str, ReviewItem], actor: str, action: str) -> Enqueued:
        now = self._clock()
        if not self.database.is_sqlite:
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _ENQUEUE_LOCK})
        there = set(connection.scalars(select(items.c.item_id).where(items.c.item_id.in_(new))))
        coming: list[tuple[ReviewItem, ItemStatus]] = []
        superseded = duplicates = 0

        def write() -> None:
            if not coming:
                return
            connection.execute(insert(items), [item_columns(item, status, now) for item, status in coming])
            connection.execute(insert(contents), [content_columns(item) for item, _ in coming])
            connection.execute(insert(pictures), [picture_columns(item) for item, _ in coming])
            entered = [_Change(item.item_id, EventKind.ENQUEUED, None, status) for item, status in coming]
            self._apply(connection, action, actor, now, entered)
            coming.clear()

        for item in new.values():
            if item.item_id in there:
                continue
            original, giving_way = None, list[tuple[str, ItemStatus]]()
            if item.duplicate_of is not None or item.supersedes:
                write()  # it may point to one that came just before
                original, giving_way = self._settle(connection, item, now)
            coming.append((item, ItemStatus(State.DUPLICATE if original else State.PENDING, duplicate_of=original)))
            if giving_way:
                write()
                replaced = ItemStatus(State.DUPLICATE, duplicate_of=original or item.item_id)
                changes = [_Change(older, EventKind.SUPERSEDED, before, replaced) for older, before in giving_way]
                self._apply(connection, action, actor, now, changes)
            duplicates += original is not None
            superseded += len(giving_way)
        write()
        return Enqueued(len(new) - len(there) - duplicates, len(there), duplicates, superseded)

    def _settle(
        self, connection: Connection, item: ReviewItem, now: datetime
    ) -> tuple[str | None, list[tuple[str, ItemStatus]]]:
        """Whose duplicate a new item is, and the open items that give way to it (or to that one)."""
        originals: dict[str, ItemStatus] = {}
        if item.duplicate_of is not None:
            found = self._original(connection, item.duplicate_of)
            if found is None:
                raise BadInputError(
                    f"Item {item.item_id} is a duplicate of {item.duplicate_of}, which is not in the queue. "
                    "Hand that one in first."
                )
            return found[0], []
        for older in item.supersedes:
            # Few of the instances of an older scan ever came into the queue.
            found = self._original(connection, older)
            if found is not None:
                originals[found[0]] = found[1]
        staying = [key for key, status in originals.items() if status.state in JUDGED or _is_held(status, now)]
        giving_way = [(key, status) for key, status in originals.items() if key not in staying]
        return (staying[0] if staying else None), giving_way

    def _original(self, connection: Connection, item_id: str) -> tuple[str, ItemStatus] | None:
        """Follow duplicates to the item that stands for them."""
        while True:
            row = self._lock(connection, [item_id]).get(item_id)
            if row is None:
                return None
            if row["state"] != State.DUPLICATE:
                return item_id, status_of(row)
            item_id = row["duplicate_of"]

    def set_vocabulary(self, known: Iterable[str], candidates: Iterable[str] = ()) -> None:
        """Say which classes are known and which names to offer; names that people typed stay."""
        rows = {name: False for name in map(clean_name, candidates)} | {name: True for name in map(clean_name, known)}

        def work(connection: Connection) -> None:
            connection.execute(update(names).values(known=False))
            for name, is_known in rows.items():
                statement = self._insert(names).values(name=name, known=is_known)
                connection.execute(statement.on_conflict_do_update(index_elements=["name"], set_={"known": is_known}))

        self.database.write(work)

    def vocabulary(self) -> tuple[KnownName, ...]:
        """All names that are offered, in alphabetical order."""
        rows = self.database.read(partial(_all, query=select(names).order_by(names.c.name)))
        return tuple(KnownName(row["name"], row["known"]) for row in rows)

    # Leases

    def lease(
        self,
        reviewer: str,
        filters: Filters = EVERYTHING,
        count: int = 1,
        *,
        holding: Sequence[str] = (),
    ) -> tuple[QueuedItem, ...]:
        """Up to ``count`` items for a reviewer, highest rank first; nobody else gets them while leased.

        Items that the reviewer holds already come first, except those in ``holding``, whose leases are
        renewed. Leases that ran out and snoozes that are over return to the queue here.
        """
        check_reviewer(reviewer)
        if not 1 <= count <= 500:
            raise BadInputError("Between 1 and 500 items can be leased at once.")
        action = _new_action()
        # A lease lost in a power cut costs nobody anything: the item is in the queue again.
        return self.database.write(lambda c: self._lease(c, reviewer, filters, count, holding, action), durable=False)

    def _lease(
        self,
        connection: Connection,
        reviewer: str,
        filters: Filters,
        count: int,
        holding: Sequence[str],
        action: str,
    ) -> tuple[QueuedItem, ...]:
        now = self._clock()
        self._wake(connection, action, now)
        self._renew(connection, reviewer, holding, now)
        order = (items.c.rank.desc(), items.c.item_id)
        held = connection.scalars(
            select(items.c.item_id)
            .where(
                items.c.state == State.LEASED,
                items.c.holder == reviewer,
                items.c.item_id.not_in(holding),
                *filters.conditions(),
            )
            .order_by(*order)
            .limit(count)
        ).all()
        self._renew(connection, reviewer, held, now)
        fresh = connection.scalars(
            select(items.c.item_id)
            .where(items.c.state == State.PENDING, *filters.conditions())
            .order_by(*order)
            .limit(count - len(held))
            .with_for_update(skip_locked=True)
        ).all()
        leased = ItemStatus(State.LEASED, holder=reviewer, until=now + self.lease_time)
        self._apply(
            connection,
            action,
            reviewer,
            now,
            [_Change(item_id, EventKind.LEASED, ItemStatus(State.PENDING), leased) for item_id in fresh],
        )
        found = self._read(connection, [*held, *fresh])
        # Another window of the same reviewer may have judged one of them a moment ago.
        return tuple(queued for queued in found if queued.status.state is State.LEASED)

    def _wake(self, connection: Connection, action: str, now: datetime) -> None:
        """Return to the queue what was leased or snoozed until now."""
        over = connection.execute(
            select(items)
            .where(items.c.state.in_((State.LEASED, State.SNOOZED)), items.c.until <= now)
            .order_by(items.c.until)
            .limit(_MOST_WOKEN)
            .with_for_update(skip_locked=True)
        ).mappings()
        changes = []
        for row in over:
            before = status_of(row)
            kind = EventKind.EXPIRED if before.state is State.LEASED else EventKind.WOKEN
            changes.append(_Change(row["item_id"], kind, before, ItemStatus(State.PENDING)))
        self._apply(connection, action, "clock", now, changes)

    def renew(self, reviewer: str, item_ids: Sequence[str]) -> tuple[str, ...]:
        """Lengthen leases from now on; the ids that the reviewer still holds. Renewals leave no event."""

        def work(connection: Connection) -> tuple[str, ...]:
            now = self._clock()
            self._renew(connection, reviewer, item_ids, now)
            held = connection.scalars(
                select(items.c.item_id).where(
                    items.c.item_id.in_(item_ids),
                    items.c.state == State.LEASED,
                    items.c.holder == reviewer,
                    items.c.until > now,
                )
            )
            still = set(held)
            return tuple(item_id for item_id in item_ids if item_id in still)

        return self.database.write(work, durable=False)

    def _renew(self, connection: Connection, reviewer: str, item_ids: Sequence[str], now: datetime) -> None:
        if item_ids:
            connection.execute(
                update(items)
                .where(
                    items.c.item_id.in_(item_ids),
                    items.c.state == State.LEASED,
                    items.c.holder == reviewer,
                    items.c.until > now,
                )
                .values(until=now + self.lease_time)
            )

    def release(self, reviewer: str, item_ids: Sequence[str] | None = None) -> int:
        """Give leased items back, all of the reviewer's where none are named; how many there were."""
        action = _new_action()

        def work(connection: Connection) -> int:
            condition = [items.c.state == State.LEASED, items.c.holder == reviewer]
            if item_ids is not None:
                condition.append(items.c.item_id.in_(item_ids))
            rows = connection.execute(select(items).where(*condition).order_by(items.c.item_id).with_for_update())
            changes = [
                _Change(row["item_id"], EventKind.RELEASED, status_of(row), ItemStatus(State.PENDING))
                for row in rows.mappings()
            ]
            self._apply(connection, action, reviewer, self._clock(), changes)
            return len(changes)

        return self.database.write(work, durable=False)

    # Decisions

    def decide(
        self,
        reviewer: str,
        item_ids: str | Sequence[str],
        verdict: Verdict,
        name: str | None = None,
        *,
        action_id: str | None = None,
    ) -> tuple[Decision, ...]:
        """Judge one item, or several alike: all of them or none.

        ``relabel`` and ``known`` need a name; ``accept`` takes the suggested one, the others none. Calling
        it the suggested name is an ``accept``, and relabelling to a known class is ``known``. An item need
        not be leased, but nobody else may hold it. The same ``action_id`` twice decides once.

        Raises UnknownItemError, BadInputError for a name that cannot be taken, and ConflictError when
        another reviewer holds an item or it is judged already.
        """
        check_reviewer(reviewer)
        wanted = _unique(item_ids)
        if verdict in (Verdict.RELABEL, Verdict.KNOWN):
            if name is None:
                raise BadInputError(f"The verdict {verdict.value!r} needs a name.")
            name = clean_name(name)
        elif name is not None:
            raise BadInputError(f"The verdict {verdict.value!r} takes no name.")
        action = _check_action(action_id)
        return self.database.write(lambda c: self._decide(c, reviewer, wanted, verdict, name, action))

    def _decide(
        self,
        connection: Connection,
        reviewer: str,
        wanted: Sequence[str],
        verdict: Verdict,
        name: str | None,
        action: str,
    ) -> tuple[Decision, ...]:
        now = self._clock()
        rows = self._lock(connection, wanted)
        if not self._is_done(connection, action, reviewer, EventKind.DECIDED):
            verdict, name = self._settle_name(connection, verdict, name)
            changes = []
            for item_id in wanted:
                row = _check_open(rows, item_id, reviewer, now)
                same = verdict is Verdict.RELABEL and name == row["name"]
                accepted = same or verdict is Verdict.ACCEPT
                after = ItemStatus(
                    State.DECIDED,
                    verdict=Verdict.ACCEPT if same else verdict,
                    name=row["name"] if accepted else name,
                    decided_by=reviewer,
                    decided_at=now,
                )
                changes.append(_Change(item_id, EventKind.DECIDED, status_of(row), after))
            self._apply(connection, action, reviewer, now, changes)
        done = connection.execute(select(events).where(events.c.action_id == action).order_by(events.c.event_id))
        return tuple(_decided(event_of(row)) for row in done.mappings())

    def _settle_name(self, connection: Connection, verdict: Verdict, name: str | None) -> tuple[Verdict, str | None]:
        """Take the spelling and the kind of a name that is there already; remember one that is new."""
        if name is None:
            return verdict, None
        match = connection.execute(
            select(names).where(func.lower(names.c.name) == name.lower()).order_by(names.c.known.desc())
        ).mappings()
        there = match.first()
        if there is not None and there["known"]:
            return Verdict.KNOWN, there["name"]
        if verdict is Verdict.KNOWN:
            if connection.scalar(select(func.count()).where(names.c.known)):
                raise BadInputError(f"{name!r} is no class of the known vocabulary. Choose one that is, or relabel.")
            return verdict, name
        if there is not None:
            return verdict, there["name"]
        connection.execute(self._insert(names).values(name=name, known=False).on_conflict_do_nothing())
        return verdict, name

    def snooze(
        self,
        reviewer: str,
        item_ids: str | Sequence[str],
        length: timedelta = timedelta(days=1),
        *,
        action_id: str | None = None,
    ) -> datetime:
        """Put items away for a time; when they come back. Raises as ``decide`` does."""
        check_reviewer(reviewer)
        wanted = _unique(item_ids)
        if not timedelta(0) < length <= timedelta(days=366):
            raise BadInputError("An item can be snoozed for up to 366 days.")
        action = _check_action(action_id)

        def work(connection: Connection) -> datetime:
            now = self._clock()
            rows = self._lock(connection, wanted)
            after = ItemStatus(State.SNOOZED, holder=reviewer, until=now + length)
            if not self._is_done(connection, action, reviewer, EventKind.SNOOZED):
                changes = [
                    _Change(item_id, EventKind.SNOOZED, status_of(_check_open(rows, item_id, reviewer, now)), after)
                    for item_id in wanted
                ]
                self._apply(connection, action, reviewer, now, changes)
            return now + length

        return self.database.write(work)

    def undo(
        self, reviewer: str, item_id: str | None = None, *, action_id: str | None = None
    ) -> tuple[QueuedItem, ...]:
        """Take back the reviewer's last decision or snooze, or their last one on ``item_id``.

        What was decided together is taken back together. The items come back leased to the reviewer.
        The same ``action_id`` twice takes back once.

        Raises ConflictError when there is nothing of theirs to take back.
        """
        check_reviewer(reviewer)
        action = _check_action(action_id)
        return self.database.write(lambda c: self._undo(c, reviewer, item_id, action))

    def _undo(self, connection: Connection, reviewer: str, item_id: str | None, action: str) -> tuple[QueuedItem, ...]:
        now = self._clock()
        if self._is_done(connection, action, reviewer, EventKind.UNDONE):
            again = select(events.c.item_id).where(events.c.action_id == action).order_by(events.c.event_id)
            return self._read_chosen(connection, again)
        later = events.alias("later")
        # What happened to the item since, exports aside, leaves nothing to take back: an undo, a snooze's end.
        still_last = ~exists().where(
            later.c.item_id == events.c.item_id,
            later.c.event_id > events.c.event_id,
            later.c.kind != EventKind.EXPORTED,
        )
        done = events.c.kind.in_((EventKind.DECIDED, EventKind.SNOOZED))
        last = (
            select(events.c.action_id)
            .where(events.c.actor == reviewer, done, still_last)
            .order_by(events.c.event_id.desc())
            .limit(1)
        )
        if item_id is not None:
            last = last.where(events.c.item_id == item_id)
        undone = connection.scalar(last)
        if undone is None:
            raise ConflictError("There is nothing of yours to undo.")
        of_action = select(events).where(events.c.action_id == undone).order_by(events.c.event_id)
        rows = self._lock(connection, [row["item_id"] for row in _all(connection, of_action)])
        leased = ItemStatus(State.LEASED, holder=reviewer, until=now + self.lease_time)
        changes = [
            _Change(row["item_id"], EventKind.UNDONE, status_of(rows[row["item_id"]]), leased, row["event_id"])
            for row in _all(connection, of_action.where(still_last))
        ]
        if not changes:
            raise ConflictError("It was taken back a moment ago.")
        self._apply(connection, action, reviewer, now, changes)
        return self._read(connection, [change.item_id for change in changes])

    def mark_exported(self, item_ids: Iterable[str], *, actor: str) -> int:
        """Note that decided items were handed over; how many of them had not been before."""
        marked = 0
        for chunk in _chunks(item_ids):
            marked += self.database.write(
                partial(self._mark_exported, item_ids=chunk, actor=actor, action=_new_action())
            )
        return marked

    def _mark_exported(self, connection: Connection, item_ids: Sequence[str], actor: str, action: str) -> int:
        changes = []
        for item_id, row in self._lock(connection, item_ids).items():
            before = status_of(row)
            if before.state is State.DECIDED:
                after = replace(before, state=State.EXPORTED)
                changes.append(_Change(item_id, EventKind.EXPORTED, before, after))
        self._apply(connection, action, actor, self._clock(), changes)
        return len(changes)

    # Looking

    def item(self, item_id: str) -> QueuedItem:
        """One item as it stands. Raises UnknownItemError."""
        found = self.database.read(lambda c: self._read(c, [item_id]))
        if not found:
            raise UnknownItemError(_unknown(item_id))
        return found[0]

    def list_items(
        self,
        filters: Filters = EVERYTHING,
        states: Sequence[State] = OPEN,
        count: int = 20,
        *,
        skip: int = 0,
    ) -> tuple[QueuedItem, ...]:
        """Up to ``count`` items in these states, highest rank first, without holding them."""
        if not 1 <= count <= 500 or skip < 0:
            raise BadInputError("Between 1 and 500 items can be listed at once.")
        query = (
            select(items.c.item_id)
            .where(items.c.state.in_(states), *filters.conditions())
            .order_by(items.c.rank.desc(), items.c.item_id)
            .limit(count)
            .offset(skip)
        )
        return self.database.read(partial(self._read_chosen, query=query))

    def walk(
        self, states: Sequence[State], filters: Filters = EVERYTHING, *, with_pictures: bool = True
    ) -> Iterator[QueuedItem]:
        """All items in these states, in order of their ids, a few hundred in memory at a time.

        Without pictures ``mask_rle`` and ``crop_jpeg`` are empty, and a queue is read many times as fast.
        """
        after = ""
        while True:
            query = (
                select(items.c.item_id)
                .where(items.c.state.in_(states), items.c.item_id > after, *filters.conditions())
                .order_by(items.c.item_id)
                .limit(_CHUNK)
            )
            found = self.database.read(partial(self._read_chosen, query=query, with_pictures=with_pictures))
            yield from found
            if len(found) < _CHUNK:
                return
            after = found[-1].item.item_id

    def decisions(self) -> Iterator[Decision]:
        """Every decision that stands, exported or not, in order of the items' ids."""
        after = ""
        while True:
            query = (
                select(items)
                .where(items.c.state.in_(JUDGED), items.c.item_id > after)
                .order_by(items.c.item_id)
                .limit(_CHUNK)
            )
            rows = self.database.read(partial(_all, query=query))
            yield from map(decision_of, rows)
            if len(rows) < _CHUNK:
                return
            after = rows[-1]["item_id"]

    def events(self, item_id: str) -> tuple[Event, ...]:
        """All that happened to an item, in order. Raises UnknownItemError."""
        query = select(events).where(events.c.item_id == item_id).order_by(events.c.event_id)
        rows = self.database.read(partial(_all, query=query))
        if not rows:
            raise UnknownItemError(_unknown(item_id))
        return tuple(event_of(row) for row in rows)

    def count(self, filters: Filters = EVERYTHING, states: Sequence[State] = (State.PENDING,)) -> int:
        """How many items are in these states."""
        query = select(func.count()).select_from(items).where(items.c.state.in_(states), *filters.conditions())
        return self.database.read(lambda c: c.scalar(query)) or 0

    def clusters(self, filters: Filters = EVERYTHING, limit: int = 48) -> tuple[Cluster, ...]:
        """The groups of look-alikes with the most items waiting."""
        waiting = func.count()
        query = (
            select(items.c.cluster, func.min(items.c.name), waiting, func.min(items.c.item_id))
            .where(items.c.state == State.PENDING, items.c.cluster.is_not(None), *filters.conditions())
            .group_by(items.c.cluster)
            .having(waiting > 1)
            .order_by(waiting.desc(), items.c.cluster)
            .limit(limit)
        )
        rows = self.database.read(lambda c: c.execute(query).all())
        return tuple(Cluster(*row) for row in rows)

    def stats(self) -> Stats:
        """How far the review is: states, nights, reviewers, names, and what the random share says."""
        now = self._clock()
        return self.database.read(lambda c: read_stats(c, now))

    # What the above share

    def _insert(self, table: Any) -> Any:
        return sqlite.insert(table) if self.database.is_sqlite else postgresql.insert(table)

    def _lock(self, connection: Connection, item_ids: Sequence[str]) -> dict[str, RowMapping]:
        """The rows of these items, locked in the order of their ids so that two calls never deadlock."""
        rows = connection.execute(
            select(items).where(items.c.item_id.in_(item_ids)).order_by(items.c.item_id).with_for_update()
        )
        return {row["item_id"]: row for row in rows.mappings()}

    def _read(
        self, connection: Connection, item_ids: Sequence[str], with_pictures: bool = True
    ) -> tuple[QueuedItem, ...]:
        """These items in this order, without those that are not there."""
        tables = (contents, pictures) if with_pictures else (contents,)
        query = select(items, *(column for table in tables for column in table.c if column.name != "item_id"))
        joined = query.select_from(items)
        for table in tables:
            joined = joined.join(table, table.c.item_id == items.c.item_id)
        rows = connection.execute(joined.where(items.c.item_id.in_(item_ids)))
        found = {row["item_id"]: queued_item(row) for row in rows.mappings()}
        return tuple(found[item_id] for item_id in item_ids if item_id in found)

    def _read_chosen(
        self, connection: Connection, query: Select[Any], with_pictures: bool = True
    ) -> tuple[QueuedItem, ...]:
        return self._read(connection, connection.scalars(query).all(), with_pictures)

    def _is_done(self, connection: Connection, action: str, actor: str, kind: EventKind) -> bool:
        """Whether this very call came through before; checked while its items are locked."""
        row = connection.execute(
            select(events.c.actor, events.c.kind).where(events.c.action_id == action).limit(1)
        ).first()
        if row is not None and tuple(row) != (actor, kind):
            raise BadInputError("This action id belongs to another action. Make a new one for each.")
        return row is not None

    def _apply(self, connection: Connection, action: str, actor: str, at: datetime, changes: Sequence[_Change]) -> None:
        """Write changes and their events."""
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
                    }
                    for change in changes
                ],
            )


def _all(connection: Connection, query: Select[Any]) -> Sequence[RowMapping]:
    return connection.execute(query).mappings().all()


def _chunks(things: Iterable[Thing]) -> Iterator[list[Thing]]:
    iterator = iter(things)
    while chunk := list(islice(iterator, _CHUNK)):
        yield chunk


def _is_held(status: ItemStatus, now: datetime) -> bool:
    return status.state is State.LEASED and status.until is not None and status.until > now


def _check_open(rows: Mapping[str, RowMapping], item_id: str, reviewer: str, now: datetime) -> RowMapping:
    """The row of an item that this reviewer may judge now."""
    row = rows.get(item_id)
    if row is None:
        raise UnknownItemError(_unknown(item_id))
    status = status_of(row)
    if status.state in JUDGED:
        assert status.verdict is not None and status.decided_at is not None
        named = f" as {status.name}" if status.name else ""
        who = "You have" if status.decided_by == reviewer else f"{status.decided_by} has"
        raise ConflictError(
            f"{who} decided item {item_id} already: {status.verdict.value}{named}, "
            f"{status.decided_at:%d %B %H:%M} UTC. That stands until undone."
        )
    if status.state is State.DUPLICATE:
        raise ConflictError(f"Item {item_id} shows the same object as {status.duplicate_of}. Judge that one.")
    if status.holder != reviewer and _is_held(status, now):
        raise ConflictError(
            f"{status.holder} holds item {item_id} until {status.until:%H:%M} UTC. Your decision was not "
            "recorded; take another item."
        )
    return row


def _decided(event: Event) -> Decision:
    after = event.after
    assert after.verdict is not None and after.decided_by is not None and after.decided_at is not None
    return Decision(event.item_id, after.verdict, after.name, after.decided_by, after.decided_at)


def _unique(item_ids: str | Sequence[str]) -> list[str]:
    wanted = [item_ids] if isinstance(item_ids, str) else list(dict.fromkeys(item_ids))
    if not 1 <= len(wanted) <= 500:
        raise BadInputError("Between 1 and 500 items can be judged at once.")
    return wanted


def _unknown(item_id: str) -> str:
    return f"The queue has no item {item_id[:64]!r}. Check the id, and that this is the right queue."


def _new_action() -> str:
    return secrets.token_hex(16)


def _check_action(action_id: str | None) -> str:
    if action_id is None:
        return _new_action()
    if not (8 <= len(action_id) <= 64 and action_id.isascii() and action_id.isalnum()):
        raise BadInputError("An action id has 8 to 64 letters and digits.")
    return action_id
