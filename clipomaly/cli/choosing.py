"""The options by which commands choose items of the review queue."""

import functools
import inspect
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from clipomaly.cli.arguments import DAY, DAY_SHOWN

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
