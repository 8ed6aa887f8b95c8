"""The queue, the same on SQLite and PostgreSQL."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import date, timedelta
from operator import methodcaller
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from sqlalchemy import MetaData, Table, create_engine, insert, text, update
from sqlalchemy.exc import DBAPIError

import review
from review import BadInputError, ConflictError, Filters, Queue, ReviewError, UnknownItemError
from review.database import Database
from review.tables import content_columns, events, item_columns, items, metadata, picture_columns
from schemas.review import Box, EventKind, ItemStatus, NameScore, State, Verdict
from tests.review.conftest import Clock
from tests.review.samples import make_item, make_items
from tests.review.trail import check_trail


def ids(leased: tuple) -> list[str]:
    return [queued.item.item_id for queued in leased]


def test_items_come_back_as_they_went_in(queue: Queue) -> None:
    item = make_item(3)
    assert queue.enqueue([item]).added == 1
    queued = queue.item(item.item_id)
    assert queued.item == item
    assert queued.status.state is State.PENDING


def test_enqueueing_again_changes_nothing(queue: Queue) -> None:
    queue.enqueue(make_items(4))
    queue.decide("ann", "item000001", Verdict.ACCEPT)
    before = [queue.events(item.item_id) for item in make_items(4)]
    again = queue.enqueue([*make_items(5), make_item(4)])
    assert (again.added, again.unchanged) == (1, 5)
    assert [queue.events(item.item_id) for item in make_items(4)] == before


def test_highest_rank_first_and_nobody_gets_what_another_holds(queue: Queue) -> None:
    queue.enqueue(make_items(6)[::-1])
    assert ids(queue.lease("ann", count=2)) == ["item000000", "item000001"]
    assert ids(queue.lease("bob", count=2)) == ["item000002", "item000003"]
    assert ids(queue.lease("ann", count=3, holding=["item000000"])) == ["item000001", "item000004", "item000005"]
    assert ids(queue.lease("cid", count=3)) == []


def test_leases_run_out_unless_renewed(queue: Queue, clock: Clock) -> None:
    queue.enqueue(make_items(2))
    queue.lease("ann", count=2)
    clock.advance(minutes=4)
    assert queue.renew("ann", ["item000000"]) == ("item000000",)
    clock.advance(minutes=2)
    assert ids(queue.lease("bob", count=2)) == ["item000001"]
    assert queue.renew("ann", ["item000000", "item000001"]) == ("item000000",)
    with pytest.raises(ConflictError, match="bob holds item item000001 until 06:11 UTC"):
        queue.decide("ann", "item000001", Verdict.ACCEPT)
    kinds = [event.kind for event in queue.events("item000001")]
    assert kinds == [EventKind.ENQUEUED, EventKind.LEASED, EventKind.EXPIRED, EventKind.LEASED]
    check_trail(queue, "item000000")


def test_a_decision_after_the_lease_ran_out_counts_when_nobody_took_the_item(queue: Queue, clock: Clock) -> None:
    queue.enqueue(make_items(1))
    queue.lease("ann")
    clock.advance(hours=1)
    queue.decide("ann", "item000000", Verdict.ACCEPT)
    assert check_trail(queue, "item000000") == 1


def test_release_gives_back(queue: Queue) -> None:
    queue.enqueue(make_items(3))
    queue.lease("ann", count=3)
    assert queue.release("bob") == 0
    assert queue.release("ann", ["item000002"]) == 1
    assert ids(queue.lease("bob", count=3)) == ["item000002"]
    assert queue.release("ann") == 2


@pytest.mark.parametrize(
    ("verdict", "given", "stored"),
    [
        (Verdict.ACCEPT, None, (Verdict.ACCEPT, "traffic cone")),
        (Verdict.RELABEL, "  Garden \n gnome ", (Verdict.RELABEL, "Garden gnome")),
        (Verdict.RELABEL, "traffic cone", (Verdict.ACCEPT, "traffic cone")),
        (Verdict.RELABEL, "Pallet", (Verdict.RELABEL, "pallet")),
        (Verdict.RELABEL, "Car", (Verdict.KNOWN, "car")),
        (Verdict.KNOWN, "car", (Verdict.KNOWN, "car")),
        (Verdict.NOT_AN_OBJECT, None, (Verdict.NOT_AN_OBJECT, None)),
        (Verdict.UNSURE, None, (Verdict.UNSURE, None)),
    ],
)
def test_verdicts(
    queue: Queue, clock: Clock, verdict: Verdict, given: str | None, stored: tuple[Verdict, str | None]
) -> None:
    queue.set_vocabulary(["car", "road"], ["pallet"])
    queue.enqueue(make_items(1))
    (decision,) = queue.decide("ann", "item000000", verdict, given)
    assert (decision.verdict, decision.name, decision.reviewer, decision.decided_at) == (*stored, "ann", clock.now)
    assert list(queue.decisions()) == [decision]
    assert check_trail(queue, "item000000") == 1


@pytest.mark.parametrize(
    ("verdict", "name", "message"),
    [
        (Verdict.RELABEL, None, "needs a name"),
        (Verdict.RELABEL, " \n ", "name is empty"),
        (Verdict.RELABEL, "x" * 10_000, r"has 10,000 characters; at most 100 are kept"),
        (Verdict.RELABEL, "a\u202eb", "cannot be seen"),
        (Verdict.RELABEL, "nul\0", "cannot be seen"),
        (Verdict.KNOWN, "submarine", "no class of the known vocabulary"),
        (Verdict.ACCEPT, "cone", "takes no name"),
    ],
)
def test_names_that_cannot_be_taken(queue: Queue, verdict: Verdict, name: str | None, message: str) -> None:
    queue.set_vocabulary(["car"])
    queue.enqueue(make_items(1))
    with pytest.raises(BadInputError, match=message):
        queue.decide("ann", "item000000", verdict, name)
    assert queue.item("item000000").status.state is State.PENDING


def test_typed_names_are_offered_afterwards(queue: Queue) -> None:
    queue.set_vocabulary(["road"], ["pallet"])
    queue.enqueue(make_items(1))
    queue.decide("ann", "item000000", Verdict.RELABEL, "garden gnome")
    queue.set_vocabulary(["road", "pallet"])
    offered = [(name.name, name.known) for name in queue.vocabulary()]
    assert offered == [("garden gnome", False), ("pallet", True), ("road", True)]


def test_many_are_judged_together_or_not_at_all(queue: Queue) -> None:
    queue.enqueue(make_items(4))
    queue.lease("bob")
    with pytest.raises(ConflictError, match="bob holds"):
        queue.decide("ann", ["item000002", "item000001", "item000000"], Verdict.ACCEPT)
    assert not list(queue.decisions())
    queue.decide("ann", ["item000002", "item000001", "item000002"], Verdict.NOT_AN_OBJECT)
    assert [decision.item_id for decision in queue.decisions()] == ["item000001", "item000002"]
    assert ids(queue.undo("ann")) == ["item000002", "item000001"]
    assert not list(queue.decisions())


def test_the_first_decision_stands(queue: Queue) -> None:
    queue.enqueue(make_items(1))
    queue.decide("ann", "item000000", Verdict.ACCEPT)
    with pytest.raises(ConflictError, match="ann has decided item item000000 already: accept as traffic cone"):
        queue.decide("bob", "item000000", Verdict.UNSURE)
    with pytest.raises(ConflictError, match="You have decided"):
        queue.snooze("ann", "item000000")
    assert check_trail(queue, "item000000") == 1


def test_a_call_sent_twice_counts_once(queue: Queue) -> None:
    queue.enqueue(make_items(2))
    first = queue.decide("ann", "item000000", Verdict.ACCEPT, action_id="a" * 32)
    assert queue.decide("ann", "item000000", Verdict.ACCEPT, action_id="a" * 32) == first
    with pytest.raises(BadInputError, match="belongs to another action"):
        queue.snooze("ann", "item000001", action_id="a" * 32)
    assert ids(queue.undo("ann", action_id="b" * 32)) == ["item000000"]
    assert ids(queue.undo("ann", action_id="b" * 32)) == ["item000000"]
    assert [event.kind for event in queue.events("item000000")].count(EventKind.UNDONE) == 1


def test_undo_walks_back_and_never_touches_what_others_did(queue: Queue, clock: Clock) -> None:
    queue.enqueue(make_items(3))
    queue.decide("ann", "item000000", Verdict.ACCEPT)
    queue.decide("bob", "item000001", Verdict.ACCEPT)
    queue.snooze("ann", "item000002")
    (back,) = queue.undo("ann")
    assert (back.item.item_id, back.status.state, back.status.holder) == ("item000002", State.LEASED, "ann")
    assert ids(queue.undo("ann")) == ["item000000"]
    with pytest.raises(ConflictError, match="nothing of yours to undo"):
        queue.undo("ann")
    with pytest.raises(ConflictError, match="nothing of yours to undo"):
        queue.undo("ann", "item000001")
    queue.decide("ann", "item000000", Verdict.UNSURE)
    assert check_trail(queue, "item000000") == 1
    undone = next(event for event in queue.events("item000000") if event.kind is EventKind.UNDONE)
    assert undone.before is not None and undone.before.verdict is Verdict.ACCEPT


def test_undo_passes_over_a_snooze_that_is_over(queue: Queue, clock: Clock) -> None:
    queue.enqueue(make_items(2))
    queue.decide("ann", "item000000", Verdict.ACCEPT)
    queue.snooze("ann", "item000001", timedelta(hours=1))
    clock.advance(hours=2)
    assert ids(queue.lease("bob")) == ["item000001"]
    assert ids(queue.undo("ann")) == ["item000000"]


def test_undo_of_one_item(queue: Queue) -> None:
    queue.enqueue(make_items(3))
    for item in make_items(3):
        queue.decide("ann", item.item_id, Verdict.ACCEPT)
    assert ids(queue.undo("ann", "item000001")) == ["item000001"]
    assert ids(queue.undo("ann")) == ["item000002"]


def test_snoozed_items_come_back(queue: Queue, clock: Clock) -> None:
    queue.enqueue(make_items(1))
    assert queue.snooze("ann", "item000000", timedelta(hours=8)) == clock.now + timedelta(hours=8)
    assert ids(queue.lease("bob")) == []
    clock.advance(hours=8)
    assert ids(queue.lease("bob")) == ["item000000"]
    assert EventKind.WOKEN in [event.kind for event in queue.events("item000000")]
    with pytest.raises(BadInputError, match="366 days"):
        queue.snooze("bob", "item000000", timedelta(days=400))


def test_duplicates_point_to_the_first(queue: Queue) -> None:
    queue.enqueue([make_item(0), make_item(1, duplicate_of="item000000"), make_item(2, duplicate_of="item000001")])
    assert queue.item("item000002").status.duplicate_of == "item000000"
    assert ids(queue.lease("ann", count=5)) == ["item000000"]
    with pytest.raises(ConflictError, match="same object as item000000"):
        queue.decide("ann", "item000001", Verdict.ACCEPT)
    with pytest.raises(BadInputError, match="item000003 is a duplicate of nowhere, which is not in the queue"):
        queue.enqueue([make_item(3, duplicate_of="nowhere")])


def test_a_newer_scan_supersedes_what_is_open_and_never_a_decision(queue: Queue, clock: Clock) -> None:
    queue.enqueue(make_items(4))
    queue.decide("ann", "item000000", Verdict.RELABEL, "garden gnome")
    queue.lease("bob")  # item000001
    queue.snooze("ann", "item000002")
    newer = [
        make_item(number + 100, scan_id="scan-2", supersedes=(f"item{number:06d}",), item_id=f"newer{number}")
        for number in range(5)
    ]
    done = queue.enqueue(newer)
    assert (done.added, done.duplicates, done.superseded) == (3, 2, 2)
    assert (done.new, done.replacing) == (1, 2)
    assert queue.item("newer0").status.duplicate_of == "item000000"
    assert queue.item("item000000").status.name == "garden gnome"
    assert queue.item("newer1").status.duplicate_of == "item000001"
    assert queue.item("item000002").status.duplicate_of == "newer2"
    assert queue.item("item000003").status.duplicate_of == "newer3"
    assert queue.item("newer4").status.state is State.PENDING
    for item in [*make_items(4), *newer]:
        check_trail(queue, item.item_id)
    # A third scan names the oldest: it stands for what replaced that.
    queue.enqueue([make_item(200, item_id="newest", supersedes=("item000003",))])
    assert queue.item("newer3").status.duplicate_of == "newest"


def test_exported_decisions_stay_and_can_be_undone(queue: Queue) -> None:
    queue.enqueue(make_items(3))
    queue.decide("ann", ["item000000", "item000001"], Verdict.ACCEPT)
    everything = [item.item_id for item in make_items(3)]
    assert queue.mark_exported(everything, actor="dataset") == 2
    assert queue.mark_exported(everything, actor="dataset") == 0
    assert queue.item("item000000").status.state is State.EXPORTED
    assert len(list(queue.decisions())) == 2
    with pytest.raises(ConflictError, match="already"):
        queue.decide("bob", "item000000", Verdict.UNSURE)
    assert ids(queue.undo("ann")) == ["item000000", "item000001"]
    assert check_trail(queue, "item000000") == 0


@pytest.mark.parametrize(
    ("filters", "numbers"),
    [
        (Filters(), [0, 1, 2, 3, 4, 5, 6, 7]),
        (Filters(name="mattress"), [1, 5]),
        (Filters(drive="leipzig-a14-11"), [2, 5]),
        (Filters(name="mattress", drive="leipzig-a14-11"), [5]),
        (Filters(cluster="cluster-tire"), [2, 6]),
        (Filters(first_day=date(2026, 11, 22)), [5, 6, 7]),
        (Filters(last_day=date(2026, 11, 21)), [0, 1, 2, 3, 4]),
        (Filters(min_score=0.5, max_score=0.7), [1, 3, 6]),
        (Filters(name="'; DROP TABLE items; --"), []),
    ],
)
def test_filters(queue: Queue, filters: Filters, numbers: list[int]) -> None:
    day = timedelta(days=1)
    scores = [0.9, 0.6, 0.8, 0.5, 0.9, 1.0, 0.7, 0.71]
    base = make_item(0).timestamp
    queue.enqueue(
        make_item(number, score=scores[number], timestamp=base + day if number > 4 else base) for number in range(8)
    )
    wanted = [f"item{number:06d}" for number in numbers]
    assert queue.count(filters) == len(numbers)
    assert [queued.item.item_id for queued in queue.walk([State.PENDING], filters)] == wanted
    assert ids(queue.lease("ann", filters, 10)) == wanted


def test_walking_goes_past_the_first_chunk(queue: Queue) -> None:
    queue.enqueue(make_items(450))
    assert len({queued.item.item_id for queued in queue.walk([State.PENDING])}) == 450


def test_walking_without_pictures_brings_all_else(queue: Queue) -> None:
    queue.enqueue(make_items(3))
    bare = [queued.item for queued in queue.walk([State.PENDING], with_pictures=False)]
    assert bare == [replace(item, mask_rle=b"", crop_jpeg=b"") for item in make_items(3)]


def test_statistics(queue: Queue, clock: Clock) -> None:
    queue.enqueue([*make_items(10), make_item(10, duplicate_of="item000000")])
    queue.decide("ann", ["item000000", "item000005"], Verdict.ACCEPT)
    clock.advance(days=1)
    queue.enqueue([make_item(11)])
    queue.decide("bob", "item000001", Verdict.NOT_AN_OBJECT)
    queue.decide("bob", "item000002", Verdict.RELABEL, "garden gnome")
    queue.snooze("bob", "item000003")
    queue.mark_exported(["item000002"], actor="dataset")
    stats = queue.stats()
    assert {count.state.value: count.items for count in stats.states} == {
        "pending": 6,
        "leased": 0,
        "decided": 3,
        "snoozed": 1,
        "duplicate": 1,
        "exported": 1,
    }
    assert [(night.night, night.items, night.judged) for night in stats.nights] == [
        ("2026-11-23", 1, 0),
        ("2026-11-22", 10, 4),
    ]
    assert [(r.reviewer, r.judged, r.today) for r in stats.reviewers] == [("ann", 2, 0), ("bob", 2, 2)]
    by_name = {name.name: (name.open, name.judged) for name in stats.names}
    assert by_name["garden gnome"] == (0, 1) and by_name["mattress"] == (1, 1) and by_name["tire"] == (1, 0)
    assert {count.verdict: count.items for count in stats.verdicts}[Verdict.ACCEPT] == 2
    # Items 0 and 5 were drawn at random, and both accepted: Wilson's interval for 2 of 2.
    assert (stats.precision.judged, stats.precision.share, stats.precision.high) == (2, 1.0, 1.0)
    assert stats.precision.low == pytest.approx(0.3424, abs=1e-4)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"item_id": "../../etc/passwd"}, "An item's id"),
        ({"crop_jpeg": b"<svg onload=alert(1)>"}, "its crop is not a JPEG"),
        ({"crop_jpeg": b"x" * 600_000}, "its crop has 600,000 bytes"),
        ({"mask_rle": b""}, "its mask has 0 bytes"),
        ({"mask_rle": b"\xff\x00 no run lengths"}, "its mask is damaged"),
        ({"mask_rle": b"0" * 5000}, "its mask is damaged: the run lengths fill 0 pixels of 518,400"),
        ({"box": Box(900, 500, 100, 100)}, "outside the frame"),
        ({"score": float("nan")}, "score not between 0 and 1"),
        ({"rank": float("inf")}, "rank is not a number"),
        ({"name": "two\nlines"}, "not in one line"),
        ({"names": tuple(NameScore(f"n{n}", 0.5) for n in range(30))}, "more than 20 names"),
        ({"timestamp": make_item(0).timestamp.replace(tzinfo=None)}, "no time zone"),
        ({"latitude": 95.0}, "latitude is 95"),
        ({"embedding": b"odd"}, "its embedding"),
        ({"frame_height": 0}, "its frame is"),
        ({"source_uri": "a\0b"}, "zero byte"),
        ({"supersedes": ("item000001",)}, "stands for itself"),
    ],
)
def test_items_that_cannot_enter(queue: Queue, changes: dict[str, object], message: str) -> None:
    with pytest.raises(BadInputError, match=message):
        queue.enqueue([make_item(0), make_item(1, **changes)])
    assert queue.count() == 0


def test_unknown_items_and_reviewers(queue: Queue) -> None:
    for call in (
        lambda: queue.item("nothing"),
        lambda: queue.events("nothing"),
        lambda: queue.decide("ann", "nothing", Verdict.ACCEPT),
        lambda: queue.snooze("ann", "x'); DROP TABLE items;--"),
    ):
        with pytest.raises(UnknownItemError, match="The queue has no item"):
            call()
    for name in ("", "ann ", "<b>", "x" * 100, "clock\n"):
        with pytest.raises(BadInputError, match="A reviewer's name"):
            queue.lease(name)


def test_events_cannot_be_rewritten(queue: Queue) -> None:
    queue.enqueue(make_items(1))
    for statement in (update(events).values(actor="mallory"), events.delete()):
        with pytest.raises((ReviewError, DBAPIError), match="append-only"):
            queue.database.write(methodcaller("execute", statement))
    assert queue.events("item000000")[0].actor == "mine"


def test_migrations_make_exactly_the_tables(queue: Queue) -> None:
    differences = queue.database.read(
        lambda connection: compare_metadata(MigrationContext.configure(connection), metadata)
    )
    assert differences == []


def test_opening_again_keeps_everything(url: str, clock: Clock) -> None:
    with Queue.open(url, clock=clock) as queue:
        queue.enqueue(make_items(2))
    with Queue.open(url, clock=clock) as queue:
        assert queue.count() == 2


def test_a_queue_of_the_first_version_is_upgraded_with_all_that_is_in_it(url: str, clock: Clock) -> None:
    kept = [replace(item, embedding=None) if number else item for number, item in enumerate(make_items(3))]
    target = str(url).replace("postgresql://", "postgresql+psycopg://")
    engine = create_engine(target)
    with engine.begin() as connection:
        config = Config(attributes={"connection": connection})
        config.set_main_option("script_location", str(Path(review.__file__).parent / "migrations"))
        command.upgrade(config, "0001")
        contents = Table("contents", MetaData(), autoload_with=connection)
        status = ItemStatus(State.PENDING)
        connection.execute(insert(items), [item_columns(item, status, clock.now) for item in kept])
        connection.execute(
            insert(contents),
            [
                {
                    name: value
                    for name, value in (content_columns(item) | picture_columns(item)).items()
                    if name in contents.c
                }
                for item in kept
            ],
        )
    engine.dispose()
    with Queue.open(url, clock=clock) as queue:
        assert [queued.item for queued in queue.walk([State.PENDING])] == kept
        queue.decide("ann", kept[1].item_id, Verdict.ACCEPT)
        differences = queue.database.read(
            lambda connection: compare_metadata(MigrationContext.configure(connection), metadata)
        )
        assert differences == []


def test_a_queue_of_a_newer_version_is_refused(url: str) -> None:
    Queue.open(url).close()
    database = Database(url, 0)
    database.write(lambda connection: connection.execute(text("UPDATE alembic_version SET version_num = '9999'")))
    database.close()
    with pytest.raises(ReviewError, match=r"written by a newer version of clipomaly \(schema 9999; .*Install"):
        Queue.open(url)


def test_many_open_a_new_queue_at_once(url: str) -> None:
    code = f"from review import Queue; print(Queue.open({url!r}).count())"
    processes = [
        subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE) for _ in range(3)
    ]
    for process in processes:
        out, err = process.communicate(timeout=60)
        assert (out.strip(), process.returncode) == (b"0", 0), err.decode()


def test_two_decide_the_same_item_at_once(queue: Queue) -> None:
    queue.enqueue(make_items(20))

    def decide(reviewer: str, number: int) -> bool:
        try:
            queue.decide(reviewer, f"item{number:06d}", Verdict.ACCEPT)
        except ConflictError:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        tries = [(f"r{r}", number) for number in range(20) for r in range(4)]
        won = list(pool.map(lambda pair: decide(*pair), tries))
    assert sum(won) == 20
    assert all(check_trail(queue, item.item_id) == 1 for item in make_items(20))


def test_addresses_that_are_none() -> None:
    for url, message in (
        ("mysql://host/db", "SQLite file or a postgresql"),
        ("sqlite://", "would be lost"),
        ("/nowhere/at/all/queue.db", "does not exist"),
        ("://", "is no queue"),
    ):
        with pytest.raises(ReviewError, match=message):
            Queue.open(url)


def test_files_that_are_no_queue(tmp_path) -> None:
    import sqlite3

    (tmp_path / "text.db").write_text("not a database at all, but long enough to look at" * 100)
    with pytest.raises(ReviewError, match="not a database"):
        Queue.open(str(tmp_path / "text.db"))
    with sqlite3.connect(tmp_path / "other.db") as connection:
        connection.execute("CREATE TABLE accounts (name TEXT)")
    with pytest.raises(ReviewError, match="something else"):
        Queue.open(str(tmp_path / "other.db"))
