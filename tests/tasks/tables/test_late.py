"""A few rows with all columns, in two steps: the same as in one."""

from pathlib import Path

import pytest

from tasks.tables import Tables
from tasks.tables.late import read_late
from tasks.tables.query import connect, run_query
from tests.tasks.tables.embedded import add_source, scan_record
from tests.tasks.tables.versions import tables_of_every_version

pytestmark = pytest.mark.whole


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Tables:
    place = tmp_path_factory.mktemp("late") / "T"
    tables_of_every_version(place)
    return Tables.at(place)


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM instances ORDER BY anomaly_score DESC, instance_id LIMIT 3",
        "SELECT * FROM instances WHERE name LIKE '%e%' AND dt > '2020-01-01' ORDER BY instance_id LIMIT 5 OFFSET 2",
        "SELECT name AS what, shard, scan FROM instances ORDER BY upper(name), instance_id LIMIT 4;",
        "SELECT * FROM frames ORDER BY timestamp, source_uri, frame_index LIMIT 2",
        "SELECT * FROM instances WHERE name = 'nothing like it' ORDER BY instance_id LIMIT 2",
    ],
)
def test_gives_the_rows_of_one_step(tables: Tables, sql: str) -> None:
    late = read_late(tables.root, sql)
    assert late is not None
    with connect(tables) as connection:
        expected = connection.sql(sql).to_arrow_table()
        connection.register(late.table.value, late.rows)
        found = connection.sql(late.sql).to_arrow_table()
    assert found.to_pylist() == expected.to_pylist()
    assert found.column_names == expected.column_names


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM instances",
        "SELECT * FROM instances LIMIT 20000",
        "SELECT count(*) FROM instances LIMIT 1",
        "SELECT name FROM instances GROUP BY name LIMIT 1",
        "SELECT DISTINCT name FROM instances LIMIT 1",
        "SELECT * FROM instances ORDER BY 2 LIMIT 1",
        "SELECT * FROM instances ORDER BY ALL LIMIT 1",
        "SELECT * FROM instances JOIN frames USING (source_uri) LIMIT 1",
        "SELECT * FROM instances WHERE score > (SELECT 1) LIMIT 1",
        "SELECT * FROM instances WHERE no_such_column = 1 LIMIT 1",
        "SELECT * FROM embeddings LIMIT 1",
        "SELECT * FROM 'other.parquet' LIMIT 1",
        "WITH a AS (SELECT 1) SELECT * FROM instances LIMIT 1",
        "SELECT * FROM instances LIMIT 1; SELECT 1",
        "SELEKT",
    ],
)
def test_leaves_other_statements_alone(tables: Tables, sql: str) -> None:
    assert read_late(tables.root, sql) is None


def test_superseded_rows_are_not_among_them(tmp_path: Path) -> None:
    tables = Tables.at(tmp_path / "T")
    for minute, fps in enumerate((1.0, 2.0)):
        add_source(tables, scan_record(fps), "a", rows=5, minute=minute)
    late = read_late(tables.root, "SELECT * FROM instances ORDER BY frame_index LIMIT 100")
    assert late is not None
    assert set(late.rows["scan"].to_pylist()) == {scan_record(2.0).scan_id}


def test_a_store_is_asked_this_way(s3: str) -> None:
    tables = Tables.at(f"{s3}/T")
    add_source(tables, scan_record(), "a", rows=50)
    answer = run_query(tables, "SELECT name, frame_index FROM instances ORDER BY frame_index DESC LIMIT 2")
    assert answer.rows == [("sofa", 49), ("sofa", 48)]
