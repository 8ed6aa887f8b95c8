"""DuckDB over the tables of a scan."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeAlias

import duckdb

from schemas.tables import Table
from tasks.errors import UsageError, UserError
from tasks.tables.parts import LocalFiles, local_files, open_table

_GLOB = frozenset("*?[{")  # DuckDB takes a path with one of these for a pattern

# Not the class itself: a thread of Prefect that outlives the run keeps our functions, and an annotation that holds the
# class would keep DuckDB loaded until after its own end, of which it complains.
Connection: TypeAlias = "duckdb.DuckDBPyConnection"


def connect(tables: str, wanted: Iterable[Table] = Table) -> Connection:
    """A DuckDB connection with the views ``instances``, ``frames`` and ``embeddings``, or those that are wanted:
    committed rows, the newest generation of each source.

    Where DuckDB can read the files itself it does: it then takes the columns of a row only once it knows that the row
    is wanted, which Arrow does not.

    Raises:
        UserError: no tables there.
    """
    connection = duckdb.connect()
    for table in wanted:
        files = local_files(tables, table.value)
        if files is None or any(_GLOB & set(path) for path in files.paths):
            connection.register(table.value, open_table(tables, table.value))
        else:
            _view(connection, table, files)
    return connection


def _view(connection: Connection, table: Table, files: LocalFiles) -> None:
    try:
        rows = connection.read_parquet(list(files.paths), hive_partitioning=True)
        if files.condition is not None:
            rows = rows.filter(files.condition)
        rows.project(", ".join(files.columns)).create_view(table.value)
    except duckdb.Error as error:
        raise UserError(f"The table {table.value} cannot be read: {str(error).splitlines()[0]}") from error


@dataclass(frozen=True, slots=True)
class Answer:
    """What a query answers: the names of its columns, which of them are numbers, and its rows as Python values."""

    columns: tuple[str, ...]
    numbers: tuple[bool, ...]
    rows: list[tuple[object, ...]]


_NUMBER = re.compile(r"U?(TINY|SMALL|BIG|HUGE)?INT(EGER)?|FLOAT|DOUBLE|DECIMAL.*")


def run_query(tables: str, sql: str) -> Answer:
    """Run one SQL statement over the tables.

    Raises:
        UserError: no tables there.
        UsageError: SQL that DuckDB does not take, with DuckDB's reason.
    """
    with connect(tables) as connection:
        try:
            asked = connection.sql(sql)
            if asked is None:  # a statement that answers nothing
                return Answer((), (), [])
            numbers = tuple(_NUMBER.fullmatch(str(kind)) is not None for kind in asked.types)
            return Answer(tuple(asked.columns), numbers, asked.fetchall())
        except (duckdb.ParserException, duckdb.BinderException, duckdb.CatalogException) as error:
            raise UsageError(f"That SQL does not work here: {str(error).splitlines()[0]}") from error
        except duckdb.Error as error:
            raise UserError(f"The query failed: {str(error).splitlines()[0]}") from error
