"""``clipomaly mine``."""

from typing import Annotated

import typer

from clipomaly.cli.arguments import Json, Tables


def mine(
    tables: Tables,
    queue: Annotated[
        str,
        typer.Option(
            "--queue", envvar="CLIPOMALY_QUEUE", help="A file, or postgresql://… of a database; made if not there."
        ),
    ],
    count: Annotated[int, typer.Option(min=1, max=100_000, help="Items to hand in, duplicates aside.")] = 200,
    random_share: Annotated[
        float, typer.Option(min=0, max=1, help="Share drawn at random, which tells the precision of the scan.")
    ] = 0.1,
    score: Annotated[float, typer.Option(min=0, help="Weight of the anomaly score, an exponent; 0 leaves it out.")] = 2,
    rarity: Annotated[float, typer.Option(min=0, help="Weight of: few look like it in the fleet.")] = 0.5,
    novelty: Annotated[float, typer.Option(min=0, help="Weight of: nothing in the queue looks like it.")] = 1,
    persistence: Annotated[float, typer.Option(min=0, help="Weight of: seen on many frames.")] = 1,
    size: Annotated[float, typer.Option(min=0, help="Weight of: large in the frame.")] = 0.5,
    diversity: Annotated[float, typer.Option(min=0, help="Weight of: unlike the others that are chosen.")] = 1,
    same_look: Annotated[
        float, typer.Option(min=0, max=1, help="Distance up to which finds are one object: 0 same look, 1 unrelated.")
    ] = 0.12,
    same_place: Annotated[float, typer.Option(min=0, help="Metres up to which finds may be one object.")] = 100,
    seed: Annotated[int, typer.Option(help="Of the random share.")] = 0,
    as_json: Json = False,
) -> None:
    """Hand the finds that are worth a look into the review queue: few, different, new ones first.

    Running it again hands in the next ones; nothing comes twice.

    Example: clipomaly mine tables --queue queue.db --count 100
    """
    from clipomaly.cli.rendering.mine import print_mining
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
