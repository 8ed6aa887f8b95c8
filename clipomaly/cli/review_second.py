"""``clipomaly review second``: second opinions, and how far reviewers agree."""

from typing import Annotated

import typer

from clipomaly.cli.arguments import Item, Json, Note, QueueUrl, Who, open_queue, who

second = typer.Typer(
    help="Second opinions: ask for them, and see disagreements and how well reviewers agree.", no_args_is_help=True
)


@second.command()
def ask(
    queue: QueueUrl,
    items: Annotated[list[str] | None, typer.Argument(help="Ids of judged items.")] = None,
    share: Annotated[
        float | None, typer.Option(min=0.0, max=1.0, help="Or a share of all judged items, the same ones each time.")
    ] = None,
    reviewer: Who = None,
) -> None:
    """Ask another reviewer's opinion on judged items. They give it on the page, under Second opinion.

    Example: clipomaly review second ask --share 0.1 --queue queue.db
    """
    if bool(items) == (share is not None):
        raise typer.BadParameter("give ids of items, or --share")
    with open_queue(queue) as opened:
        asked = opened.ask_second(who(reviewer), items) if items else opened.ask_second_share(who(reviewer), share or 0)
    typer.echo(f"{asked} asked for")


@second.command()
def disagreements(queue: QueueUrl, as_json: Json = False) -> None:
    """List the items on which reviewers disagree, until somebody settles them.

    Settle one with second settle, or put it back into the queue with review reopen.

    Example: clipomaly review second disagreements --queue queue.db
    """
    from clipomaly.cli.rendering.review import print_disagreements

    with open_queue(queue) as opened:
        print_disagreements(opened.disagreements(), as_json)


@second.command()
def settle(item: Item, queue: QueueUrl, note: Note, reviewer: Who = None) -> None:
    """Let a decision stand in spite of another opinion.

    Example: clipomaly review second settle 1f0c9a --note "the frame before shows it" --queue queue.db
    """
    with open_queue(queue) as opened:
        opened.settle(who(reviewer), item, note)
    typer.echo(f"{item}: the decision stands")


@second.command()
def agreement(queue: QueueUrl, as_json: Json = False) -> None:
    """How far reviewers agree: the share, and Krippendorff's alpha.

    Example: clipomaly review second agreement --queue queue.db
    """
    from clipomaly.cli.rendering.review import print_agreement

    with open_queue(queue) as opened:
        print_agreement(opened.agreement(), as_json)
