"""What keeps a queue sound: checking it, its backup, names that are merged, decisions that are opened again."""

from pathlib import Path
from typing import Annotated

import typer
from typer.core import TyperGroup

from clipomaly.cli.arguments import Item, Items, Json, Note, QueueUrl, Who, open_queue, who


class ListByDefault(TyperGroup):
    """``review names matt`` lists names: what is no command of the group is what was typed."""

    def parse_args(self, ctx: "typer.Context", args: list[str]) -> list[str]:  # type: ignore[override]
        """As click, with ``list`` put first where no command is named."""
        if not args or (args[0] not in self.commands and args[0] != "--help"):
            args = ["list", *args]
        return super().parse_args(ctx, args)


names = typer.Typer(cls=ListByDefault, help="List the names to choose from, and correct misspelt ones.")


@names.command("list")
def list_names(
    queue: QueueUrl,
    typed: Annotated[
        str, typer.Argument(help="The start of the name, a part of it, or something spelt nearly like it.")
    ] = "",
    known: Annotated[bool, typer.Option("--known", help="Only the classes of the known vocabulary.")] = False,
    as_json: Json = False,
) -> None:
    """Names to choose from, as the page completes them. This is what `review names` does.

    Example: clipomaly review names list matt --queue queue.db
    """
    from clipomaly.cli.rendering.review import print_names
    from review.names import complete_name

    with open_queue(queue) as opened:
        print_names(complete_name(opened.vocabulary(), typed, known), as_json)


@names.command()
def rename(
    old: Annotated[str, typer.Argument(help="The name as it is now.")],
    new: Annotated[str, typer.Argument(help="The name as it will be.")],
    queue: QueueUrl,
    reviewer: Who = None,
) -> None:
    """Give every decision of one name another name, with an event for each.

    Example: clipomaly review names rename "jery can" "jerry can" --queue queue.db
    """
    merge([old], new, queue, reviewer)


@names.command()
def merge(
    old: Annotated[list[str], typer.Argument(help="The names that mean the same.")],
    into: Annotated[str, typer.Option("--into", help="The name that they all get.")],
    queue: QueueUrl,
    reviewer: Who = None,
) -> None:
    """Give the decisions of several names one name, with an event for each.

    Example: clipomaly review names merge "jery can" jerrycan --into "jerry can" --queue queue.db
    """
    with open_queue(queue) as opened:
        count = opened.rename(who(reviewer), old, into)
    typer.echo(f"{count} decision{'' if count == 1 else 's'} renamed to {into}")


def check(queue: QueueUrl, as_json: Json = False) -> None:
    """Look for decisions that would become wrong classes: those that name nothing, and names spelt two ways.

    Exits 1 where it finds some.

    Example: clipomaly review check --queue queue.db
    """
    from clipomaly.cli.rendering.review import print_audit

    with open_queue(queue) as opened:
        found = opened.audit()
    print_audit(found, as_json)
    if not found.is_clean:
        raise typer.Exit(1)


def backup(
    file: Annotated[Path, typer.Argument(help="A new file for the copy.")],
    queue: QueueUrl,
) -> None:
    """Copy an SQLite queue, also while people judge; copying the file itself may lose decisions.

    A PostgreSQL queue is backed up by its own pg_dump, which the message names.

    Example: clipomaly review backup queue-2026-11-29.db --queue queue.db
    """
    from review.backup import back_up

    with open_queue(queue) as opened:
        items = back_up(opened, file)
    typer.echo(f"{items:,} items in {file}")


def reopen(items: Items, queue: QueueUrl, note: Note, reviewer: Who = None) -> None:
    """Put judged items back into the queue, whoever judged them.

    Example: clipomaly review reopen 1f0c9a --note "it is a tire" --queue queue.db
    """
    with open_queue(queue) as opened:
        opened.reopen(who(reviewer), items, note)
    typer.echo(f"{len(set(items))} back in the queue")


def comment(
    item: Item, text: Annotated[str, typer.Argument(help="The remark.")], queue: QueueUrl, reviewer: Who = None
) -> None:
    """Write a remark into an item's history.

    Example: clipomaly review comment 1f0c9a "seen in Leipzig before" --queue queue.db
    """
    with open_queue(queue) as opened:
        opened.comment(who(reviewer), item, text)
