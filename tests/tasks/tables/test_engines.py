"""Engines that read the files themselves, by the lines of docs/howto/engines.md: ids stay text.

Ids of versions before 0.2 were hexadecimal digits alone, and some of those read as numbers.
"""

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import duckdb
import pandas as pd
import pyarrow as pa
import pyarrow.dataset as ds
import pytest

from schemas.records import ScanRecord
from tasks.tables import open_table
from tasks.tables.query import connect
from tests.tasks.tables.test_tables import commit, source

pytestmark = pytest.mark.whole

OLD_IDS = ["1977811083e4", "000000000012", "9007199254740993", "123456789e99", "e12345678901", "0b1010101010"]
FOLDERS = ds.partitioning(pa.schema([("scan", pa.string()), ("dt", pa.date32())]), flavor="hive")


def with_duckdb(tables: Path) -> list[str]:
    kinds = "hive_types = {'scan': VARCHAR, 'dt': DATE}"
    rows = duckdb.execute(
        f"SELECT scan FROM read_parquet('{tables}/instances/scan=*/dt=*/*.parquet', hive_partitioning = true, {kinds})"
    )
    return [scan for (scan,) in rows.fetchall()]


def with_pandas(tables: Path) -> list[str]:
    return list(pd.read_parquet(tables / "instances", partitioning=FOLDERS)["scan"])


def with_pyarrow(tables: Path) -> list[str]:
    found: list[str] = ds.dataset(tables / "instances", partitioning=FOLDERS).to_table()["scan"].to_pylist()
    return found


def with_polars(tables: Path) -> list[str]:
    import polars as pl

    kinds = {"scan": pl.String, "dt": pl.Date}
    rows = pl.scan_parquet(f"{tables}/instances/scan=*/dt=*/*.parquet", hive_partitioning=True, hive_schema=kinds)
    return list(rows.collect()["scan"])


def with_dask(tables: Path) -> list[str]:
    import dask.dataframe as dd

    return list(dd.read_parquet(tables / "instances", dataset={"partitioning": FOLDERS})["scan"].compute())


def with_daft(tables: Path) -> list[str]:
    return daft_scans(tables, 'schema={"scan": daft.DataType.string(), "dt": daft.DataType.date()}')


def daft_scans(tables: Path, options: str = "") -> list[str]:
    """In a process of its own: Daft leaves an event loop behind that disturbs what runs after it."""
    program = (
        "import daft, json, sys; "
        f"rows = daft.read_parquet(sys.argv[1], hive_partitioning=True, {options}); "
        "print(json.dumps(rows.to_pydict()['scan']))"
    )
    command = [sys.executable, "-c", program, f"{tables}/instances/scan=*/dt=*/*.parquet"]
    ran = subprocess.run(command, capture_output=True, text=True, check=True)
    return list(json.loads(ran.stdout.splitlines()[-1]))


def with_open_table(tables: Path) -> list[str]:
    return list(open_table(tables, "instances").to_table(columns=["scan"])["scan"].to_pylist())


def with_connect(tables: Path) -> list[str]:
    return [scan for (scan,) in connect(tables).sql("SELECT scan FROM instances").fetchall()]


ENGINES = [
    with_duckdb, with_pandas, with_pyarrow, with_polars, with_dask, with_daft, with_open_table, with_connect,
]  # fmt: skip


@pytest.mark.parametrize("engine", ENGINES)
def test_ids_stay_text(tmp_path: Path, record: ScanRecord, engine: Callable[[Path], list[str]]) -> None:
    for number, scan_id in enumerate([*OLD_IDS, record.scan_id]):
        commit(str(tmp_path / "all"), replace(record, scan_id=scan_id), [source(f"clip-{number}")])
    assert sorted(map(str, engine(tmp_path / "all"))) == sorted([*OLD_IDS, record.scan_id] * 2)


@pytest.mark.parametrize("engine", ENGINES)
def test_ids_that_all_look_like_numbers_stay_text(
    tmp_path: Path, record: ScanRecord, engine: Callable[[Path], list[str]]
) -> None:
    for number, scan_id in enumerate(OLD_IDS[:2]):
        commit(str(tmp_path / "all"), replace(record, scan_id=scan_id), [source(f"clip-{number}")])
    assert sorted(map(str, engine(tmp_path / "all"))) == sorted(OLD_IDS[:2] * 2)


def test_new_ids_need_no_types(tmp_path: Path, record: ScanRecord, newer: ScanRecord) -> None:
    """As people write it who have not read the page."""
    import dask.dataframe as dd
    import polars as pl

    for number, scan in enumerate((record, newer)):
        commit(str(tmp_path), scan, [source(f"clip-{number}")])
    glob = f"{tmp_path}/instances/scan=*/dt=*/*.parquet"
    expected = sorted([record.scan_id, newer.scan_id] * 2)
    sql = f"SELECT scan FROM read_parquet('{glob}', hive_partitioning = true)"
    assert sorted(scan for (scan,) in duckdb.execute(sql).fetchall()) == expected
    assert sorted(pd.read_parquet(tmp_path / "instances")["scan"].astype(str)) == expected
    assert sorted(pl.read_parquet(glob, hive_partitioning=True)["scan"]) == expected
    assert sorted(dd.read_parquet(tmp_path / "instances")["scan"].compute().astype(str)) == expected
    assert sorted(daft_scans(tmp_path)) == expected
