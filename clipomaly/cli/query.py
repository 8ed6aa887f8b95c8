"""``clipomaly query``."""

from typing import Annotated

import typer

from clipomaly.cli.arguments import Format, Tables


def query(
    tables: Tables,
    sql: Annotated[str, typer.Argument(help="SQL over the tables instances, frames and embeddings.")],
    output: Annotated[Format, typer.Option("--format", help="Format of the output.")] = Format.TABLE,
    raw: Annotated[
        bool, typer.Option("--raw", help="CSV: leave text that a spreadsheet would take for a formula as it is.")
    ] = False,
    unsafe: Annotated[
        bool, typer.Option("--unsafe", help="Let SQL read and write other files, and load extensions of DuckDB.")
    ] = False,
) -> None:
    """Ask the tables with DuckDB SQL: committed rows, the newest generation of each source.

    In CSV, text that a spreadsheet would run as a formula (a file named =cmd…) has a quote before it: see --raw.
    SQL reads these tables alone and writes nothing, unless --unsafe allows it.

    Example: clipomaly query tables "SELECT name, count(*) FROM instances GROUP BY name ORDER BY 2 DESC"
    """
    from clipomaly.cli.rendering.query import print_answer
    from tasks.tables import Tables as Opened
    from tasks.tables.query import run_query

    print_answer(run_query(Opened.at(tables), sql, unsafe=unsafe), output, raw=raw)
