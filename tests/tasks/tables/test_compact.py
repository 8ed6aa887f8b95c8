"""Compaction: the same rows before, meanwhile and after, whatever happens on the way."""

import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from threading import Event, Thread
from typing import Any

import duckdb
import fsspec
import pandas as pd
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

from clipomaly_core.errors import UserError
from schemas.records import PartFile, ScanRecord
from schemas.tables import INSTANCES, SHARD, Table
from tasks import storage
from tasks.tables import Tables, open_table
from tasks.tables import compact as compacting
from tasks.tables import merge as merging
from tasks.tables.compact import DayCompacted
from tasks.tables.query import connect
from tasks.tables.records import publish_compaction, read_compactions
from tests.tasks.killable import Scans, moments, scans
from tests.tasks.tables.test_tables import commit, source

NOW = timedelta()
LATER = timedelta(hours=1)


def run(tables: str, grace: timedelta = NOW) -> list[DayCompacted]:
    done = list(Tables.at(tables).compact(grace))
    assert [day.trouble for day in done if day.trouble] == []
    return done


def tell(found: list[dict[str, Any]]) -> list[str]:
    return sorted(json.dumps(row, default=str) for row in found)


def rows(dataset: ds.Dataset) -> list[str]:
    return tell(dataset.to_table().to_pylist())


def view(tables: str, *records: ScanRecord) -> dict[tuple[str, str | None], list[str]]:
    """All that ``open_table`` can give: every table, of all generations and of each."""
    scan_ids = (None, *(record.scan_id for record in records))
    return {
        (table.value, scan_id): rows(open_table(tables, table.value, scan_id=scan_id))
        for table in Table
        for scan_id in scan_ids
    }


def files(tables: str, folder: str = "") -> dict[str, bytes]:
    """The files that a raw glob over the tables meets, or those of a folder of records."""
    fs, root = fsspec.core.url_to_fs(tables, use_listings_cache=False)
    found = [path.removeprefix(f"{root}/") for path in fs.find(root)]
    wanted = [
        p for p in found if (p.startswith(folder) if folder else p.endswith(".parquet") and not p.startswith("_"))
    ]
    return {path: fs.cat_file(f"{root}/{path}") for path in sorted(wanted)}


def raw(tables: str, table: str = "instances") -> list[str]:
    """Rows as a raw glob gives them."""
    fs, root = fsspec.core.url_to_fs(tables, use_listings_cache=False)
    found = [path for path in files(tables) if path.startswith(f"{table}/")]
    return tell([row for path in found for row in pq.ParquetFile(fs.open(f"{root}/{path}")).read().to_pylist()])


@pytest.mark.whole
def test_the_same_rows_before_meanwhile_and_after(tmp_path: Path, record: ScanRecord, newer: ScanRecord) -> None:
    """Beside tables that are written alike and not compacted."""
    places = tables, twin = str(tmp_path / "T"), str(tmp_path / "twin")

    def both(*arguments: Any, **options: Any) -> None:
        for place in places:
            commit(place, *arguments, **options)

    def check() -> None:
        assert view(tables, record, newer) == view(twin, record, newer)
        assert raw(tables) == raw(twin) and raw(tables, "embeddings") == raw(twin, "embeddings")
        for table in ("instances", "frames"):
            opened = open_table(twin, table)
            with connect(tables, [Table(table)]) as connection:
                assert connection.table(table).columns == opened.schema.names
                asked = connection.sql(f"SELECT * EXCLUDE timestamp FROM {table}").to_arrow_table().to_pylist()
            assert tell(asked) == tell(opened.to_table().drop_columns(["timestamp"]).to_pylist())

    both(record, [source("a"), source("b")], minute=0)
    both(record, [source("c")], minute=1, hours=16)  # two days
    both(record, [source("d"), source("e")], minute=2, failed="e", hours=16)
    both(newer, [source("b")], minute=3)
    check()
    early = open_table(tables, "frames")
    before = rows(early)
    # Merged, but aside: a reader from before still finds its files, a raw glob sees nothing new.
    first, second = run(tables, LATER)
    assert (first.scan_id, first.day, second.day) == (record.scan_id, date(2026, 11, 22), date(2026, 11, 23))
    assert (first.merged, first.into, second.merged, second.into) == (9, 3, 6, 3)
    assert first.removed == 0 and first.waits_until and first.waits_until > datetime.now(UTC)
    check()
    assert rows(early) == before
    assert len(files(tables)) == len(files(twin))
    assert run(tables, LATER) == [replace(day, merged=0, into=0, size=0) for day in (first, second)]
    # After the grace the merged files are all there is.
    settled = run(tables)
    assert [day.removed for day in settled] == [9 + 3, 6 + 3]  # with the second name of each merged file
    check()
    assert len(files(tables)) == 3 * 3 and files(tables, "_compacted") == {}
    assert len(files(tables, "_compactions")) == 2
    assert run(tables) == []
    # A whole shard, a part of one and a changed source are superseded; a late one comes; the rest is compacted again.
    both(newer, [source("c"), source("a")], minute=4)
    check()
    both(record, [source("d", "2")], minute=5)
    both(record, [source("f")], minute=6, hours=16)
    check()
    run(tables, LATER)
    check()
    both(newer, [source("f")], minute=7)
    check()
    run(tables)
    check()
    assert len(files(tables)) == 3 * 3 and run(tables) == []
    # What is committed is what was committed.
    assert [Tables.at(tables).commits(r.scan_id) for r in (record, newer)] == [
        Tables.at(twin).commits(r.scan_id) for r in (record, newer)
    ]


def test_object_store(s3: str, record: ScanRecord) -> None:
    tables = f"{s3}/T"
    for number, name in enumerate("abc"):
        commit(tables, record, [source(name)], minute=number)
    expected, everything = view(tables), raw(tables)
    early = open_table(tables, "frames")
    run(tables, LATER)
    assert view(tables) == expected and raw(tables) == everything and rows(early) == expected["frames", None]
    run(tables)
    assert view(tables) == expected and raw(tables) == everything
    assert len(files(tables)) == 3 and files(tables, "_compacted") == {}
    commit(tables, record, [source("a", "2")], minute=4)
    everything = raw(tables)
    run(tables)
    assert len(files(tables)) == 3 and raw(tables) == everything
    assert open_table(tables, "frames").count_rows() == open_table(tables, "embeddings").count_rows() == 6


def test_a_shard_alone_stays(tmp_path: Path, record: ScanRecord) -> None:
    commit(str(tmp_path), record, [source("a")])
    before = files(str(tmp_path))
    assert run(str(tmp_path)) == [] and files(str(tmp_path)) == before


def test_the_same_files_give_the_same_bytes(tmp_path: Path, record: ScanRecord) -> None:
    for place, names in (("one", "abcdef"), ("other", "fdbeca")):
        for minute, name in enumerate(names):
            commit(str(tmp_path / place), record, [source(name)], minute=minute)
        run(str(tmp_path / place))
    one, other = files(str(tmp_path / "one")), files(str(tmp_path / "other"))
    assert one == other and len(one) == 3
    [instances] = [path for path in one if path.startswith("instances")]
    merged = pq.ParquetFile(tmp_path / "one" / instances)
    assert merged.schema_arrow.names[-1] == "shard" and b"clipomaly.schema_version" in merged.schema_arrow.metadata
    uris = merged.read(["source_uri"])["source_uri"].to_pylist()
    assert uris == [source(name).uri for name in "abcdef" for _ in range(2)]


def test_raw_readers_take_both_kinds_of_file(tmp_path: Path, record: ScanRecord) -> None:
    """DuckDB and pandas want the same columns in every file; a day that is compacted lies beside one that is not."""
    for name in "ab":
        commit(str(tmp_path), record, [source(name)])
    run(str(tmp_path))
    commit(str(tmp_path), record, [source("c")], hours=16)
    for table, count in (("instances", 6), ("frames", 6), ("embeddings", 6)):
        glob = f"read_parquet('{tmp_path}/{table}/**/*.parquet', hive_partitioning = true)"
        assert duckdb.execute(f"SELECT count(*), count(DISTINCT shard) FROM {glob}").fetchall() == [(count, 3)]
        assert len(pd.read_parquet(tmp_path / table)) == count


def test_files_are_ready_for_engines(tmp_path: Path, record: ScanRecord) -> None:
    """Before and after a compaction: Bloom filters, page indexes, the same columns, rows of a source in their order."""
    for name in "abc":
        commit(str(tmp_path), record, [source(name)])
    for _ in range(2):
        for path in tmp_path.glob("instances/*/*/*.parquet"):
            opened = pq.ParquetFile(path)
            assert opened.schema_arrow.names == [*INSTANCES.names, SHARD.name]
            group = opened.metadata.row_group(0)
            columns = {column.path_in_schema: column for column in map(group.column, range(group.num_columns))}
            filtered = {name for name, column in columns.items() if column.bloom_filter_length}
            assert filtered == {"instance_id", "source_uri"}
            assert {name for name, column in columns.items() if not column.has_column_index} == {"mask_rle"}
            rows = opened.read(columns=["source_uri", "timestamp"])
            assert rows.equals(rows.sort_by([("source_uri", "ascending"), ("timestamp", "ascending")]))
            # An engine that knows the filters reads nothing of a file without the wanted id.
            asked = f"SELECT bloom_filter_excludes FROM parquet_bloom_probe('{path}', 'instance_id', 'f00')"
            assert duckdb.execute(asked).fetchall() == [(True,)]
        run(str(tmp_path))


def test_files_have_a_greatest_size(tmp_path: Path, record: ScanRecord, monkeypatch: pytest.MonkeyPatch) -> None:
    """Full files are left as they are, small ones are merged again."""
    for place in ("T", "twin"):
        for name in "abcdefghi":
            commit(str(tmp_path / place), record, [source(name)])
    largest = 50_000
    for module, name, value in (
        (merging, "LARGEST", largest),
        (merging, "_GROUP_BYTES", 1_500),
    ):
        monkeypatch.setattr(module, name, value)
    tables, twin = str(tmp_path / "T"), str(tmp_path / "twin")
    run(tables)
    one = {path: data for path, data in files(tables).items() if path.startswith("instances/")}
    assert 2 <= len(one) < 9 and max(map(len, one.values())) <= largest
    assert view(tables, record) == view(twin, record)
    small = min(map(len, one.values())) + 1
    monkeypatch.setattr(compacting, "_SMALL", small)
    for place in (tables, twin):
        commit(place, record, [source("j")])
    run(tables)
    two = {path: data for path, data in files(tables).items() if path.startswith("instances/")}
    full = {path for path, data in one.items() if len(data) >= small}
    assert full and full <= set(two) and set(one) - full and not (set(one) - full) & set(two)
    assert view(tables, record) == view(twin, record) and raw(tables) == raw(twin)


def test_files_without_the_column_shard(tmp_path: Path, record: ScanRecord) -> None:
    """Those of schema versions before 3."""
    tables, twin = tmp_path / "T", tmp_path / "twin"
    for place in (tables, twin):
        for name in "ab":
            commit(str(place), record, [source(name)])
        for one in Tables.at(place).commits(record.scan_id):
            (place / "_commits" / record.scan_id / f"{one.shard_id}.json").unlink()
            assert Tables.at(place).write_commit(
                replace(one, files=tuple(without_shard(place, file) for file in one.files))
            )
    assert view(str(tables), record) == view(str(twin), record)
    run(str(tables))
    assert view(str(tables), record) == view(str(twin), record)


def without_shard(tables: Path, file: PartFile) -> PartFile:
    path = tables / file.path
    pq.write_table(pq.ParquetFile(path).read().drop_columns(["shard"]), path)
    data = path.read_bytes()
    return replace(file, size=len(data), sha256=merging.Merged(data, 0).sha256)


@pytest.mark.whole
def test_readers_meanwhile(tmp_path: Path, record: ScanRecord) -> None:
    """A reader in a loop, while shards are committed and compacted: whole shards, none twice, none lost."""
    tables, grace = str(tmp_path), timedelta(seconds=1)
    committed: list[str] = []
    stop, seen, wrong = Event(), set[int](), []

    def read() -> None:
        while not stop.is_set():
            least, started = list(committed), time.monotonic()
            try:
                table = open_table(tables, "frames").to_table(columns=["source_uri", "frame_index", "shard"])
                keys = [tuple(row.values()) for row in table.to_pylist()]
            except (OSError, UserError) as error:
                if time.monotonic() - started < grace.total_seconds():
                    wrong.append(repr(error))
                continue
            counts = {shard: sum(key[2] == shard for key in keys) for shard in {key[2] for key in keys}}
            if len(keys) != len(set(keys)) or set(counts.values()) != {2} or not set(least) <= set(counts):
                wrong.append(f"{counts} of {least}")
            seen.add(len(keys))

    committed += [commit(tables, record, [source(f"first-{number}")]) for number in range(2)]
    reader = Thread(target=read)
    reader.start()
    try:
        for number in range(12):
            committed.append(commit(tables, record, [source(f"drive-{number}")], hours=4 * (number % 2)))
            run(tables, grace)
            time.sleep(0.2)
        time.sleep(grace.total_seconds())
        run(tables, grace)
        time.sleep(0.2)
    finally:
        stop.set()
        reader.join()
    assert wrong == [] and len(seen) > 3
    assert len([path for path in files(tables) if path.startswith("frames/")]) < len(committed)


def every_step(monkeypatch: pytest.MonkeyPatch, before: Callable[[int], None]) -> None:
    """Call ``before`` with a number before each change that compaction makes to the storage."""
    steps = iter(range(10**6))

    def told(change: Callable[..., Any]) -> Callable[..., Any]:
        def run(*given: object) -> Any:
            before(next(steps))
            return change(*given)

        return run

    for name in ("_through_temporary", "_remove_file"):
        monkeypatch.setattr(storage, name, told(getattr(storage, name)))
    monkeypatch.setattr(os, "link", told(os.link))


class _Killed(BaseException):
    pass


@pytest.mark.whole
def test_ended_before_each_of_its_steps(tmp_path: Path, record: ScanRecord, newer: ScanRecord) -> None:
    """Wherever it ends, readers see the same rows, a raw glob none twice, and running again brings the same files."""

    start, whole = tmp_path / "start", str(tmp_path / "whole")
    for number, name in enumerate("abc"):
        commit(str(start), record, [source(name)], minute=number)
    commit(str(start), newer, [source("a")], minute=3)
    shutil.copytree(start, whole)
    expected, everything = view(whole), raw(whole)
    run(whole)
    step = 0
    while True:
        tables = str(shutil.copytree(start, tmp_path / str(step)))

        def stop(number: int, last: int = step) -> None:
            if number == last:
                raise _Killed

        with pytest.MonkeyPatch.context() as patch:
            every_step(patch, stop)
            try:
                run(tables)
                break
            except _Killed:
                step += 1
        assert view(tables) == expected
        seen = raw(tables)
        assert len(seen) == len(set(seen)) and set(seen) <= set(everything)
        run(tables)
        assert view(tables) == expected and files(tables) == files(whole)
        assert files(tables, "_compacted") == {} and len(files(tables, "_compactions")) == 1
    assert step > 12


@pytest.fixture(scope="module")
def running() -> Iterator[Scans]:
    with scans() as running:
        yield running


@pytest.mark.parametrize(
    ("kind", "count"),
    [
        ("local", 4),
        pytest.param("s3", 2, marks=pytest.mark.slow),
        pytest.param("local", 50, marks=pytest.mark.slow),
        pytest.param("s3", 50, marks=pytest.mark.slow),
    ],
)
@pytest.mark.whole
def test_killed_at_random_moments(
    tmp_path: Path, record: ScanRecord, running: Scans, kind: str, count: int, request: pytest.FixtureRequest
) -> None:
    root = request.getfixturevalue("s3") if kind == "s3" else str(tmp_path)

    def make(name: str) -> str:
        for number in range(3):
            commit(f"{root}/{name}", record, [source(f"drive-{number}")], minute=number, hours=16)
        return f"{root}/{name}"

    whole = make("whole")
    expected, everything = view(whole), raw(whole)
    started = time.monotonic()
    running.start(None, whole)
    assert running.wait() == [0]
    seconds = time.monotonic() - started
    assert view(whole) == expected and raw(whole) == everything and len(files(whole)) == 6
    killed = 0
    for number, moment in enumerate(moments(count, seconds, seed=count)):
        tables = make(str(number))
        killed += running.killed_after(None, tables, moment)
        assert view(tables) == expected
        seen = raw(tables)
        assert len(seen) == len(set(seen)) and set(seen) <= set(everything)
        run(tables)
        assert view(tables) == expected
        assert files(tables) == files(whole) and files(tables, "_compacted") == {}
    assert killed >= count // 4, "nearly all had ended before they were killed"


def test_two_at_once(tmp_path: Path, record: ScanRecord, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second is through before the first publishes: the first has done nothing, and goes on from there."""
    tables = str(tmp_path)
    for name in "abc":
        commit(tables, record, [source(name)])
    expected = view(tables, record)
    publish = publish_compaction
    others: list[list[DayCompacted]] = []

    def late(*given: Any) -> bool:
        monkeypatch.setattr(compacting, "publish_compaction", publish)
        commit(tables, record, [source("d")])
        others.append(run(tables))
        return publish(*given)

    monkeypatch.setattr(compacting, "publish_compaction", late)
    assert [day.merged for day in run(tables)] == [0]
    assert [day.merged for day in others[0]] == [12]
    after = view(tables, record)
    assert all(set(expected[key]) < set(after[key]) for key in expected)
    assert len(files(tables)) == 3 and run(tables) == []


@pytest.mark.whole
def test_two_processes_at_once(tmp_path: Path, record: ScanRecord, running: Scans) -> None:
    for place in ("alone", "both"):
        for number in range(6):
            commit(str(tmp_path / place), record, [source(f"drive-{number}")], hours=16)
    expected = view(str(tmp_path / "alone"), record)
    run(str(tmp_path / "alone"))
    running.start(None, str(tmp_path / "both"), count=3)
    running.wait()  # without grace one may miss what the other has removed: it says so and ends
    run(str(tmp_path / "both"))
    assert view(str(tmp_path / "both"), record) == expected
    assert sorted(raw(str(tmp_path / "both"))) == sorted(raw(str(tmp_path / "alone")))


def test_a_damaged_file_costs_its_day_only(tmp_path: Path, record: ScanRecord) -> None:
    tables = str(tmp_path)
    for name in "ab":
        commit(tables, record, [source(name)], hours=16)
    [path, *_] = sorted(tmp_path.glob("instances/*/dt=2026-11-23/*"))
    path.write_bytes(path.read_bytes()[:-9])
    before = files(tables)
    good, bad = Tables.at(tables).compact(NOW)
    assert good.trouble is None and good.merged == 6
    assert bad.trouble and path.name in bad.trouble and "is damaged" in bad.trouble and "\n" not in bad.trouble
    assert {p: d for p, d in files(tables).items() if "dt=2026-11-23" in p} == {
        p: d for p, d in before.items() if "dt=2026-11-23" in p
    }


def test_old_files_stay_where_the_merged_one_is_not_whole(tmp_path: Path, record: ScanRecord) -> None:
    tables = str(tmp_path)
    for name in "ab":
        commit(tables, record, [source(name)])
    expected, before = view(tables, record), files(tables)
    run(tables, LATER)
    [merged] = tmp_path.glob("_compacted/frames/*/*/*.parquet")
    whole = merged.read_bytes()
    merged.write_bytes(whole[:50] + b"x" + whole[51:])
    [told] = Tables.at(tables).compact(NOW)
    assert told.trouble and "is damaged" in told.trouble and files(tables) == before
    merged.unlink()
    [told] = Tables.at(tables).compact(NOW)
    assert told.trouble and merged.name in told.trouble and files(tables) == before
    with pytest.raises(UserError, match="is gone") as gone:
        open_table(tables, "frames")
    assert str(merged) in str(gone.value) and "\n" not in str(gone.value)
    assert rows(open_table(tables, "instances")) == expected["instances", None]
    # Within the grace nothing is lost: the files of before count again.
    [mended] = Tables.at(tables).check(repair=True)
    assert mended.shards == () and view(tables, record) == expected
    run(tables)
    assert view(tables, record) == expected and len(files(tables)) == 3


def test_a_damaged_record_is_told(tmp_path: Path, record: ScanRecord) -> None:
    tables = str(tmp_path)
    for name in "ab":
        commit(tables, record, [source(name)])
    expected = view(tables, record)
    run(tables, LATER)
    [named] = tmp_path.glob("_compactions/*/*")
    named.write_text('{"scan_id": "x"')
    for use in (lambda: open_table(tables, "frames"), lambda: run(tables)):
        with pytest.raises(UserError, match="is damaged") as damaged:
            use()
        assert str(named) in str(damaged.value) and "\n" not in str(damaged.value)
    named.unlink()
    assert view(tables, record) == expected
    run(tables)
    assert view(tables, record) == expected


@pytest.mark.whole
def test_no_tables(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="There are no tables"):
        run(str(tmp_path))
    assert read_compactions(Tables.at(tmp_path).root, "any") == {}
