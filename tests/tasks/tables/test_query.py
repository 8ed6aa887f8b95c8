"""DuckDB over the tables."""

import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from schemas.records import ScanRecord
from tasks.errors import UsageError, UserError
from tasks.tables import Tables, open_table
from tasks.tables.query import run_query
from tests.tasks.tables.test_tables import commit, source

_OUTLIVED = """
import threading, time
from tasks.reporting.comparison import compare_scans
from tasks.tables.query import run_query
from tasks.reporting.report import make_report

def keep(*functions):
    time.sleep(3600)

threading.Thread(target=keep, args=(compare_scans, run_query, make_report), daemon=True).start()
"""


@pytest.mark.whole
def test_a_thread_that_outlives_the_program_leaves_no_words() -> None:
    """Prefect has such threads, and they hold the flow; DuckDB then told of leaks on the terminal."""
    ran = subprocess.run(
        [sys.executable, "-c", _OUTLIVED],
        capture_output=True,
        text=True,
        timeout=300,
        cwd=Path(__file__).parents[3],
    )
    assert (ran.returncode, ran.stderr) == (0, "")


@pytest.mark.parametrize("above", ["drive=X", "scan=nightly", "dt=2026-11-28", "dt=x/scan=/name=a", "instances"])
@pytest.mark.parametrize("compacted", [False, True])
def test_folders_above_the_tables_are_no_columns(
    tmp_path: Path, record: ScanRecord, newer: ScanRecord, above: str, compacted: bool
) -> None:
    tables = tmp_path / above / "tables"
    commit(str(tables), record, [source("a"), source("b")], minute=0)
    commit(str(tables), record, [source("c")], minute=1)
    commit(str(tables), newer, [source("b")], minute=2)
    if compacted:
        list(Tables.at(tables).compact(timedelta()))
    columns = ["instance_id", "source_uri", "drive", "name", "scan", "dt", "shard"]
    expected = open_table(tables, "instances").to_table(columns=columns).to_pylist()
    found = run_query(Tables.at(tables), f"SELECT {', '.join(columns)} FROM instances")
    assert sorted(found.rows) == sorted(tuple(row.values()) for row in expected)
    assert {row["drive"] for row in expected} == {"drive"}
    assert {row["scan"] for row in expected} == {record.scan_id, newer.scan_id}


_KEYS = st.sampled_from(["scan", "dt", "drive", "name", "shard", "source_uri", "instances", "a b", "ä"])
_VALUES = st.one_of(
    st.sampled_from(["", "x", "2026-11-28", "1977811083e4", "__HIVE_DEFAULT_PARTITION__", "%2F", "null", "s0"]),
    st.text(st.characters(codec="utf-8", exclude_characters="/\\0", exclude_categories=["C"]), max_size=12),
)
_FOLDERS = st.lists(st.builds("{}={}".format, _KEYS, _VALUES), min_size=1, max_size=4)


@settings(max_examples=12, derandomize=True, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(folders=_FOLDERS)
def test_any_folders_above_the_tables_change_no_answer(
    tmp_path: Path, record: ScanRecord, newer: ScanRecord, folders: list[str]
) -> None:
    made = tmp_path / "made"
    if not made.exists():
        commit(str(made), record, [source("a"), source("b")], minute=0)
        commit(str(made), newer, [source("b")], minute=2)
    tables = tmp_path.joinpath("above", *folders, "tables")
    tables.parent.mkdir(parents=True, exist_ok=True)
    made.rename(tables)
    try:
        rows = open_table(tables, "instances").to_table(columns=["instance_id", "drive", "scan"]).to_pylist()
        found = run_query(Tables.at(tables), "SELECT instance_id, drive, scan FROM instances").rows
    finally:
        tables.rename(made)
    assert sorted(found) == sorted(tuple(row.values()) for row in rows)
    assert len(rows) == 4 and {row["drive"] for row in rows} == {"drive"}
    assert {row["scan"] for row in rows} == {record.scan_id, newer.scan_id}


def test_queries_reach_the_tables_alone(tmp_path: Path, record: ScanRecord) -> None:
    tables, beside = Tables.at(tmp_path / "T"), tmp_path / "beside.csv"
    commit(str(tmp_path / "T"), record, [source("a")])
    beside.write_text("secret\n1\n")
    part = next((tmp_path / "T" / "instances").rglob("*.parquet"))
    before = part.read_bytes()
    for sql in (
        f"SELECT * FROM read_csv('{beside}')",
        f"SELECT * FROM '{beside}'",
        "SELECT * FROM read_text('/etc/hostname')",
        "SELECT * FROM glob('/etc/*')",
        f"COPY instances TO '{tmp_path / 'out.csv'}'",
        f"COPY (SELECT 1) TO '{part}' (FORMAT parquet, USE_TMP_FILE false)",
        f"SELECT 1; COPY (SELECT 1) TO '{part}' (FORMAT parquet, USE_TMP_FILE false)",
        f"ATTACH '{tmp_path / 'other.db'}'",
        f"EXPORT DATABASE '{tmp_path / 'out'}'",
        "INSTALL httpfs",
        "SET enable_external_access = true",
        "SET allowed_directories = ['/']",
    ):
        with pytest.raises((UsageError, UserError)):
            run_query(tables, sql)
    assert part.read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["T", "beside.csv"]
    assert run_query(tables, "SELECT count(*) AS n FROM instances").rows == [(2,)]
    assert run_query(tables, f"SELECT * FROM read_csv('{beside}')", unsafe=True).rows == [(1,)]


def test_sql_without_an_answer_is_bad_usage(tmp_path: Path, record: ScanRecord) -> None:
    commit(str(tmp_path), record, [source("a")])
    for sql in ("", ";", "-- nothing", "SELECT nothing FROM instances"):
        with pytest.raises(UsageError):
            run_query(Tables.at(tmp_path), sql)
