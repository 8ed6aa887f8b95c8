"""Options that the review commands share, among them those that choose items, and how they open a queue."""

import functools
import inspect
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from clipomaly.cli.arguments import DAY, DAY_SHOWN

if TYPE_CHECKING:
    from review import Queue

Who = Annotated[
    str | None, typer.Option("--reviewer", help="Who judges (default: the name of your account on this machine).")
]
Items = Annotated[list[str], typer.Argument(help="Ids of items.")]
Item = Annotated[str, typer.Argument(help="Id of the item.")]
Note = Annotated[str, typer.Option("--note", help="The reason; it is kept in the item's history.")]


def open_queue(url: str, *, create: bool = False) -> "Queue":
    """The queue of ``--queue``."""
    from review import Queue

    return Queue.open(url, create=create)


def who(reviewer: str | None) -> str:
    """Whose name is recorded."""
    from review.reviewers import local_user

    return reviewer or local_user()


if TYPE_CHECKING:
    from review import Filters


def _filters(
    name: Annotated[str | None, typer.Option(help="Only with this suggested name.")] = None,
    drive: Annotated[str | None, typer.Option(help="Only of this drive.")] = None,
    cluster: Annotated[str | None, typer.Option(help="Only of this group of look-alikes.")] = None,
    first: Annotated[
        datetime | None, typer.Option("--from", formats=DAY, metavar=DAY_SHOWN, help="Captured on this day or later.")
    ] = None,
    last: Annotated[
        datetime | None, typer.Option("--to", formats=DAY, metavar=DAY_SHOWN, help="Captured on this day or earlier.")
    ] = None,
    min_score: Annotated[float | None, typer.Option(min=0, max=1, help="Anomaly score, at least.")] = None,
    max_score: Annotated[float | None, typer.Option(min=0, max=1, help="Anomaly score, at most.")] = None,
) -> "Filters":
    from review import Filters

    return Filters(name, drive, cluster, first and first.date(), last and last.date(), min_score, max_score)


def choosing(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options that choose items, in place of its parameter ``chosen``, a ``Filters``.

    Typer makes one option of each parameter; so they stand here once, and the command gets the record.
    """
    options = inspect.signature(_filters).parameters
    shown: list[inspect.Parameter] = []
    for parameter in inspect.signature(command).parameters.values():
        shown += options.values() if parameter.name == "chosen" else [parameter]

    @functools.wraps(command)
    def run(**given: Any) -> None:
        mine = {name: given.pop(name) for name in options}
        command(chosen=_filters(**mine), **given)

    run.__signature__ = inspect.Signature(shown)  # type: ignore[attr-defined]
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in shown}
    return run
