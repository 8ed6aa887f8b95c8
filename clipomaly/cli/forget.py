"""``clipomaly forget``."""

from collections.abc import Callable, Collection, Iterable
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
    queue: Annotated[
        list[str] | None, typer.Option("--queue", help="Also remove their items from this review queue; repeatable.")
    ] = None,
    dataset: Annotated[
        list[str] | None,
        typer.Option("--dataset", help="Also write this dataset again without their frames; repeatable."),
    ] = None,
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
    (with --grace, both after that time and the next publish). Name the review
    queues (--queue) and datasets (--dataset) that hold their pictures. The footage,
    reports and copies of a queue are other places: remove them there yourself.

    Example: clipomaly forget s3://fleet/tables s3://fleet/dashcam/car7/20261122_031500.mp4 --queue queue.db
    """
    from datetime import timedelta
    from functools import partial

    from clipomaly.cli.rendering.console import plural
    from clipomaly.cli.rendering.tables import print_day, print_indexed, print_published
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
    for indexed in there.index_again():
        print_indexed(indexed)
    for published in there.publish_again(timedelta(hours=grace)):
        print_published(published)
    failed = False
    for url in queue or ():
        failed |= not _told(url, partial(_from_queue, url, forgotten.sources))
    for url in dataset or ():
        failed |= not _told(url, partial(_from_dataset, url, forgotten.sources))
    if troubles:
        print("files of some days still hold the rows: repair them with clipomaly check --repair, then forget again")
    if troubles or failed:
        raise typer.Exit(1)


def _told(url: str, remove: Callable[[], str]) -> bool:
    """Print what was removed from a place; False, with a line, where that failed. The other places still go."""
    from clipomaly.cli.rendering.console import from_outside, stdout
    from review import ReviewError
    from tasks.errors import UserError

    try:
        stdout().print(f"{from_outside(url)}: {remove()}")
    except (UserError, ReviewError) as error:
        stdout().print(f"[red]{from_outside(url)}: not everything is removed.[/] {from_outside(str(error))}")
        return False
    return True


def _from_queue(url: str, sources: Iterable[str]) -> str:
    from clipomaly.cli.rendering.console import plural
    from review.queue import Queue

    with Queue.open(url, create=False) as queue:
        removed = queue.forget_sources("forget", sources)
    return f"{removed:,} item{plural(removed)} removed"


def _from_dataset(url: str, sources: Collection[str]) -> str:
    from clipomaly.cli.rendering.console import plural, progress_bar
    from tasks.datasets.forget import forget_in_dataset

    with progress_bar("frames") as bar:
        task = bar.add_task("frames", total=None)
        removed = forget_in_dataset(url, sources, lambda done, total: bar.update(task, completed=done, total=total))
    return f"{removed:,} frame{plural(removed)} removed"
