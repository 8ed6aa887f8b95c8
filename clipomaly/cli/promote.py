"""``clipomaly vocabulary promote``."""

from typing import Annotated

import typer

from clipomaly.cli.arguments import QueueUrl, VocabularyFile


def promote(
    queue: QueueUrl,
    tables: Annotated[
        str | None,
        typer.Option(
            "--tables", help="The tables that the queue was mined from: needed for suppressions by appearance."
        ),
    ] = None,
    file: VocabularyFile = None,
    out: Annotated[
        str | None, typer.Option("--out", help="Write the next version to this new file; without it, only show it.")
    ] = None,
    at_least: Annotated[int, typer.Option(min=1, help="Decisions that a change needs.")] = 3,
    leave_out: Annotated[
        list[str] | None, typer.Option("--leave-out", help="A name that must not change; repeatable.")
    ] = None,
) -> None:
    """Turn decisions into the next version of a vocabulary: shown first, with a reason for each line.

    Names that people gave or accepted become names of W; a name that was always
    one known class becomes another word for it; look-alikes that were rejected
    are suppressed.

    Example: clipomaly vocabulary promote --queue queue.db --tables tables --out words-2.yaml
    """
    from clipomaly.cli.rendering.vocabulary import print_promotion
    from flows.promote import propose_from_queue
    from tasks.vocabularies.promote import write_promotion

    promotion = propose_from_queue(queue, tables, file, at_least, leave_out or [])
    print_promotion(promotion, file, out)
    if tables is None:
        print("note: without --tables nothing is suppressed by appearance")
    if out is not None and promotion.changes:
        write_promotion(promotion, out)
        print(f"written: {out}\nnext: clipomaly scan ARCHIVE --out TABLES --vocabulary {out}")
