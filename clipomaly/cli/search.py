"""``clipomaly search``."""

from datetime import datetime
from typing import Annotated

import typer

from clipomaly.cli.arguments import DAY, DAY_SHOWN, Device, Model, Tables, Weights


def search(
    tables: Tables,
    text: Annotated[str, typer.Argument(help="What to look for, in a few words.")],
    count: Annotated[int, typer.Option("--count", "-n", min=1, max=10_000, help="How many objects to show.")] = 20,
    since: Annotated[
        datetime | None, typer.Option(formats=DAY, metavar=DAY_SHOWN, help="Captured on this day (UTC) or later.")
    ] = None,
    until: Annotated[
        datetime | None, typer.Option(formats=DAY, metavar=DAY_SHOWN, help="Captured on this day (UTC) or earlier.")
    ] = None,
    drive: Annotated[str | None, typer.Option(help="Only of this drive.")] = None,
    name: Annotated[str | None, typer.Option(help="Only with this name.")] = None,
    model: Model = None,
    weights: Weights = None,
    device: Device = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON lines.")] = False,
) -> None:
    """Rank everything ever scanned by a text, without reading a pixel.

    The text is embedded by the model that scanned; where that had a weights file, name it again.

    Example: clipomaly search tables "a mattress on the road" --since 2026-11-01
    """
    from clipomaly.cli.rendering.models import say_nano
    from clipomaly.cli.rendering.search import print_hits
    from tasks.tables import Tables as Opened
    from tasks.tables.search import SearchFilters
    from tasks.tables.text_search import run_search

    filters = SearchFilters(since and since.date(), until and until.date(), drive, name)
    result = run_search(Opened.at(tables), text, filters, count, model, weights, device or "auto")
    print_hits(result, as_json)
    say_nano(result.model, weights)
