"""``clipomaly compact``."""

from typing import Annotated

import typer

from clipomaly.cli.arguments import Tables


def compact(
    tables: Tables,
    grace: Annotated[
        float,
        typer.Option(min=0, metavar="HOURS", help="How long replaced files stay, for programs that are reading them."),
    ] = 12,
    upgrade: Annotated[
        bool,
        typer.Option("--upgrade", help="Also write files of older versions again, with the columns of the newest."),
    ] = False,
) -> None:
    """Merge the many small files of each day into files of at most 256 MB, while people read.

    Rows stay the same. Files that were replaced are removed by the first run
    after the grace, so run it every night after the scan. It can be ended at any
    moment and run again. It makes the search index of every day that has 1,000
    instances or more. Where the tables are published, it publishes them again at
    the end. Exits 1 when the files of a day cannot be read.

    Later versions of Clipomaly add columns. Old files lack them until they are
    upgraded; clipomaly status lists the scans that have some.

    Example: clipomaly compact s3://fleet/tables
    """
    from datetime import timedelta

    from clipomaly.cli.rendering.tables import print_day, print_indexed, print_published
    from tasks.tables import Tables as Opened

    days = troubles = 0
    there = Opened.at(tables)
    for day in there.compact(timedelta(hours=grace), upgrade=upgrade):
        print_day(day)
        days, troubles = days + 1, troubles + (day.trouble is not None)
    for indexed in there.index():
        print_indexed(indexed)
        days, troubles = days + 1, troubles + (indexed.trouble is not None)
    if not days:
        print("nothing to do: every day is compacted")
    for published in there.publish_again():
        print_published(published)
    if troubles:
        raise typer.Exit(1)
