"""``clipomaly publish``."""

from typing import Annotated

import typer

from clipomaly.cli.arguments import Tables


def publish(
    tables: Tables,
    grace: Annotated[
        float,
        typer.Option(min=0, metavar="HOURS", help="How long replaced files stay, for readers and for time travel."),
    ] = 168,
) -> None:
    """Publish the tables as Delta Lake, for Spark, Databricks, Trino, Polars and others.

    Writes a log beside instances and frames, with every scan, and the tables
    instances_latest and frames_latest, with the newest rows of each source, as
    open_table has them. Run it after every scan: only what changed is added. It
    can be ended at any moment and run again.

    Example: clipomaly publish s3://fleet/tables
    """
    from datetime import timedelta

    from clipomaly.cli.rendering.tables import print_published
    from tasks.tables import Tables as Opened

    for published in Opened.at(tables).publish(timedelta(hours=grace)):
        print_published(published)
