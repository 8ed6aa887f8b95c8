"""``clipomaly search``."""

import json
import sys
from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from clipomaly.cli.arguments import DAY, DAY_SHOWN, Device, Model, Tables, Weights
from clipomaly.cli.rendering.console import print_rows

if TYPE_CHECKING:
    from tasks.tables.text_search import SearchResult


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
    from clipomaly.cli.rendering.console import say_nano
    from tasks.tables import Tables as Opened
    from tasks.tables.search import SearchFilters
    from tasks.tables.text_search import run_search

    filters = SearchFilters(since and since.date(), until and until.date(), drive, name)
    result = run_search(Opened.at(tables), text, filters, count, model, weights, device or "auto")
    print_hits(result, as_json)
    say_nano(result.model, weights)


def print_hits(result: "SearchResult", as_json: bool = False) -> None:
    """What a search found, as a table or as JSON lines."""
    for note in result.notes:
        print(f"note: {note}", file=sys.stderr)
    if result.indexed:
        rest = result.instances - result.indexed
        others = f", and one by one {rest:,} others" if rest else ""
        print(f"searched {result.indexed:,} instances by the search index{others}", file=sys.stderr)
    if as_json:
        for hit in result.hits:
            print(json.dumps(asdict(hit) | {"timestamp": hit.timestamp.isoformat()}))
        return
    if not result.hits:
        print("nothing: no instance of these tables meets the filters", file=sys.stderr)
        return
    print_rows(
        ("score", "time", "name", "drive", "frame", "source"),
        [
            (
                f"{hit.score:.3f}",
                f"{hit.timestamp:%Y-%m-%d %H:%M:%S}",
                hit.name,
                hit.drive,
                str(hit.frame_index),
                hit.source_uri,
            )
            for hit in result.hits
        ],
        right=("score", "frame"),
    )
