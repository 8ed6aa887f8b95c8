"""``clipomaly review precision``."""

from typing import Annotated

import typer

from clipomaly.cli.arguments import Json, QueueUrl


def precision(
    queue: QueueUrl,
    wished: Annotated[float, typer.Option("--precision", help="Find the threshold that gives this precision.")] = 0.9,
    bands: Annotated[int, typer.Option(help="How many bands of scores.")] = 5,
    as_json: Json = False,
) -> None:
    """How often each band of scores is right, with confidence, and the threshold for a wished precision.

    Only items that were drawn at random count.

    Example: clipomaly review precision --queue queue.db --precision 0.8
    """
    import json
    from dataclasses import asdict

    from clipomaly.cli.rendering.review import print_precision
    from review.queue import Queue
    from schemas.review import JUDGED
    from tasks.evaluation.precision import calibrate

    with Queue.open(queue, create=False) as opened:
        found = calibrate(opened.walk(JUDGED, with_pictures=False), wished, bands)
    if as_json:
        print(json.dumps(asdict(found)))
    else:
        print_precision(found, wished)
