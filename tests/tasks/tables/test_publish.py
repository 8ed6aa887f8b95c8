"""Published tables: engines that read a Delta Lake log see the rows of ``open_table``, and those of all generations."""

import hashlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from pathlib import Path
from typing import Any

import deltalake
import duckdb
import fsspec
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from schemas.records import ScanRecord
from tasks.scanning.scan_record import make_scan_record
from tasks.storage import locate
from tasks.tables import Tables, open_table
from tasks.tables.delta_log import DeltaLog, create_log
from tasks.tables.publish import TablePublished
from tests.tasks.samples import description
from tests.tasks.tables.test_compact import tell
from tests.tasks.tables.test_tables import commit, source

Engine = Callable[[str | Path, str], list[dict[str, Any]]]

OF_ALL = ("instances", "frames")
LATEST = {"instances_latest": "instances", "frames_latest": "frames"}
NEWEST_COLUMNS = ("shard", "camera", "track_name", "track_name_score", "name_reason")


def publish(tables: str | Path, grace: timedelta | None = None) -> dict[str, TablePublished]:
    there = Tables.at(str(tables))
    return {done.table.value: done for done in (there.publish() if grace is None else there.publish(grace))}


def delta(tables: str | Path, table: str, version: int | None = None) -> deltalake.DeltaTable:
    options = {"aws_allow_http": "true"} if str(tables).startswith("s3://") else None
    return deltalake.DeltaTable(f"{tables}/{table}", version=version, storage_options=options)


def with_deltalake(tables: str | Path, table: str) -> list[dict[str, Any]]:
    """By pyarrow's reader, as pandas and Dask have it."""
    return list(delta(tables, table).to_pyarrow_table().to_pylist())


def with_pandas(tables: str | Path, table: str) -> list[dict[str, Any]]:
    return list(pa.Table.from_pandas(delta(tables, table).to_pandas(types_mapper=_arrow)).to_pylist())


def _arrow(kind: Any) -> Any:
    import pandas as pd

    return pd.ArrowDtype(kind)


def with_polars(tables: str | Path, table: str) -> list[dict[str, Any]]:
    """By Polars' own reader of Parquet."""
    import polars as pl

    return list(pl.scan_delta(f"{tables}/{table}").collect().to_dicts())


def with_datafusion(tables: str | Path, table: str) -> list[dict[str, Any]]:
    """By the engine inside of deltalake, which follows the statistics."""
    builder = deltalake.QueryBuilder().register("t", delta(tables, table))
    return list(pa.table(builder.execute("SELECT * FROM t").read_all()).to_pylist())


def with_daft(tables: str | Path, table: str) -> list[dict[str, Any]]:
    """In a process of its own: Daft leaves an event loop behind that disturbs what runs after it."""
    program = (
        "import daft, sys, pyarrow as pa\n"
        "read = daft.read_deltalake(sys.argv[1]).to_arrow()\n"
        "with pa.OSFile(sys.argv[2], 'wb') as file, pa.ipc.new_file(file, read.schema) as out: out.write_table(read)"
    )
    out = Path(tables) / f"daft-{table}.arrow"
    subprocess.run([sys.executable, "-c", program, f"{tables}/{table}", str(out)], capture_output=True, check=True)
    read = pa.ipc.open_file(out).read_all()
    out.unlink()
    return list(read.to_pylist())


def with_duckdb(tables: str | Path, table: str) -> list[dict[str, Any]]:
    with duckdb.connect() as connection:
        found = connection.sql(f"LOAD delta; FROM delta_scan('{tables}/{table}')").to_arrow_table()
    return list(found.to_pylist())


ENGINES = [with_deltalake, with_pandas, with_polars, with_datafusion]


def same(found: list[dict[str, Any]]) -> list[str]:
    """Rows without the order of columns, and with masks and times told alike by all engines."""
    return tell(
        [
            {
                name: bytes(value).hex()
                if isinstance(value, bytes | memoryview)
                else value.isoformat(timespec="microseconds")
                if name == "timestamp"
                else value
                for name, value in sorted(row.items())
            }
            for row in found
        ]
    )


def check(tables: str | Path, *engines: Engine) -> None:
    """Latest is ``open_table``; the others are what a raw reader sees."""
    check_latest(tables, *engines)
    for table in OF_ALL:
        assert told(with_deltalake(tables, table)) == told(with_raw_files(tables, table)), table


def check_latest(tables: str | Path, *engines: Engine) -> None:
    for table, of in LATEST.items():
        expected = same(open_table(str(tables), of).to_table().to_pylist())
        for engine in engines or (with_deltalake,):
            assert same(engine(tables, table)) == expected, (engine, table)


def told(found: list[dict[str, Any]]) -> list[str]:
    """Rows as a raw reader sees them: without the columns of the folders, and of those that old files lack."""
    return same([{k: v for k, v in row.items() if k not in ("scan", "dt") and v is not None} for row in found])


def with_raw_files(tables: str | Path, table: str) -> list[dict[str, Any]]:
    fs, root = fsspec.core.url_to_fs(str(tables), use_listings_cache=False)
    found = fs.glob(f"{root}/{table}/scan=*/dt=*/*.parquet")
    return [row for path in found for row in pq.ParquetFile(fs.open(path)).read().to_pylist()]


def three_generations(tables: Path) -> None:
    """Two, and one of an older schema version: whole files, shards of which a part is superseded, a changed source, one
    that failed, two days."""
    oldest, old, middle, new = generations(4)
    with_old_schema(tables, replace(oldest, schema_version=2), "z")
    commit(str(tables), old, [source("a"), source("b")], minute=1)
    commit(str(tables), old, [source("c")], minute=2, hours=16)
    commit(str(tables), middle, [source("b"), source("d")], minute=3, failed="d")
    commit(str(tables), new, [source("c"), source("b", "2")], minute=4, hours=16)


@pytest.mark.skipif(version("daft") < "0.7", reason="Daft before 0.7 cannot read the logs of deltalake 1.6")
def test_daft(tmp_path: Path) -> None:
    three_generations(tmp_path)
    publish(tmp_path)
    check(tmp_path, with_daft)


def test_duckdb(tmp_path: Path) -> None:
    with duckdb.connect() as connection:
        known = connection.execute(
            "SELECT installed FROM duckdb_extensions() WHERE extension_name = 'delta'"
        ).fetchone()
    if known != (True,):
        pytest.skip("DuckDB's extension delta is not installed")
    three_generations(tmp_path)
    publish(tmp_path)
    check(tmp_path, with_duckdb)


def generations(count: int) -> list[ScanRecord]:
    return [make_scan_record(description(model=f"model-{number}"), fps=2.0) for number in range(count)]


def with_old_schema(tables: Path, record: ScanRecord, name: str) -> None:
    """A shard as a program of an older schema version wrote it."""
    shard = commit(str(tables), record, [source(name)])
    there = Tables.at(str(tables))
    written = there.commit(record.scan_id, shard)
    files = []
    for file in written.files:
        path = tables / file.path
        old = pq.ParquetFile(path).read()
        pq.write_table(old.drop_columns([name for name in NEWEST_COLUMNS if name in old.column_names]), path)
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        files.append(replace(file, size=path.stat().st_size, sha256=digest))
    (tables / "_commits" / record.scan_id / f"{shard}.json").unlink()
    assert there.write_commit(replace(written, files=tuple(files)))


@pytest.mark.whole
def test_three_generations_with_every_engine(tmp_path: Path) -> None:
    tables = tmp_path / "T"
    three_generations(tables)
    first = publish(tables)
    assert {name: (done.version, done.added, done.removed) for name, done in first.items()} == {
        "instances": (0, 7, 0), "frames": (0, 7, 0), "instances_latest": (0, 5, 0), "frames_latest": (0, 5, 0),
    }  # fmt: skip
    check(tables, *ENGINES)
    # What engines leave out by the statistics holds no wanted row.
    noon = datetime(2026, 11, 22, 12, tzinfo=UTC)
    wanted = (pc.field("timestamp") > noon) & (pc.field("name") != "model-1 1") & (pc.field("frame_index") >= 1)
    sql = "timestamp > '2026-11-22T12:00:00Z' AND name <> 'model-1 1' AND frame_index >= 1"
    builder = deltalake.QueryBuilder().register("t", delta(tables, "instances_latest"))
    asked = pa.table(builder.execute(f"SELECT instance_id FROM t WHERE {sql}").read_all())["instance_id"].to_pylist()
    expected = open_table(tables, "instances").to_table(filter=wanted)["instance_id"].to_pylist()
    assert asked and sorted(asked) == sorted(expected)
    read = delta(tables, "instances_latest").to_pyarrow_dataset().to_table(filter=wanted)["instance_id"]
    assert sorted(read.to_pylist()) == sorted(expected)
    # Nothing is copied but the rows of files that mix superseded and current ones, or lack a column.
    inodes = {os.stat(path).st_ino for path in tables.glob("instances/scan=*/*/*.parquet")}
    second = {os.stat(path).st_ino for path in tables.glob("instances_latest/scan=*/*/*.parquet")}
    assert len(second - inodes) == 3 and not (tables / "instances" / "_published").exists()


def test_a_night_is_one_version_and_no_change_is_none(tmp_path: Path, record: ScanRecord, newer: ScanRecord) -> None:
    tables = tmp_path / "T"
    commit(str(tables), record, [source("a"), source("b")])
    first = publish(tables)
    assert publish(tables) == {name: replace(done, added=0) for name, done in first.items()}
    before = with_deltalake(tables, "instances_latest")
    commit(str(tables), newer, [source("b"), source("c")], minute=1)
    second = publish(tables)
    assert {name: (done.version, done.added, done.removed) for name, done in second.items()} == {
        "instances": (1, 1, 0), "frames": (1, 1, 0), "instances_latest": (1, 2, 1), "frames_latest": (1, 2, 1),
    }  # fmt: skip
    check(tables)
    # Time travel to the night before.
    assert same(delta(tables, "instances_latest", 0).to_pyarrow_table().to_pylist()) == same(before)


def test_statistics_are_those_of_the_rows(tmp_path: Path, record: ScanRecord) -> None:
    commit(str(tmp_path), record, [source("a"), source("b")])
    publish(tmp_path)
    told = pa.table(delta(tmp_path, "instances_latest").get_add_actions(flatten=True)).to_pylist()[0]
    found = pa.Table.from_pylist(with_deltalake(tmp_path, "instances_latest"))
    assert told["num_records"] == 4
    for name in ("source_uri", "frame_index", "timestamp", "name_score", "shard"):
        bounds = pc.min_max(found[name]).as_py()
        assert (told[f"min.{name}"], told[f"max.{name}"]) == (bounds["min"], bounds["max"]), name
        assert told[f"null_count.{name}"] == found[name].null_count
    assert told["null_count.latitude"] == 4 and told.get("min.latitude") is None
    assert "min.mask_rle" not in told  # it has no statistics in the file either


def test_checkpoints_and_old_entries(tmp_path: Path, record: ScanRecord) -> None:
    commit(str(tmp_path), record, [source("a"), source("b")])
    publish(tmp_path)
    place, long_ago = tmp_path / "frames" / "_delta_log", time.time() - 60 * 86400
    for _ in range(20):  # nights, as far as the log is concerned
        assert DeltaLog(locate(str(tmp_path / "frames"))).change(schema_of(tmp_path, "frames"), [], [])
        for entry in place.iterdir():
            os.utime(entry, (long_ago, long_ago))
    versions = sorted(int(entry.name[:20]) for entry in place.glob("*.json"))
    assert json.loads((place / "_last_checkpoint").read_text())["version"] in versions
    assert versions[-1] == 20 and len(versions) < 12, versions
    assert publish(tmp_path)["frames"].version == 20
    check(tmp_path)


def test_columns_of_newer_schema_versions_are_added(tmp_path: Path, record: ScanRecord) -> None:
    commit(str(tmp_path), record, [source("a")])
    columns = [field for field in open_table(tmp_path, "frames").schema if field.name not in ("scan", "dt", "camera")]
    older = pa.schema([*columns, ("scan", pa.string()), ("dt", pa.date32())])
    assert create_log(locate(str(tmp_path / "frames")), older, [])
    assert not create_log(locate(str(tmp_path / "frames")), older, [])
    assert publish(tmp_path)["frames"].added == 1
    check(tmp_path)


def test_object_store(s3: str, record: ScanRecord, newer: ScanRecord) -> None:
    tables = f"{s3}/T"
    commit(tables, record, [source("a"), source("b")])
    publish(tables)
    stale = DeltaLog(locate(f"{tables}/frames"))
    commit(tables, newer, [source("b")], minute=1)
    assert publish(tables)["frames_latest"].version == 1
    check(tables)
    assert not stale.change(schema_of(tables, "frames"), [], [])  # by a conditional write of the store
    assert publish(tables)["frames"].version == 1


def test_credentials_of_the_fsspec_configuration(s3: str, record: ScanRecord, monkeypatch: pytest.MonkeyPatch) -> None:
    """The library of the log has no fsspec: it is told what fsspec was told."""
    client = {"endpoint_url": os.environ["AWS_ENDPOINT_URL"], "region_name": "us-east-1"}
    monkeypatch.setitem(fsspec.config.conf, "s3", {"key": "test", "secret": "test", "client_kwargs": client})
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    commit(f"{s3}/T", record, [source("a")])
    assert publish(f"{s3}/T")["frames"].version == 0


def schema_of(tables: str | Path, table: str) -> pa.Schema:
    return pa.schema(delta(tables, table).schema().to_arrow())


def test_a_compaction_changes_files_and_no_data(tmp_path: Path, record: ScanRecord, newer: ScanRecord) -> None:
    """Programs that follow a table need not read its rows again; a night that came meanwhile they must read."""

    def changes_data(table: str) -> set[bool]:
        place = tmp_path / table / "_delta_log" / f"{delta(tmp_path, table).version():020}.json"
        actions = [json.loads(line) for line in place.read_text("utf-8").splitlines()]
        return {action[kind]["dataChange"] for action in actions for kind in ("add", "remove") if kind in action}

    for number, name in enumerate("abc"):
        commit(str(tmp_path), record, [source(name)], minute=number)
    commit(str(tmp_path), newer, [source("a")], minute=3)
    publish(tmp_path)
    list(Tables.at(tmp_path).compact(timedelta()))
    assert publish(tmp_path)["instances_latest"].added
    assert [changes_data(table) for table in (*OF_ALL, *LATEST)] == [{False}] * 4
    check(tmp_path)
    commit(str(tmp_path), record, [source("d")], minute=4)
    list(Tables.at(tmp_path).compact(timedelta()))
    publish(tmp_path)
    assert [changes_data(table) for table in (*OF_ALL, *LATEST)] == [{True}] * 4
    commit(str(tmp_path), newer, [source("b")], minute=5)
    publish(tmp_path)
    assert changes_data("instances_latest") == {True}
