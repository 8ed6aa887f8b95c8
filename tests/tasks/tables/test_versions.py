"""Tables that hold files of every schema version, as their code wrote them."""

import hashlib
import shutil
import time
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

from schemas.records import PartFile
from schemas.tables import FRAMES, INSTANCES, SCHEMA_VERSION, SHARD, Table
from tasks.tables import Tables, open_table
from tasks.tables.compact import DayCompacted
from tasks.tables.query import connect
from tasks.tables.records import publish_compaction, read_compactions
from tests.tasks.killable import moments, scans
from tests.tasks.tables.test_compact import files, tell
from tests.tasks.tables.test_publish import check, delta, publish, same, with_deltalake, with_polars
from tests.tasks.tables.versions import NEWEST_WRITTEN, WRITTEN, tables_of_every_version, three_versions

pytestmark = pytest.mark.whole


@pytest.fixture
def tables(tmp_path: Path) -> Path:
    tables_of_every_version(tmp_path / "T")
    return tmp_path / "T"


def lying(tables: Path, table: str) -> list[dict[str, Any]]:
    """The rows of all files, read one by one, with the version of the code that wrote them."""
    rows = []
    for path in sorted(tables.glob(f"{table}/scan=*/dt=*/*.parquet")):
        read = pq.ParquetFile(path).read()
        known = {"scan": path.parts[-3][5:], "dt": path.parts[-2][3:], SHARD.name: path.stem}
        version = int(read.schema.metadata[b"clipomaly.schema_version"])
        rows += [known | row | {"version": version} for row in read.to_pylist()]
    return rows


def newest(tables: Path, table: str) -> list[str]:
    """The rows that count: of each clip those of the newest version that scanned it."""
    last: dict[str, int] = {}
    for row in lying(tables, "frames"):
        last[row["source_uri"]] = max(row["version"], last.get(row["source_uri"], 0))
    assert sorted(last.values()) == [1, 2, 3, 4, 5, 5]
    lacking = dict.fromkeys((INSTANCES if table == "instances" else FRAMES).names)
    rows = [lacking | row for row in lying(tables, table) if row["version"] == last[row["source_uri"]]]
    return same([{name: value for name, value in row.items() if name != "version"} for row in rows])


def by_sql(tables: Path, table: str) -> list[str]:
    with connect(tables) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        return same(connection.sql(f"FROM {table}").to_arrow_table().to_pylist())


def opened(tables: Path, table: str) -> list[str]:
    return same(open_table(tables, table).to_table().to_pylist())


def everything(tables: Path) -> dict[str, list[str]]:
    """What each reader sees: the rows that count, and those of each scan."""
    seen = {f"{table} by SQL": by_sql(tables, table) for table in ("instances", "frames")}
    for scan in (None, *(scan.scan_id for scan in Tables.at(tables).scans())):
        for table in Table:
            seen[f"{table} of {scan}"] = tell(open_table(tables, table, scan_id=scan).to_table().to_pylist())
    return seen


def test_every_version_was_written() -> None:
    """Whoever raises the schema version adds tables of the version before."""
    assert NEWEST_WRITTEN == SCHEMA_VERSION


def test_readers_of_a_mixture(tables: Path) -> None:
    expected = {table: newest(tables, table) for table in ("instances", "frames")}
    publish(tables)
    for table, rows in expected.items():
        assert opened(tables, table) == by_sql(tables, table) == rows
    assert delta(tables, "instances").schema().to_arrow().names == [*INSTANCES.names, SHARD.name, "scan", "dt"]
    check(tables, with_deltalake, with_polars)


def all_generations(tables: Path, table: str) -> list[list[str]]:
    """The rows of every scan, by each reader: ours, of a published table, and two that read the files."""
    folders = ds.partitioning(pa.schema([("scan", pa.string()), ("dt", pa.date32())]), flavor="hive")
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        options = "union_by_name = true, hive_partitioning = true, hive_types = {'scan': VARCHAR, 'dt': DATE}"
        glob = f"{tables}/{table}/scan=*/dt=*/*.parquet"
        raw = connection.sql(f"FROM read_parquet('{glob}', {options})").to_arrow_table().to_pylist()
    found = ds.dataset(tables / table, partitioning=folders)
    schema = pa.unify_schemas([found.schema, *(file.physical_schema for file in found.get_fragments())])
    by_scan = [
        row
        for scan in Tables.at(tables).scans()
        for row in open_table(tables, table, scan_id=scan.scan_id).to_table().to_pylist()
    ]
    by_reader = (
        by_scan,
        with_deltalake(tables, table),
        raw,
        ds.dataset(tables / table, schema=schema, partitioning=folders).to_table().to_pylist(),
    )
    # Files of versions before 3 do not say the shard of their rows.
    return [same([{name: row[name] for name in row if name != SHARD.name} for row in rows]) for rows in by_reader]


@pytest.mark.whole
def test_every_reader_sees_the_same_rows(tmp_path: Path) -> None:
    """Over three generations of three schema versions: as they were written, compacted, damaged and repaired."""
    third = three_versions(tables := tmp_path / "T")[3]

    def counts() -> list[int]:
        seen = []
        publish(tables)
        check(tables, with_deltalake, with_polars)
        for table in ("instances", "frames"):
            assert by_sql(tables, table) == opened(tables, table)
            first, *others = all_generations(tables, table)
            assert all(rows == first for rows in others)
            seen += [len(first), len(opened(tables, table))]
        return seen

    written = counts()
    list(Tables.at(tables).compact(timedelta()))
    assert counts() == written
    for merged in tables.glob(f"frames/scan={third}/dt=2024-05-07/*.parquet"):
        merged.write_bytes(merged.read_bytes()[:-100])
    assert [found.repair is not None for found in Tables.at(tables).check(repair=True)] == [True]
    instances, newest_instances, frames, newest_frames = counts()
    # No row of that scan's three clips of the day is left, and those of the oldest scan count again.
    assert frames == written[2] - 9 and instances < written[0] and newest_frames == written[3] and newest_instances


def upgrade(tables: Path) -> list[DayCompacted]:
    return list(Tables.at(tables).compact(timedelta(), upgrade=True))


@pytest.mark.whole
def test_upgrade(tables: Path) -> None:
    before = everything(tables)
    publish(tables)
    assert [(scan.schema_version, scan.files) for scan in Tables.at(tables).outdated()] == [
        (1, 6),
        (2, 6),
        (3, 6),
        (4, 3),
    ]
    done = upgrade(tables)
    assert [day.trouble for day in done] == [None] * 7
    assert Tables.at(tables).outdated() == [] and upgrade(tables) == []
    assert everything(tables) == before
    for table, columns in (("instances", INSTANCES), ("frames", FRAMES)):
        schemas = [pq.read_schema(path) for path in tables.glob(f"{table}/scan=*/dt=*/*.parquet")]
        assert len(schemas) == 8 and all(schema.equals(columns.append(SHARD)) for schema in schemas)
        assert {schema.metadata[b"clipomaly.schema_version"] for schema in schemas} == {str(SCHEMA_VERSION).encode()}
    publish(tables)
    check(tables, with_deltalake, with_polars)


def another_shard(tables: Path, scan: str) -> None:
    """One more shard of the second day, as code of the old version would add it: that of other clips."""
    here = Tables.at(tables)
    old = next(commit for commit in here.commits(scan) if "dt=2024-05-07" in commit.files[0].path)
    shard = "a" + old.shard_id[1:]
    files = []
    for file in old.files:
        [path] = WRITTEN.glob(file.path)
        rows = pq.ParquetFile(path).read()
        for name, was, becomes in (("source_uri", ".mp4", "-late.mp4"), ("instance_id", "0", "1")):
            if name in rows.column_names:
                changed = pc.replace_substring(rows[name], was, becomes)
                rows = rows.set_column(rows.column_names.index(name), rows.schema.field(name), changed)
        target = tables / file.path.replace(old.shard_id, shard)
        pq.write_table(rows, target)
        data = target.read_bytes()
        digest = hashlib.sha256(data).hexdigest()
        files.append(PartFile(file.table, str(target.relative_to(tables)), file.rows, len(data), digest))
    sources = tuple(replace(item, uri=item.uri.replace(".mp4", "-late.mp4"), fingerprint=None) for item in old.sources)
    assert here.write_commit(replace(old, shard_id=shard, files=tuple(files), sources=sources))


def test_an_upgraded_day_stays_so(tmp_path: Path) -> None:
    """Code of the old version, on another machine, goes on with its scan."""
    first = three_versions(tables := tmp_path / "T")[1]
    upgrade(tables)
    another_shard(tables, first)
    assert [(scan.scan_id, scan.files) for scan in Tables.at(tables).outdated()] == [(first, 3)]
    expected = everything(tables)
    assert [day.merged for day in Tables.at(tables).compact(timedelta())] == [6]
    assert Tables.at(tables).outdated() == [] and everything(tables) == expected


def test_files_of_a_newer_version_are_left(tmp_path: Path) -> None:
    """Its columns would be lost."""
    first = three_versions(tables := tmp_path / "T")[1]
    upgrade(tables)
    for merged in read_compactions(Tables.at(tables).root, first).values():
        files = []
        for file in merged.files:
            path = tables / file.path
            pq.write_table(pq.ParquetFile(path).read().append_column("of_tomorrow", pa.array([1] * file.rows)), path)
            digest = hashlib.sha256(path.read_bytes()).hexdigest()
            files.append(replace(file, size=path.stat().st_size, sha256=digest))
        newer = replace(merged, number=merged.number + 1, files=tuple(files), schema_version=SCHEMA_VERSION + 1)
        assert publish_compaction(Tables.at(tables).root, newer)
    another_shard(tables, first)
    before = everything(tables)
    for done in (list(Tables.at(tables).compact(timedelta())), upgrade(tables)):
        assert "of_tomorrow" in "".join(day.trouble or "" for day in done)
    assert everything(tables) == before


@pytest.mark.slow
def test_an_upgrade_that_is_killed(tmp_path: Path) -> None:
    """Readers see the same rows, a raw glob none twice, and running again brings the same files."""
    tables_of_every_version(tmp_path / "whole")
    expected = everything(tmp_path / "whole")
    killed, count = 0, 30
    with scans() as running:
        started = time.monotonic()
        running.start(None, str(tmp_path / "whole"))
        assert running.wait() == [0]
        seconds = time.monotonic() - started
        for number, moment in enumerate(moments(count, seconds, seed=count)):
            tables = tmp_path / str(number)
            tables_of_every_version(tables)
            killed += running.killed_after(None, str(tables), moment)
            assert everything(tables) == expected
            ids = [row["instance_id"] for row in lying(tables, "instances")]
            assert len(ids) == len(set(ids))
            upgrade(tables)
            assert everything(tables) == expected and files(str(tables)) == files(str(tmp_path / "whole"))
            shutil.rmtree(tables)
    assert killed >= count // 4, "nearly all had ended before they were killed"
