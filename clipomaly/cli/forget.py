"""``clipomaly forget``."""

from typing import Annotated

import typer

from clipomaly.cli.arguments import Tables


def forget(
    tables: Tables,
    sources: Annotated[
        list[str],
        typer.Argument(
            metavar="SOURCE...", help="source_uri of a source, or a folder with everything below it; repeatable."
        ),
    ],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask before removing.")] = False,
    grace: Annotated[
        float, typer.Option(min=0, metavar="HOURS", help="How long old files stay, for programs that are reading them.")
    ] = 0,
) -> None:
    """Remove everything that was found in some sources: rows, masks, embeddings, of every scan.

    No reader sees the rows from that moment on, and no scan reads the same content
    again. The files of their days are written again without them. What stays is a
    record of what was forgotten, and in commit records the address. Published
    tables lose the rows, too, and their older versions cannot be read any more
    (with --grace, both after that time and the next publish). The footage,
    review queues and datasets are other places: remove the sources there, too.

    Example: clipomaly forget s3://fleet/tables s3://fleet/dashcam/car7/20261122_031500.mp4
    """
    from datetime import timedelta

    from clipomaly.cli.rendering.compact import print_day
    from clipomaly.cli.rendering.console import plural
    from clipomaly.cli.rendering.publish import print_published
    from tasks.tables import Tables as Opened

    there = Opened.at(tables)
    if not yes:
        typer.confirm(
            f"Remove everything that was found in {len(sources)} address{'es' if len(sources) > 1 else ''}?", abort=True
        )
    forgotten = there.forget(sources)
    rows = sum(forgotten.sources.values())
    print(f"{len(forgotten.sources)} source{plural(len(forgotten.sources))} forgotten, {rows} instance{plural(rows)}")
    troubles = 0
    for day in there.remove_rows(forgotten, timedelta(hours=grace)):
        print_day(day)
        troubles += day.trouble is not None
    for published in there.publish_again(timedelta(hours=grace)):
        print_published(published)
    if troubles:
        print("files of some days still hold the rows: repair them with clipomaly check --repair, then forget again")
        raise typer.Exit(1)
