"""DuckDB over the tables of a scan."""

from collections.abc import Iterable

import duckdb
import pandas as pd

from schemas.tables import Table
from tasks.errors import UsageError, UserError
from tasks.tables import open_table


def connect(tables: str, wanted: Iterable[Table] = Table) -> duckdb.DuckDBPyConnection:
    """A DuckDB connection with the views ``instances``, ``frames`` and ``embeddings``, or those that are wanted:
    committed rows, the newest generation of each source.

    Raises:
        UserError: no tables there.
    """
    connection = duckdb.connect()
    for table in wanted:
        connection.register(table.value, open_table(tables, table.value))
    return connection


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
