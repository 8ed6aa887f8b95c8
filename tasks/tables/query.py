"""DuckDB over the tables of a scan."""

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass

import duckdb

from schemas.tables import Table
from tasks.errors import UsageError, UserError
from tasks.storage import is_local
from tasks.tables.dataset import LocalFiles, local_files
from tasks.tables.late import Connection, read_late
from tasks.tables.tables import Tables

_GLOB = frozenset("*?[{")  # DuckDB takes a path with one of these for a pattern

# Only the last two folders: folders above the tables may also be named ``drive=…`` or ``scan=…``.
_FOLDERS = "/scan=([^/]*)/dt=([^/]*)/([^/]*)[.]parquet$"
_FROM_PATH = {
    "scan": f"regexp_extract(filename, '{_FOLDERS}', 1)",
    "dt": f"CAST(regexp_extract(filename, '{_FOLDERS}', 2) AS DATE)",
    # Files of schema versions before 3 lack it. Each of them holds one shard and has its name.
    "shard": f"coalesce(shard, regexp_extract(filename, '{_FOLDERS}', 3))",
}


def connect(
    tables: str | os.PathLike[str] | Tables, wanted: Iterable[Table] = Table, *, external_access: bool = True
) -> Connection:
    """A DuckDB connection with the views ``instances``, ``frames`` and ``embeddings`` (or only the wanted ones): the
    committed rows, of each source the newest generation.

    If possible, DuckDB reads the files itself: unlike Arrow, it then reads the other columns of a row only when it
    knows that the row is wanted. Without ``external_access``, SQL can only read these tables. It can write no file, and
    it cannot change this.

    Raises:
        UserError: no tables there.

    Example:
        >>> connect("tables").sql("SELECT name, count(*) AS n FROM instances GROUP BY name ORDER BY n DESC").df()
    """
    there = Tables.at(tables)
    connection = duckdb.connect()
    readable: list[str] = []
    for table in wanted:
        files = local_files(there.root, table.value)
        if files is None or any(_GLOB & set(path) for path in files.paths):
            connection.register(table.value, there.open(table.value))
        else:
            _view(connection, table, files)
            readable += files.paths
    if not external_access:
        connection.execute("SET allowed_paths = ?", [readable])
        connection.execute("SET enable_external_access = false")
        connection.execute("SET lock_configuration = true")
    return connection


def _view(connection: Connection, table: Table, files: LocalFiles) -> None:
    try:
        rows = connection.read_parquet(
            list(files.paths), hive_partitioning=False, filename=True, union_by_name=not files.is_of_one_schema
        )
        there = set(rows.columns)
        kinds = connection.from_arrow(files.schema.empty_table()).types
        if files.is_of_one_schema:
            from_path = {name: sql for name, sql in _FROM_PATH.items() if name not in there}
        else:
            from_path = dict(_FROM_PATH)
            if "shard" not in there:
                from_path["shard"] = from_path["shard"].replace("shard", "NULL", 1)
        columns = [
            f"{from_path[name]} AS {name}"
            if name in from_path
            else name
            if name in there
            else f"CAST(NULL AS {kind}) AS {name}"  # added after these files were written
            for name, kind in zip(files.schema.names, kinds, strict=True)
        ]
        view = rows.project(", ".join(columns))
        if files.condition is not None:
            view = view.filter(files.condition)
        view.create_view(table.value)
    except duckdb.Error as error:
        raise UserError(f"The table {table.value} cannot be read: {_first_line(error)}") from error


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer of a query: the names of its columns, which of them are numbers, and its rows as Python values."""

    columns: tuple[str, ...]
    numbers: tuple[bool, ...]
    rows: list[tuple[object, ...]]


_NUMBER = re.compile(r"U?(TINY|SMALL|BIG|HUGE)?INT(EGER)?|FLOAT|DOUBLE|DECIMAL.*")


def run_query(tables: Tables, sql: str, *, unsafe: bool = False) -> Answer:
    """Run one SQL statement over the tables. It can only read the tables, unless it is ``unsafe``: then it can do
    everything that DuckDB can.

    Raises:
        UserError: no tables there, or a query that fails.
        UsageError: SQL that DuckDB refuses, with DuckDB's reason, or that reaches outside of the tables.
    """
    with connect(tables, external_access=unsafe) as connection:
        try:
            # DuckDB may open the files of the tables, so it could overwrite them: statements that write are refused.
            if not unsafe and any(
                statement.type == duckdb.StatementType.COPY for statement in connection.extract_statements(sql)
            ):
                raise UsageError("COPY writes files, and query does not. Take --format csv, or allow it by --unsafe.")
            late = None if is_local(tables.root.fs) else read_late(tables.root, sql)
            if late is not None:
                connection.register(late.table.value, late.rows)
            asked = connection.sql(late.sql if late else sql)
            if asked is None:
                raise UsageError("That SQL gives no rows. Begin it with SELECT.")
            numbers = tuple(_NUMBER.fullmatch(str(kind)) is not None for kind in asked.types)
            return Answer(tuple(asked.columns), numbers, asked.fetchall())
        except (duckdb.ParserException, duckdb.BinderException, duckdb.CatalogException) as error:
            raise UsageError(f"That SQL does not work here: {_first_line(error)}") from error
        except duckdb.PermissionException as error:
            raise UsageError(
                f"That SQL reaches outside of the tables: {_first_line(error)} Allow it with --unsafe."
            ) from error
        except duckdb.Error as error:
            raise UserError(f"The query failed: {_first_line(error)}") from error


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0]
