"""``clipomaly review``: the queue from the command line, and its page."""

from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from clipomaly.cli.arguments import Items, Json, QueueUrl, Who, choosing, one_of, open_queue, who
from clipomaly.cli.precision import precision
from clipomaly.cli.review_second import second
from clipomaly.cli.review_upkeep import backup, check, comment, names, reopen
from schemas.review import State

if TYPE_CHECKING:
    from review.reads import Filters

review = typer.Typer(
    help="Judge finds: the review page, and everything on it as a command.",
    no_args_is_help=True,
    rich_markup_mode="rich",
)


class Verdict(StrEnum):
    """The verdicts on an item, as words of the command line."""

    ACCEPT = "accept"
    RELABEL = "relabel"
    KNOWN = "known"
    NOT_AN_OBJECT = "not-an-object"
    UNSURE = "unsure"


class Tool(StrEnum):
    """Whose files are written and read."""

    COCO = "coco"
    LABEL_STUDIO = "label-studio"


Archives = Annotated[
    list[str] | None,
    typer.Option(
        "--archive", help="Read frames only below this folder or URL (default: where each item's footage is)."
    ),
]


@review.command()
def serve(
    queue: QueueUrl,
    host: Annotated[
        str, typer.Option(help="Address to serve on; any other than loopback needs reviewers.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port; 0 takes a free one.")] = 8400,
    archive: Archives = None,
    frames: Annotated[bool, typer.Option(help="Read whole frames from the archive.")] = True,
    lease_minutes: Annotated[
        float, typer.Option(min=0.1, help="How long an item is reserved for the reviewer who looks at it.")
    ] = 5.0,
    https: Annotated[bool, typer.Option("--https", help="A proxy in front of this server provides TLS.")] = False,
    tables: Annotated[
        str | None, typer.Option(help="Search these tables from the page: more like an item, and by words.")
    ] = None,
    weights: Annotated[str | None, typer.Option(help="Weights file of the scan of --tables, if it used one.")] = None,
) -> None:
    """Serve the review page.

    Example: clipomaly review serve --queue queue.db
    """
    from flows.review import serve_page

    serve_page(queue, host, port, archive or (), timedelta(minutes=lease_minutes), https, frames, tables, weights)


@review.command()
def stats(queue: QueueUrl, as_json: Json = False) -> None:
    """Show the progress of the review: nights, reviewers, names, and the precision estimated from the random share.

    Example: clipomaly review stats --queue queue.db
    """
    from clipomaly.cli.rendering.review import print_stats

    with open_queue(queue) as opened:
        print_stats(opened.stats(), as_json)


@review.command("add-reviewer")
def add_reviewer(
    name: Annotated[str, typer.Argument(help="The name to sign in with.")],
    queue: QueueUrl,
) -> None:
    """Let a person sign in: prints their token, once.

    Example: clipomaly review add-reviewer ann --queue queue.db
    """
    from review.reviewers import add_reviewer

    with open_queue(queue, create=True) as opened:
        token = add_reviewer(opened, name)
    typer.echo(f"{name} signs in with this token, which is shown only now:", err=True)
    typer.echo(token)


@review.command("remove-reviewer")
def remove_reviewer(name: Annotated[str, typer.Argument(help="Whom.")], queue: QueueUrl) -> None:
    """Let a person sign in no longer; what they judged stays, what they hold goes back.

    Example: clipomaly review remove-reviewer ann --queue queue.db
    """
    from review.reviewers import remove_reviewer

    with open_queue(queue) as opened:
        remove_reviewer(opened, name)


@review.command()
def reviewers(queue: QueueUrl, as_json: Json = False) -> None:
    """Who may sign in.

    Example: clipomaly review reviewers --queue queue.db
    """
    from clipomaly.cli.rendering.review import print_reviewers
    from review.reviewers import list_reviewers

    with open_queue(queue) as opened:
        print_reviewers(list_reviewers(opened), as_json)


@review.command("list")
@choosing
def list_items(
    queue: QueueUrl,
    chosen: "Filters",
    state: Annotated[
        list[State] | None,
        typer.Option(metavar="STATE", help=f"Only in this state: {one_of(State)}; repeatable (default: open)."),
    ] = None,
    count: Annotated[int, typer.Option(min=1, max=500, help="How many.")] = 20,
    skip: Annotated[int, typer.Option(min=0, help="Skip the first so many.")] = 0,
    as_json: Json = False,
) -> None:
    """List items without holding them, highest rank first.

    Example: clipomaly review list --queue queue.db --state decided --name mattress
    """
    from clipomaly.cli.rendering.review import print_items
    from schemas.review import OPEN

    with open_queue(queue) as opened:
        print_items(opened.list_items(chosen, state or OPEN, count, skip=skip), as_json)


@review.command()
@choosing
def groups(
    queue: QueueUrl,
    chosen: "Filters",
    count: Annotated[int, typer.Option(min=1, max=500, help="How many.")] = 48,
    as_json: Json = False,
) -> None:
    """The groups of look-alikes with the most items waiting; judge one with next --cluster and decide.

    Example: clipomaly review groups --queue queue.db
    """
    from clipomaly.cli.rendering.review import print_groups

    with open_queue(queue) as opened:
        print_groups(opened.clusters(chosen, count), as_json)


@review.command()
def show(
    item: Annotated[str, typer.Argument(help="Id of the item.")],
    queue: QueueUrl,
    pictures: Annotated[
        Path | None, typer.Option(help="Write its crop, mask, whole frame and track into this folder.")
    ] = None,
    archive: Archives = None,
    as_json: Json = False,
) -> None:
    """One item: what it is, where it stands, and all that happened to it.

    Example: clipomaly review show 1f0c9a --queue queue.db --pictures look
    """
    from clipomaly.cli.rendering.review import print_item
    from flows.review import write_pictures

    with open_queue(queue) as opened:
        print_item(opened.item(item), opened.events(item), as_json)
        if pictures is not None:
            for line in write_pictures(opened, item, pictures, archive or ()):
                typer.echo(line, err=True)


@review.command("next")
@choosing
def next_items(
    queue: QueueUrl,
    chosen: "Filters",
    reviewer: Who = None,
    count: Annotated[int, typer.Option(min=1, max=500, help="How many.")] = 1,
    as_json: Json = False,
) -> None:
    """Take the next items: held for five minutes, so that nobody else gets them.

    Example: clipomaly review next --queue queue.db --count 10 --json
    """
    from clipomaly.cli.rendering.review import print_items

    with open_queue(queue) as opened:
        print_items(opened.lease(who(reviewer), chosen, count), as_json)


@review.command()
def hold(items: Items, queue: QueueUrl, reviewer: Who = None) -> None:
    """Hold items for five minutes more; prints those that you still hold.

    Example: clipomaly review hold 1f0c9a --queue queue.db
    """
    with open_queue(queue) as opened:
        for item_id in opened.renew(who(reviewer), items):
            typer.echo(item_id)


@review.command()
def release(
    queue: QueueUrl,
    items: Annotated[list[str] | None, typer.Argument(help="Ids of items (default: all that you hold).")] = None,
    reviewer: Who = None,
) -> None:
    """Give items back undecided.

    Example: clipomaly review release --queue queue.db
    """
    with open_queue(queue) as opened:
        typer.echo(f"{opened.release(who(reviewer), items or None)} released")


@review.command()
def decide(
    verdict: Annotated[Verdict, typer.Argument(help="The verdict.")],
    items: Items,
    queue: QueueUrl,
    name: Annotated[str | None, typer.Option("--name", help="The name, for relabel and known.")] = None,
    reviewer: Who = None,
    as_json: Json = False,
) -> None:
    """Judge items alike: all of them, or none when one cannot be.

    Example: clipomaly review decide relabel 1f0c9a --name mattress --queue queue.db
    """
    from clipomaly.cli.rendering.review import print_decisions
    from schemas.review import Verdict as Said

    with open_queue(queue) as opened:
        said = Said(verdict.value.replace("-", " "))
        print_decisions(opened.decide(who(reviewer), items, said, name), as_json)


@review.command()
def snooze(
    items: Items,
    queue: QueueUrl,
    hours: Annotated[float, typer.Option(min=0.01, max=8784, help="For how long.")] = 24.0,
    reviewer: Who = None,
) -> None:
    """Put items away for a while.

    Example: clipomaly review snooze 1f0c9a --hours 8 --queue queue.db
    """
    with open_queue(queue) as opened:
        until = opened.snooze(who(reviewer), items, timedelta(hours=hours))
    typer.echo(f"back on {until:%Y-%m-%d at %H:%M} UTC")


@review.command()
def undo(
    queue: QueueUrl,
    items: Annotated[
        list[str] | None, typer.Argument(help="Your last decisions on these items (default: your last).")
    ] = None,
    reviewer: Who = None,
    as_json: Json = False,
) -> None:
    """Take back decisions or snoozes of yours; their items are held for you again.

    Example: clipomaly review undo --queue queue.db
    """
    from clipomaly.cli.rendering.review import print_items

    with open_queue(queue) as opened:
        back = opened.undo_items(who(reviewer), items) if items else opened.undo(who(reviewer))
        print_items(back, as_json)


@review.command("export")
def export_items(
    tool: Annotated[Tool, typer.Argument(help="coco (CVAT, FiftyOne) or label-studio.")],
    folder: Annotated[Path, typer.Argument(help="Where the file and its pictures go.")],
    queue: QueueUrl,
    open_items: Annotated[
        bool,
        typer.Option(
            "--open", help="Export the items still to be judged, with their suggestions, instead of the judged ones."
        ),
    ] = False,
    exact: Annotated[
        bool, typer.Option("--exact", help="Exact masks (run lengths or brush strokes) instead of polygons.")
    ] = False,
    image_root: Annotated[
        str | None, typer.Option(help="Where Label Studio finds the pictures: the prefix of their names.")
    ] = None,
    archive: Archives = None,
) -> None:
    """Hand items over to another tool, with their pictures. Judged ones are marked as exported.

    Example: clipomaly review export coco for-cvat --queue queue.db
    """
    from flows.review import hand_over
    from review.exchange.label_studio import IMAGE_ROOT

    with open_queue(queue) as opened:
        count = hand_over(
            opened,
            tool.value,
            folder,
            judged=not open_items,
            exact=exact,
            image_root=image_root or IMAGE_ROOT,
            archives=archive or (),
        )
    typer.echo(f"{count} item{'' if count == 1 else 's'} in {folder}")


@review.command("import")
def import_decisions(
    tool: Annotated[Tool, typer.Argument(help="coco (CVAT, FiftyOne) or label-studio.")],
    path: Annotated[Path, typer.Argument(help="The file that the tool exported, or a folder of export.")],
    queue: QueueUrl,
    reviewer: Who = None,
) -> None:
    """Read decisions made in another tool. Existing decisions stay.

    Decisions that do not fit are listed; then the exit status is 1.

    Example: clipomaly review import coco instances_default.json --reviewer cvat --queue queue.db
    """
    from flows.review import take_back

    with open_queue(queue) as opened:
        done = take_back(opened, tool.value, path, who(reviewer))
    typer.echo(f"{done.decided} decided, {done.unchanged} as before, {len(done.problems)} not taken")
    for problem in done.problems:
        typer.echo(problem, err=True)
    if done.problems:
        raise typer.Exit(1)


for command in (precision, check, reopen, comment, backup):
    review.command()(command)
review.add_typer(names, name="names")
review.add_typer(second, name="second")
