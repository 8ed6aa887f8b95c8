"""What ``clipomaly mine`` prints."""

import json
import sys
from dataclasses import asdict

from clipomaly.cli.rendering.console import from_outside, plural, stdout
from flows.mine import MiningSummary


def print_mining(summary: MiningSummary, queue: str, as_json: bool = False) -> None:
    """What mining handed in, what it left alone, and how to go on."""
    if summary.warning:
        print(f"warning: {summary.warning}", file=sys.stderr)
    if as_json:
        print(json.dumps(asdict(summary)))
        return
    if not summary.candidates:
        print("nothing to add: the tables hold no finds")
        return
    console = stdout()
    done = summary.enqueued
    console.print(
        f"[bold]{done.added}[/] item{plural(done.added)} added "
        f"({done.new} new, {done.replacing} in the place of older ones), "
        f"of {summary.candidates} object{plural(summary.candidates)} found; "
        f"{summary.there} {'was' if summary.there == 1 else 'were'} in the queue already"
    )
    if done.duplicates:
        console.print(f"{done.duplicates} more added as duplicate{plural(done.duplicates)}: the same object as an item")
    if done.superseded or summary.judged:
        console.print(
            f"{done.superseded} older item{plural(done.superseded)} replaced by the newer scan; "
            f"{summary.judged} object{plural(summary.judged)} had been judged before"
        )
    if summary.lost:
        console.print(f"[yellow]{summary.lost} left out[/]: {from_outside(summary.reason)}")
    if summary.no_map:
        console.print(f"[yellow]the map of finds stays as it is[/]: {from_outside(summary.no_map)}")
    if done.added:
        console.print(f"next: clipomaly review serve --queue {queue}", markup=False)
