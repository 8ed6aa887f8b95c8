"""``clipomaly mine``."""

import json
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from clipomaly.cli.arguments import Json, Tables
from clipomaly.cli.rendering.console import from_outside, plural, stdout

if TYPE_CHECKING:
    from flows.mine import MiningSummary


def mine(
    tables: Tables,
    queue: Annotated[
        str,
        typer.Option(
            "--queue", envvar="CLIPOMALY_QUEUE", help="A file, or postgresql://… of a database; created if missing."
        ),
    ],
    count: Annotated[
        int, typer.Option(min=1, max=100_000, help="How many items to add, not counting duplicates.")
    ] = 200,
    random_share: Annotated[
        float,
        typer.Option(min=0, max=1, help="Share drawn at random, from which the precision of the scan is estimated."),
    ] = 0.1,
    score: Annotated[float, typer.Option(min=0, help="Weight of the anomaly score, an exponent; 0 leaves it out.")] = 2,
    rarity: Annotated[float, typer.Option(min=0, help="Weight of rarity: few finds of the fleet look like it.")] = 0.5,
    novelty: Annotated[float, typer.Option(min=0, help="Weight of novelty: nothing in the queue looks like it.")] = 1,
    persistence: Annotated[float, typer.Option(min=0, help="Weight of persistence: seen on many frames.")] = 1,
    size: Annotated[float, typer.Option(min=0, help="Weight of size: large in the frame.")] = 0.5,
    diversity: Annotated[
        float, typer.Option(min=0, help="Weight of diversity: unlike the others that are chosen.")
    ] = 1,
    same_look: Annotated[
        float,
        typer.Option(min=0, max=1, help="Distance up to which finds are one object: 0 looks the same, 1 unrelated."),
    ] = 0.12,
    same_place: Annotated[float, typer.Option(min=0, help="Metres up to which finds may be one object.")] = 100,
    seed: Annotated[int, typer.Option(help="Seed of the random share.")] = 0,
    as_json: Json = False,
) -> None:
    """Hand the finds that are worth a look into the review queue: few, different, new ones first.

    Running it again hands in the next ones; nothing comes twice.

    Example: clipomaly mine tables --queue queue.db --count 100
    """
    from flows.mine import run_mine
    from tasks.mining.mine import MiningOptions

    options = MiningOptions(
        count=count,
        random_share=random_share,
        score=score,
        rarity=rarity,
        novelty=novelty,
        persistence=persistence,
        size=size,
        diversity=diversity,
        same_look=same_look,
        same_place=same_place,
        seed=seed,
    )
    print_mining(run_mine(tables, queue, options), queue, as_json)


def print_mining(summary: "MiningSummary", queue: str, as_json: bool = False) -> None:
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
