"""Tables that hold files of every schema version, as their code wrote them."""

from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from schemas.tables import FRAMES, INSTANCES, SCHEMA_VERSION, SHARD
from tasks.tables import open_table
from tasks.tables.query import connect
from tests.tasks.tables.test_publish import check, delta, publish, same, with_deltalake, with_polars
from tests.tasks.tables.versions import NEWEST_WRITTEN, tables_of_every_version


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
