"""Options that the review commands share, and how they open a queue."""

from typing import TYPE_CHECKING, Annotated

import typer

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
