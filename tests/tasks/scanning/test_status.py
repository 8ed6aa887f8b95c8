"""What status tells, from records that lie one by one, folded, folded by an old version, and half of each."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from schemas.records import CommitRecord, Outcome, ScanRecord, SourceOutcome, Stages
from tasks.scanning.plan import plan
from tasks.scanning.scan_record import LeftShard, Loss, write_plan
from tasks.scanning.status import scan_status
from tasks.tables import Tables
from tasks.tables.commits import DONE, match_done
from tests.tasks.scanning.test_plan import source

NIGHT = datetime(2026, 11, 25, 2, tzinfo=UTC)


def outcome(uri: str, kind: Outcome, error: str | None = None, etag: str = "1") -> SourceOutcome:
    return SourceOutcome(uri, etag, kind, error, 10, 1 if error else 0, 3 if kind is Outcome.OK else 0, 60.0)


def commit(record: ScanRecord, shard_id: str, minute: int, *sources: SourceOutcome, note: str = "") -> CommitRecord:
    notes = (note,) if note else ()
    moment = NIGHT + timedelta(minutes=minute)
    return CommitRecord(record.scan_id, shard_id, moment, (), sources, Stages(1.0, 4.0, 0.5, 2.0, 1.0, 1.0), notes)


def commits_of(record: ScanRecord) -> list[CommitRecord]:
    return [
        commit(record, "a", 4, outcome("a1", Outcome.OK), outcome("a2", Outcome.EMPTY), note="a clock was wrong"),
        commit(record, "b", 1, outcome("b1", Outcome.EMPTY), outcome("b2", Outcome.PARTIAL, "1 of 10 lost")),
        commit(record, "c", 2, outcome("c1", Outcome.FAILED, "no video"), outcome("c2", Outcome.FAILED, "no video")),
        commit(record, "d", 3, outcome("d1", Outcome.EMPTY), note="halved"),
        commit(record, "e", 5, outcome("c1", Outcome.OK, etag="2")),  # read after all
        commit(record, "f", 0, outcome("b1", Outcome.FAILED, "denied")),  # read before: older
    ]


def make_old(checkpoint: Path) -> None:
    """As before sources told of their footage, and commits of notes."""
    rows = pq.read_table(checkpoint).drop_columns("notes").to_pylist()
    for row in rows:
        for one in row["sources"]:
            del one["footage_seconds"]
    pq.write_table(pa.Table.from_pylist(rows), checkpoint)


@pytest.mark.parametrize("folded", ["none", "half", "all", "old"])
def test_status(tmp_path: Path, record: ScanRecord, folded: str) -> None:
    tables, commits = str(tmp_path), commits_of(record)
    for number, one in enumerate(commits):
        assert Tables.at(tables).write_commit(one)
        if folded == "half" and number == 2:
            assert Tables.at(tables).fold(record.scan_id) == 3
    if folded in ("all", "old"):
        assert Tables.at(tables).fold(record.scan_id) == 6
    if folded == "old":
        make_old(tmp_path / "_checkpoints" / f"{record.scan_id}.parquet")
    else:
        told = Tables.at(tables).commit_table(record.scan_id)
        assert told["shard_id"].to_pylist() == [one.shard_id for one in Tables.at(tables).commits(record.scan_id)]
    status = scan_status(Tables.at(tables), record)
    assert status.shards == Counter({Outcome.OK: 2, Outcome.EMPTY: 1, Outcome.PARTIAL: 1, Outcome.FAILED: 2})
    assert status.outcomes == Counter({Outcome.OK: 2, Outcome.EMPTY: 3, Outcome.PARTIAL: 1, Outcome.FAILED: 3})
    assert (status.frames, status.instances) == (90, 6)
    assert status.seconds == Stages(6.0, 24.0, 3.0, 12.0, 6.0, 6.0)
    assert status.frames_per_second == pytest.approx(90 / 24)
    assert [(one.uri, one.outcome, one.error) for one in status.troubles] == [
        ("b2", Outcome.PARTIAL, "1 of 10 lost"), ("c2", Outcome.FAILED, "no video"),
    ]  # fmt: skip
    assert status.notes == (() if folded == "old" else ("a clock was wrong", "halved"))
    assert status.left == ()


def test_status_of_nothing(tmp_path: Path, record: ScanRecord) -> None:
    status = scan_status(Tables.at(tmp_path), record)
    assert not status.shards and not status.outcomes and not status.left and status.frames_per_second is None
    assert (status.frames, status.seconds, status.troubles, status.notes) == (0, Stages(0, 0, 0), (), ())
    assert Tables.at(tmp_path).fold(record.scan_id) == 0 and not (tmp_path / "_checkpoints").exists()


def test_the_newest_plan_of_a_source_counts(tmp_path: Path, record: ScanRecord) -> None:
    tables = str(tmp_path)
    old = plan([source(number, number, 60) for number in range(6)], [], 2)
    write_plan(Tables.at(tables), record.scan_id, "one", old)
    new = plan([source(number, number, 60, etag="2") for number in range(4)], [], 4)
    fell = Loss(source(0, 0, 60).uri, 4, "a card fell off", "Traceback …")
    write_plan(Tables.at(tables), record.scan_id, "another", new, {new.shard_ids[0]: fell})
    done = commit(record, "x", 0, outcome(source(2, 2, 60).uri, Outcome.OK, etag="2"))
    again = commit(record, "y", 1, outcome(source(2, 2, 60).uri, Outcome.OK, etag="1"))
    for one in (done, again):
        Tables.at(tables).write_commit(one)
    left = scan_status(Tables.at(tables), record).left
    first = LeftShard(new.shard_ids[0], 3, source(0, 0, 60).uri, "a card fell off", "Traceback …")
    last = LeftShard(old.shard_ids[2], 2, source(4, 4, 60).uri, None, None)
    assert left == tuple(sorted((first, last), key=lambda shard: shard.shard_id))


def test_a_source_that_is_committed_as_it_was_and_as_it_is() -> None:
    """By its URI alone it is there twice: each etag counts, and the seconds are those of the right one."""
    listed = pa.table({"uri": ["a", "b", "c", "d"], "etag": ["2", "1", "3", "1"]})
    done = pa.table(
        {
            "uri": ["a", "b", "a", "c", "c"],
            "etag": ["1", "1", "2", "1", "2"],
            "footage_seconds": [1.0, 2.0, 3.0, 4.0, 5.0],
        },
        schema=DONE,
    )
    committed, seconds = match_done(listed, done)
    assert committed.tolist() == [True, True, False, False]
    assert seconds[:2].tolist() == [3.0, 2.0] and all(seconds[2:] != seconds[2:])
