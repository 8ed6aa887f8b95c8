"""Sources that are forgotten on request leave no row, and are not scanned again."""

from datetime import timedelta
from pathlib import Path

import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from clipomaly.cli.main import app
from schemas.records import Outcome, ScanRecord
from schemas.tables import Table
from tasks.errors import UsageError
from tasks.scanning.plan import plan
from tasks.scanning.status import read_status
from tasks.tables import Tables, open_table
from tasks.tables.query import run_query
from tests.tasks.tables.test_tables import check_embeddings, commit, source

NOW = timedelta()


def fill(tables: Path, record: ScanRecord, newer: ScanRecord) -> None:
    """Two generations; a shares a shard with b, and is scanned by both."""
    commit(str(tables), record, [source("a"), source("b")], minute=0, hours=16)
    commit(str(tables), record, [source("c")], minute=1)
    commit(str(tables), newer, [source("a")], minute=2)


def sources_seen(tables: Path, scan_id: str | None = None) -> set[str]:
    rows = open_table(tables, "instances", scan_id=scan_id).to_table(columns=["source_uri"])
    return {uri.rsplit("/", 1)[-1].removesuffix(".mp4") for uri in rows["source_uri"].to_pylist()}


def ids_in_files(tables: Path) -> set[str]:
    """Every instance that any file below the tables still holds, whatever names it."""
    return {
        identity
        for path in tables.rglob("*.parquet")
        if path.relative_to(tables).parts[0] not in ("_checkpoints", "_plans", "frames")
        and "frames" not in path.relative_to(tables).parts
        for identity in pq.ParquetFile(path).read(["instance_id"])["instance_id"].to_pylist()
    }


@pytest.mark.parametrize("before", ["small files", "compacted", "aside"])
def test_nothing_is_left(tmp_path: Path, record: ScanRecord, newer: ScanRecord, before: str) -> None:
    fill(tmp_path, record, newer)
    tables = Tables.at(tmp_path)
    gone = {
        identity
        for scan in (record, newer)
        for identity in open_table(tmp_path, "instances", scan_id=scan.scan_id)
        .to_table(filter=pc.field("source_uri") == source("a").uri)["instance_id"]
        .to_pylist()
    }
    assert len(gone) == 4 and gone <= ids_in_files(tmp_path)
    tables.fold(record.scan_id)
    if before != "small files":
        list(tables.compact(NOW if before == "compacted" else timedelta(hours=1)))
    forgotten = tables.forget([source("a").uri])
    assert forgotten.sources == {source("a").uri: 4}
    # At once, for every reader and every generation.
    assert sources_seen(tmp_path) == {"b", "c"}
    assert sources_seen(tmp_path, record.scan_id) == {"b", "c"} and sources_seen(tmp_path, newer.scan_id) == set()
    assert run_query(tables, "SELECT count(*) FROM frames").rows == [(4,)]
    check_embeddings(str(tmp_path))
    list(tables.remove_rows(forgotten, NOW))
    assert not gone & ids_in_files(tmp_path)
    for table in Table:
        assert open_table(tmp_path, table).count_rows() == 4
    for path in tmp_path.rglob("*.parquet"):
        if "frames" in path.relative_to(tmp_path).parts:
            assert source("a").uri not in pq.ParquetFile(path).read()["source_uri"].to_pylist()
    assert list(tables.check()) == [] and list(tables.compact(NOW)) == []


def test_it_is_not_scanned_again(tmp_path: Path, record: ScanRecord, newer: ScanRecord) -> None:
    fill(tmp_path, record, newer)
    tables = Tables.at(tmp_path)
    list(tables.remove_rows(tables.forget([source("c").uri]), NOW))
    for scan in (record, newer):
        planned = plan([source("c"), source("d")], tables.done(scan.scan_id), 1)
        assert [one.uri for one in planned.sources] == [source("d").uri]
    # Other content under its name is other footage.
    assert len(plan([source("c", "2")], tables.done(record.scan_id), 1)) == 1


def test_status_counts_it_as_forgotten(tmp_path: Path, record: ScanRecord, newer: ScanRecord) -> None:
    fill(tmp_path, record, newer)
    tables = Tables.at(tmp_path)
    tables.fold(record.scan_id)
    tables.forget([source("a").uri])
    old = next(status for status in read_status(tables) if status.scan_id == record.scan_id)
    assert (old.outcomes[Outcome.FORGOTTEN], old.frames, old.instances) == (1, 4, 4)


def test_a_folder_of_sources_and_names_that_are_none(tmp_path: Path, record: ScanRecord, newer: ScanRecord) -> None:
    fill(tmp_path, record, newer)
    tables = Tables.at(tmp_path)
    with pytest.raises(UsageError, match="Nothing was forgotten"):
        tables.forget([source("a").uri, "s3://fleet/driv"])
    assert sources_seen(tmp_path) == {"a", "b", "c"}
    assert len(tables.forget(["s3://fleet/drive/"]).sources) == 3
    assert sources_seen(tmp_path) == set()


def test_the_command(tmp_path: Path, record: ScanRecord, newer: ScanRecord) -> None:
    fill(tmp_path, record, newer)
    asked = CliRunner().invoke(app, ["forget", str(tmp_path), source("a").uri], input="n\n")
    assert asked.exit_code == 1 and sources_seen(tmp_path) == {"a", "b", "c"}
    done = CliRunner().invoke(app, ["forget", str(tmp_path), source("a").uri, "--yes"])
    assert done.exit_code == 0 and "4 instances" in done.output and sources_seen(tmp_path) == {"b", "c"}
    wrong = CliRunner().invoke(app, ["forget", str(tmp_path), "nothing.mp4", "--yes"])
    assert isinstance(wrong.exception, UsageError)
