"""What mining and search print."""

import json
import sys
from dataclasses import asdict

from rich.console import Console
from rich.markup import escape

from clipomaly.cli.rendering.rows import plural, print_rows
from flows.mine import MiningSummary
from tasks.tables.text_search import SearchResult


def print_mining(summary: MiningSummary, queue: str, as_json: bool = False) -> None:
    """What mining handed in, what it left alone, and how to go on."""
    if summary.warning:
        print(f"warning: {summary.warning}", file=sys.stderr)
    if as_json:
        print(json.dumps(asdict(summary)))
        return
    if not summary.candidates:
        print("nothing to hand in: the tables hold no finds")
        return
    console = Console(soft_wrap=True, highlight=False)
    done = summary.enqueued
    console.print(
        f"[bold]{done.added}[/] item{plural(done.added)} handed in of "
        f"{summary.candidates} object{plural(summary.candidates)} found; "
        f"{summary.there} {'was' if summary.there == 1 else 'were'} in the queue before"
    )
    if done.duplicates:
        console.print(
            f"{done.duplicates} more show{'s' if done.duplicates == 1 else ''} the same as an item: duplicates"
        )
    if done.superseded or summary.judged:
        console.print(
            f"{done.superseded} older item{plural(done.superseded)} gave way to the newer scan; "
            f"{summary.judged} object{plural(summary.judged)} had been judged before"
        )
    if summary.lost:
        console.print(f"[yellow]{summary.lost} left out[/]: {escape(summary.reason)}")
    if done.added:
        console.print(f"next: clipomaly review serve --queue {queue}", markup=False)


def print_hits(result: SearchResult, as_json: bool = False) -> None:
    """What a search found, as a table or as JSON lines."""
    for note in result.notes:
        print(f"note: {note}", file=sys.stderr)
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
