"""DuckDB over the tables of a scan."""

from collections.abc import Iterable
from typing import TypeAlias

import duckdb
import pandas as pd

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


def run_query(tables: str, sql: str) -> pd.DataFrame:
    """Run one SQL statement over the tables.

    Raises:
        UserError: no tables there.
        UsageError: SQL that DuckDB does not take, with DuckDB's reason.
    """
    with connect(tables) as connection:
        try:
            return connection.sql(sql).df()
        except (duckdb.ParserException, duckdb.BinderException, duckdb.CatalogException) as error:
            raise UsageError(f"That SQL does not work here: {str(error).splitlines()[0]}") from error
        except duckdb.Error as error:
            raise UserError(f"The query failed: {str(error).splitlines()[0]}") from error
