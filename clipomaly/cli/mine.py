"""``clipomaly mine``."""

from typing import Annotated

import typer

from clipomaly.cli.arguments import Json, Tables


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
