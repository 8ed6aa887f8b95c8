"""``clipomaly report``."""

from typing import Annotated

import typer

from clipomaly.cli.arguments import Tables


def report(
    tables: Tables,
    out: Annotated[str, typer.Option("--out", help="Folder or URL for the report.")] = "report",
    hours: Annotated[
        float,
        typer.Option(help="The night is the newest run, and those that began so many hours before its end or later."),
    ] = 20,
    finds: Annotated[int, typer.Option(min=0, help="How many of the best finds to show.")] = 24,
    archive: Annotated[
        str | None, typer.Option(help="List this archive too, and show what of it is not scanned yet.")
    ] = None,
    review_url: Annotated[
        str | None, typer.Option(help="Where the review page is served: names and finds link there.")
    ] = None,
    compare: Annotated[
        tuple[str, str] | None,
        typer.Option(metavar="A B", help="Instead, compare two scans of the same footage, by scan id."),
    ] = None,
    queue: Annotated[
        str | None, typer.Option(help="With --compare: decisions in this queue separate false alarms from real finds.")
    ] = None,
) -> None:
    """Write last night's report: one HTML file that opens without a network and prints well.

    Example: clipomaly report tables --out report --review-url http://127.0.0.1:8400

    Example: clipomaly report tables --compare 3f0c9a1b2c4d 77aa01b2c3d4 --queue queue.db
    """
    from flows.report import write_comparison, write_report
    from tasks.errors import UsageError

    if compare is not None:
        print(f"report: {write_comparison(tables, out, *compare, queue)}")
        return
    if queue is not None:
        raise UsageError("--queue goes with --compare; to link to the review page give --review-url.")
    url = write_report(tables, out, hours=hours, finds=finds, archive=archive, review_url=review_url)
    print(f"report: {url}")
