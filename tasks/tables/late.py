"""``SELECT * … ORDER BY … LIMIT n`` in two steps, for tables in a store: first which rows, by the columns that say so,
then all columns of these rows alone. On a local disk DuckDB does this itself."""

import json
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass
from typing import Any, TypeAlias

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

from schemas.tables import SHARD, Table
from tasks.storage import Location
from tasks.tables.dataset import Numbers, read_rows, row_schema, whole_files
from tasks.tables.selection import Selection, select

_MOST = 10_000  # rows: for many, reading everything is as fast
_ROW, _COUNTS = "_row", "_counts"

# Not the class itself: a thread of Prefect that outlives the run keeps our functions, and an annotation that holds the
# class would keep DuckDB loaded until after its own end, of which it complains.
Connection: TypeAlias = "duckdb.DuckDBPyConnection"


@dataclass(frozen=True, slots=True)
class LateRows:
    """The rows of a table that a statement gives, in their order and with all columns, and what of the statement is
    left to do: ``sql`` over these rows gives its answer."""

    table: Table
    rows: pa.Table
    sql: str


def read_late(root: Location, sql: str) -> LateRows | None:
    """The rows that a statement asks for; None if it is not one of this kind, or wrong.

    Raises UserError as ``open_table`` does.
    """
    with duckdb.connect() as connection:
        try:
            asked = _Asked.parse(connection, sql)
            if asked is None:
                return None
            selection = select(root, asked.table, None)
            if not asked.columns <= set(row_schema(selection).names):
                return None
            connection.register(asked.table.value, _numbered(root, selection, sorted(asked.columns)))
            connection.execute("SET enable_external_access = false")
            chosen = connection.sql(asked.which).fetchnumpy()[_ROW].astype(np.int64)
        except duckdb.Error:
            return None  # asked the plain way, the statement says what is wrong with it
    return LateRows(asked.table, _rows(root, selection, chosen), asked.rest)


@dataclass(frozen=True, slots=True)
class _Asked:
    """A statement in two: ``which`` rows of the table, by these columns, and the ``rest``."""

    table: Table
    columns: frozenset[str]
    which: str
    rest: str

    @classmethod
    def parse(cls, connection: Connection, sql: str) -> "_Asked | None":
        told = json.loads(_only(connection, "SELECT json_serialize_sql(?)", sql))
        if told["error"] or len(told["statements"]) != 1:
            return None
        node = told["statements"][0]["node"]
        table = _plain_table(node)
        if table is None:
            return None
        which, rest = deepcopy(told), deepcopy(told)
        which["statements"][0]["node"]["select_list"] = [
            {"class": "COLUMN_REF", "type": "COLUMN_REF", "alias": "", "query_location": 0, "column_names": [_ROW]}
        ]
        rest["statements"][0]["node"] |= {"modifiers": [], "where_clause": None}
        columns = {
            part["column_names"][-1]
            for part in _parts([node["modifiers"], node["where_clause"]])
            if part.get("class") == "COLUMN_REF"
        }
        back = "SELECT json_deserialize_sql(?)"
        return cls(
            table,
            frozenset(columns),
            _only(connection, back, json.dumps(which)),
            _only(connection, back, json.dumps(rest)),
        )


def _only(connection: Connection, sql: str, value: str) -> str:
    [(told,)] = connection.execute(sql, [value]).fetchall()
    return str(told)


def _plain_table(node: dict[str, Any]) -> Table | None:
    """The table of a SELECT of columns with a LIMIT; None for anything else."""
    of_table = node.get("from_table") or {}
    limits = [part for part in node.get("modifiers", []) if part["type"] == "LIMIT_MODIFIER"]
    plain = (
        node.get("type") == "SELECT_NODE"
        and of_table.get("type") == "BASE_TABLE"
        and len(of_table["qualified_name"]["path"]) == 1
        and not of_table["sample"]
        and not node["cte_map"]["map"]
        and not any(node[name] for name in ("group_expressions", "group_sets", "having", "sample", "qualify"))
        and all(column["class"] in ("STAR", "COLUMN_REF") for column in node["select_list"])
        and all(part["type"] in ("ORDER_MODIFIER", "LIMIT_MODIFIER") for part in node["modifiers"])
        and not any(
            part.get("class") in ("SUBQUERY", "WINDOW", "STAR")
            for part in _parts([node["modifiers"], node["where_clause"]])
        )
        # By its place in the list of columns, which changes.
        and not any(order["expression"]["class"] == "CONSTANT" for order in _orders(node))
        and len(limits) == 1
        and limits[0]["limit_type"] == "ROW_COUNT"
        and _number(limits[0]["limit"]) <= _MOST
    )
    names = {table.value: table for table in (Table.INSTANCES, Table.FRAMES)}
    return names.get(of_table["table_name"]) if plain else None


def _orders(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for part in node["modifiers"]:
        yield from part.get("orders", ())


def _number(limit: dict[str, Any] | None) -> int:
    text = ((limit or {}).get("literal") or {}).get("text", "")
    return int(text) if text.isdigit() else _MOST + 1


def _parts(told: object) -> Iterator[dict[str, Any]]:
    """Every part of a serialized statement, however deep."""
    if isinstance(told, dict):
        yield told
        told = list(told.values())
    if isinstance(told, list):
        for each in told:
            yield from _parts(each)


def _numbered(root: Location, selection: Selection, columns: list[str]) -> pa.RecordBatchReader:
    """Columns of the rows that count, each with its number among all rows of the files."""
    dataset = whole_files(root, selection)
    wanted: dict[str, ds.Expression] = {name: ds.field(name) for name in columns}
    counts = ~_any([rows.expression() for rows in selection.left_out]) if selection.left_out else ds.scalar(True)
    wanted[_COUNTS] = counts
    schema = pa.schema([*(dataset.schema.field(name) for name in columns), pa.field(_ROW, pa.int64())])

    def batches() -> Iterator[pa.RecordBatch]:
        start = 0
        for batch in dataset.to_batches(columns=wanted):
            numbers = pa.array(np.arange(start, start + len(batch)))
            start += len(batch)
            numbered = pa.record_batch([*(batch[name] for name in columns), numbers], schema=schema)
            yield numbered.filter(batch[_COUNTS])

    return pa.RecordBatchReader.from_batches(schema, batches())


def _any(terms: list[ds.Expression]) -> ds.Expression:
    met = terms[0]
    for term in terms[1:]:
        met |= term
    return met


def _rows(root: Location, selection: Selection, numbers: Numbers) -> pa.Table:
    """Rows of the files by their numbers, with the columns of ``open_table``."""
    schema = row_schema(selection)
    if not len(numbers):
        return schema.empty_table()
    files = selection.files
    read = read_rows(root, [item.file for item in files], numbers, None)
    ends = np.cumsum([item.file.rows for item in files])
    of_row = np.searchsorted(ends, numbers, "right").tolist()
    shards = pa.array([files[number].shard_id for number in of_row], pa.string())
    if SHARD.name in read.column_names:  # files of schema versions before 3 lack it
        shards = pc.coalesce(read[SHARD.name].combine_chunks(), shards)
    known = {
        "scan": pa.array([files[number].scan_id for number in of_row], pa.string()),
        "dt": pa.array([files[number].day for number in of_row], pa.date32()),
        SHARD.name: shards,
    }
    columns = [
        known[field.name]
        if field.name in known
        else read[field.name]
        if field.name in read.column_names
        else pa.nulls(len(read), field.type)
        for field in schema
    ]
    return pa.table(columns, names=schema.names).cast(schema)
