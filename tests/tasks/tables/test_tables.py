import warnings
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

from clipomaly_core.errors import UserError
from schemas.records import (
    CommitRecord,
    Outcome,
    ScanRecord,
    Source,
    SourceOutcome,
    Stages,
    TimestampSource,
)
from schemas.tables import FRAMES, INSTANCES, SCHEMA_VERSION, SHARD, Table, embeddings_schema
from tasks.footage.frames import Frame
from tasks.scanning.plan import shard_id
from tasks.scanning.rows import ShardRows, instance_id
from tasks.scanning.scan_record import make_scan_record
from tasks.tables import Tables, open_table
from tests.tasks.samples import BlobFinder, description, draw

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


@pytest.fixture(params=["local", "s3"])
def tables(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return f"{request.getfixturevalue('s3')}/T" if request.param == "s3" else str(tmp_path / "T")


# What object stores do in another way is listing and creating, which the tests without this mark show of both.
also_slowly_on_s3 = pytest.mark.parametrize(
    "tables", ["local", pytest.param("s3", marks=pytest.mark.slow)], indirect=True
)


def source(name: str, etag: str = "1") -> Source:
    return Source(
        uri=f"s3://fleet/drive/{name}.mp4",
        size=1,
        etag=etag,
        drive="drive",
        captured=NOON,
        captured_from=TimestampSource.FILENAME,
        footage_seconds=1.0,
    )


def commit(
    tables: str,
    record: ScanRecord,
    sources: Iterable[Source],
    minute: int = 0,
    failed: Iterable[str] = (),
    publish: bool = True,
    hours: int = 8,
) -> str:
    """Two frames of each source with one instance each, ``hours`` apart, as ``scan_shard`` would commit them: the
    shard_id."""
    rows, model, sources = ShardRows(record.scan_id, record.embedding_dimension), BlobFinder(), list(sources)
    outcomes = []
    for number, item in enumerate(sources):
        bad = item.uri.rsplit("/", 1)[-1].removesuffix(".mp4") in failed
        for index in range(2):
            image = None if bad else draw(number * 2 + index)
            frame = Frame(
                index, NOON + timedelta(hours=hours * index), item.captured_from, image, "lost" if bad else None
            )
            result = None if image is None else model.judge(image)
            if result:
                embedding = np.resize(result.instances[0].embedding, record.embedding_dimension)
                one = replace(result.instances[0], embedding=embedding, name=f"{record.model} {item.etag}")
                result = replace(result, instances=(one,))
            rows.add(item, frame, None, result)
        outcome = Outcome.FAILED if bad else Outcome.OK
        outcomes.append(SourceOutcome(item.uri, item.etag, outcome, None, 2, 2 * bad, 0 if bad else 2))
    Tables.at(tables).begin(record)
    shard = shard_id(sources)
    files = Tables.at(tables).write(record.scan_id, shard, rows.tables())
    moment = NOON + timedelta(days=1, minutes=minute)
    if publish:
        assert Tables.at(tables).write_commit(
            CommitRecord(record.scan_id, shard, moment, files, tuple(outcomes), Stages(1.5, 2.25, 0.1), run=record.run)
        )
    return shard


def found(tables: str, table: str = "instances", scan_id: str | None = None) -> list[tuple[str, str]]:
    """(source, who found it in which version) of each row."""
    rows = open_table(tables, table, scan_id=scan_id).to_table().to_pylist()
    return sorted((row["source_uri"].rsplit("/")[-1].removesuffix(".mp4"), row["name"]) for row in rows)


def check_embeddings(tables: str) -> None:
    ids = [set(open_table(tables, t).to_table()["instance_id"].to_pylist()) for t in ("instances", "embeddings")]
    assert ids[0] == ids[1]
    assert open_table(tables, "embeddings").count_rows() == open_table(tables, "instances").count_rows()


def test_committed_rows_only(tables: str, record: ScanRecord) -> None:
    Tables.at(tables).begin(record)
    for table, columns in (("instances", INSTANCES), ("frames", FRAMES)):
        empty = open_table(tables, table)
        assert isinstance(empty, ds.Dataset) and empty.count_rows() == 0
        assert empty.schema.names == [*columns.names, "scan", "dt", "shard"]
        assert duckdb.execute("SELECT count(*) FROM empty").fetchall() == [(0,)]
    assert open_table(tables, "embeddings").schema.field("embedding").type == pa.list_(pa.float32(), 8)

    commit(tables, record, [source("a")], publish=False)
    assert open_table(tables, "frames").count_rows() == 0
    shard = commit(tables, record, [source("b"), source("c")])
    frames = open_table(tables, "frames").to_table()
    assert set(frames["source_uri"].to_pylist()) == {source("b").uri, source("c").uri}
    assert set(frames["scan"].to_pylist()) == {record.scan_id}
    assert set(frames["shard"].to_pylist()) == {shard}
    assert Counter(frames["dt"].to_pylist()) == {date(2026, 11, 22): 4}
    assert open_table(tables, "frames").to_table().schema.field("timestamp").type == pa.timestamp("us", tz="UTC")
    check_embeddings(tables)


@also_slowly_on_s3
def test_newest_generation_of_each_source(tables: str, record: ScanRecord) -> None:
    newer = make_scan_record(description(model="newer"), fps=2.0)
    old, new = "blobs 1", "newer 1"
    commit(tables, record, [source("a"), source("b")], minute=0)
    commit(tables, record, [source("c")], minute=1)
    assert found(tables) == sorted([(n, old) for n in "abc"] * 2)
    # One source of a shard, and all of another, under a newer model.
    commit(tables, newer, [source("b"), source("c")], minute=2)
    assert found(tables) == sorted([("a", old), ("b", new), ("c", new)] * 2)
    check_embeddings(tables)
    assert open_table(tables, "frames").count_rows() == 6
    # Any one generation can be asked for.
    assert found(tables, scan_id=record.scan_id) == sorted([(n, old) for n in "abc"] * 2)
    assert found(tables, scan_id=newer.scan_id) == sorted([("b", new), ("c", new)] * 2)
    # Generations are judged by when they were committed: what an old one scans later is newer.
    commit(tables, record, [source("b", "2")], minute=3)
    assert found(tables) == sorted([("a", old), ("b", "blobs 2"), ("c", new)] * 2)
    check_embeddings(tables)
    # Folding changes nothing.
    assert Tables.at(tables).fold(record.scan_id) == 3 and Tables.at(tables).fold(newer.scan_id) == 1
    assert found(tables) == sorted([("a", old), ("b", "blobs 2"), ("c", new)] * 2)


@also_slowly_on_s3
def test_a_clock_that_was_ahead_hides_nothing(tables: str, record: ScanRecord, newer: ScanRecord) -> None:
    """A later run is newer, whatever the clock of its machine said."""
    there = Tables.at(tables)
    assert [there.next_run(record.scan_id), there.next_run(newer.scan_id)] == [1, 2]
    commit(tables, replace(record, run=1), [source("a"), source("b")], minute=4 * 365 * 24 * 60)
    commit(tables, replace(newer, run=2), [source("a")], minute=0)
    assert found(tables) == sorted([("a", "newer 1"), ("b", "blobs 1")] * 2)
    check_embeddings(tables)
    # Nor does one in tables of before runs had numbers.
    commit(tables, replace(record, run=0), [source("c")], minute=8 * 365 * 24 * 60)
    commit(tables, replace(newer, run=3), [source("c", "2")], minute=1)
    assert found(tables) == sorted([("a", "newer 1"), ("b", "blobs 1"), ("c", "newer 2")] * 2)
    there.fold(record.scan_id)
    assert found(tables) == sorted([("a", "newer 1"), ("b", "blobs 1"), ("c", "newer 2")] * 2)


@also_slowly_on_s3
def test_changed_source_within_a_generation(tables: str, record: ScanRecord) -> None:
    commit(tables, record, [source("a"), source("b")], minute=0)
    commit(tables, record, [source("a", "2")], minute=1)
    assert found(tables) == sorted([("a", "blobs 2"), ("b", "blobs 1")] * 2)
    assert open_table(tables, "frames").count_rows() == 4
    check_embeddings(tables)
    connection = duckdb.connect()
    connection.register("instances", open_table(tables, "instances"))
    assert connection.sql("SELECT count(*) FROM instances WHERE name = 'blobs 1'").fetchall() == [(2,)]


@also_slowly_on_s3
def test_failure_replaces_nothing(tables: str, record: ScanRecord) -> None:
    commit(tables, record, [source("a"), source("b")], minute=0, failed=["b"])
    frames = open_table(tables, "frames").to_table().to_pylist()
    assert Counter(row["status"] for row in frames) == {"ok": 2, "failed": 2}
    commit(tables, record, [source("a", "2"), source("b", "2")], minute=1, failed=["a"])
    frames = open_table(tables, "frames").to_table().to_pylist()
    # Of a the old rows are the best there are; of b the new ones; failed frames of neither.
    assert [(row["source_uri"], row["status"]) for row in frames] == [(source(n).uri, "ok") for n in "aabb"]
    assert found(tables) == sorted([("a", "blobs 1"), ("b", "blobs 2")] * 2)
    check_embeddings(tables)


@also_slowly_on_s3
def test_embeddings_of_two_lengths(tables: str, record: ScanRecord) -> None:
    longer = make_scan_record(description(model="long", embedding_dimension=16), fps=2.0)
    commit(tables, record, [source("a"), source("b")], minute=0)
    commit(tables, longer, [source("b")], minute=1)
    assert open_table(tables, "instances").count_rows() == 4
    with pytest.raises(UserError, match="different lengths") as error:
        open_table(tables, "embeddings")
    assert record.scan_id in str(error.value) and longer.scan_id in str(error.value)
    for one, length, rows in ((record, 8, 4), (longer, 16, 2)):
        table = open_table(tables, "embeddings", scan_id=one.scan_id).to_table()
        assert table.num_rows == rows and table.schema.field("embedding").type == pa.list_(pa.float32(), length)
    # Once the other length is superseded altogether, there is but one.
    commit(tables, longer, [source("a")], minute=2)
    assert open_table(tables, "embeddings").schema.field("embedding").type == pa.list_(pa.float32(), 16)
    check_embeddings(tables)


def test_tables_that_are_not_there(tables: str, record: ScanRecord) -> None:
    with pytest.raises(UserError, match="There are no tables"):
        open_table(tables, "instances")
    Tables.at(tables).begin(record)
    with pytest.raises(UserError, match="no table 'things'"):
        open_table(tables, "things")
    with pytest.raises(UserError, match="no scan abc"):
        open_table(tables, "frames", scan_id="abc")


def test_checkpoint(tables: str, record: ScanRecord) -> None:
    there = Tables.at(tables)
    assert there.fold(record.scan_id) == 0 and there.commits(record.scan_id) == []
    for name in "abc":
        commit(tables, record, [source(name)], failed="c")
    before = there.commits(record.scan_id)
    assert there.fold(record.scan_id) == len(before) == 3
    # What is folded is not read again one by one: a record that nobody could read stays unseen.
    folder = there.root.child(f"_commits/{record.scan_id}")
    for one in before:
        folder.fs.pipe_file(folder.child(f"{one.shard_id}.json").path, b"unreadable")
    assert there.commits(record.scan_id) == before
    newest = commit(tables, record, [source("d")])
    assert [c for c in there.commits(record.scan_id) if c.shard_id != newest] == before
    assert there.fold(record.scan_id) == 4
    # Only what has a commit record is committed, whatever the checkpoint repeats.
    folder.fs.rm_file(folder.child(f"{newest}.json").path)
    assert there.commits(record.scan_id) == before


def test_damaged_records_are_told(tmp_path: Path, record: ScanRecord) -> None:
    shard = commit(str(tmp_path), record, [source("a")])
    Tables.at(tmp_path).fold(record.scan_id)
    checkpoint = tmp_path / "_checkpoints" / f"{record.scan_id}.parquet"
    checkpoint.write_bytes(checkpoint.read_bytes()[:100])
    with pytest.raises(UserError, match="is damaged"):
        Tables.at(tmp_path).commits(record.scan_id)
    checkpoint.unlink()
    (tmp_path / "_commits" / record.scan_id / f"{shard}.json").write_text('{"scan_id": "x"')
    with pytest.raises(UserError, match="is damaged"):
        Tables.at(tmp_path).commits(record.scan_id)


def test_commit_is_create_only(tables: str, record: ScanRecord) -> None:
    commit(tables, record, [source("a")])
    [first] = Tables.at(tables).commits(record.scan_id)
    assert not Tables.at(tables).write_commit(replace(first, committed=NOON))
    assert Tables.at(tables).commits(record.scan_id) == [first]


def test_part_files(tmp_path: Path, record: ScanRecord) -> None:
    shard = commit(str(tmp_path), record, [source("b"), source("a")])
    for table, columns in (
        (Table.INSTANCES, INSTANCES),
        (Table.FRAMES, FRAMES),
        (Table.EMBEDDINGS, embeddings_schema(8)),
    ):
        path = tmp_path / table / f"scan={record.scan_id}" / "dt=2026-11-22" / f"{shard}.parquet"
        file = pq.ParquetFile(path)
        assert file.schema_arrow.equals(columns.append(SHARD))
        assert file.schema_arrow.metadata[b"clipomaly.schema_version"] == str(SCHEMA_VERSION).encode()
        assert set(file.read(["shard"])["shard"].to_pylist()) == {shard}
        group = file.metadata.row_group(0)
        leaves = [group.column(number) for number in range(group.num_columns)]
        for leaf in leaves:
            plain = leaf.path_in_schema.split(".")[0] in ("mask_rle", "embedding")
            assert leaf.compression == "ZSTD"
            assert leaf.has_dictionary_page == leaf.is_stats_set == (not plain), leaf.path_in_schema
    rows = pq.read_table(tmp_path / "instances").to_pylist()
    assert [(row["source_uri"], row["frame_index"]) for row in rows] == [
        (source(name).uri, index) for name in "ab" for index in (0, 1)
    ]


def test_instance_ids() -> None:
    base = ("scan", source("a"), 3, 0)
    others = [("scam", source("a"), 3, 0), ("scan", source("b"), 3, 0), ("scan", source("a", "2"), 3, 0),
              ("scan", source("a"), 30, 0), ("scan", source("a"), 3, 1)]  # fmt: skip
    ids = {instance_id(*facts) for facts in (base, *others)}
    assert len(ids) == 6 and instance_id(*base) in ids
    assert {len(identity) for identity in ids} == {20}


def test_raw_files_with_duckdb_and_pandas(tmp_path: Path, record: ScanRecord) -> None:
    tables = tmp_path / "T"
    for name in "abc":
        commit(str(tables), record, [source(name)])
    glob = f"{tables}/instances/**/*.parquet"
    query = f"SELECT name, scan, dt, count(*) FROM read_parquet('{glob}', hive_partitioning=true) GROUP BY ALL"
    assert duckdb.execute(query).fetchall() == [("blobs 1", record.scan_id, date(2026, 11, 22), 6)]
    joined = f"""
        SELECT count(*), count(DISTINCT instance_id), min(len(embedding))
        FROM read_parquet('{glob}') AS i JOIN read_parquet('{tables}/embeddings/**/*.parquet') AS e USING (instance_id)
    """
    assert duckdb.execute(joined).fetchall() == [(6, 6, 8)]
    frame = pd.read_parquet(tables / "instances")
    assert len(frame) == 6 and set(frame["scan"]) == {record.scan_id}
    assert str(frame["timestamp"].dtype) == "datetime64[us, UTC]"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(pd.read_parquet(tables / "embeddings")["embedding"].iloc[0]) == 8


@also_slowly_on_s3
def test_dataset_with_duckdb(tables: str, record: ScanRecord) -> None:
    commit(tables, record, [source("a"), source("b")])
    instances, embeddings = open_table(tables, "instances"), open_table(tables, "embeddings")
    rows = duckdb.execute(
        """
        SELECT source_uri, names[1].name, octet_length(mask_rle) > 0, array_inner_product(embedding, embedding)
        FROM instances JOIN embeddings USING (instance_id)
        WHERE instances.dt = DATE '2026-11-22' AND instances.scan = embeddings.scan
          AND timestamp < TIMESTAMPTZ '2026-11-22 13:00:00+00'
        ORDER BY source_uri
        """
    ).fetchall()
    assert [row[:3] for row in rows] == [
        (source("a").uri, rows[0][1], True),
        (source("b").uri, rows[1][1], True),
    ]
    assert all(abs(row[3] - 1) < 0.01 for row in rows)
    assert embeddings.count_rows() == instances.count_rows() == 4


def test_older_files_lack_newer_columns(tmp_path: Path, record: ScanRecord) -> None:
    """A column that is added later reads as null from files that do not have it."""
    shard = commit(str(tmp_path), record, [source("a")])
    path = tmp_path / f"instances/scan={record.scan_id}/dt=2026-11-22/{shard}.parquet"
    pq.write_table(pq.ParquetFile(path).read().drop_columns(["latitude", "track_id"]), path)
    [commit_record] = Tables.at(tmp_path).commits(record.scan_id)
    files = tuple(replace(file, size=(tmp_path / file.path).stat().st_size) for file in commit_record.files)
    (tmp_path / "_commits" / record.scan_id / f"{shard}.json").unlink()
    assert Tables.at(tmp_path).write_commit(replace(commit_record, files=files))
    table = open_table(str(tmp_path), "instances").to_table()
    assert table.num_rows == 2 and table["latitude"].to_pylist() == [None, None]
