"""Arguments and options that several commands share, among them those that choose items of a review queue."""

import functools
import inspect
from collections.abc import Callable
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from flows.choices import LogFormat, LogLevel

if TYPE_CHECKING:
    from review.queue import Queue

Who = Annotated[
    str | None, typer.Option("--reviewer", help="Who judges (default: the name of your account on this machine).")
]
Items = Annotated[list[str], typer.Argument(help="Ids of items.")]
Item = Annotated[str, typer.Argument(help="Id of the item.")]
Note = Annotated[str, typer.Option("--note", help="The reason; it is kept in the item's history.")]


def one_of(choices: type[StrEnum]) -> str:
    """The words to choose from, for a help text: "coco, yolo or parquet"."""
    *most, last = choices
    return f"{', '.join(most)} or {last}"


Tables = Annotated[str, typer.Argument(help="Where the Parquet tables are: a folder or any fsspec URL.")]
Model = Annotated[
    str | None,
    typer.Option(help="[bold]road[/], [bold]nano[/] (built in) or an open_clip name: ViT-B-16-quickgelu/openai."),
]
Weights = Annotated[str | None, typer.Option(help="Weights file or URL: safetensors or an open_clip checkpoint.")]
VocabularyFile = Annotated[str | None, typer.Option("--vocabulary", help="Vocabulary YAML, file or URL.")]
Fps = Annotated[float | None, typer.Option(help="Frames to scan a second of video (default 1).")]
Workers = Annotated[int | None, typer.Option(help="Threads or processes at a time.")]
ReportFolder = Annotated[str | None, typer.Option(help="Write the nightly report into this folder or URL.")]
Device = Annotated[str | None, typer.Option(help="auto, cpu, cuda, mps, …")]
Method = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="NAME=VALUE", help="An option of the method, such as score=entropy; repeatable."),
]
Preset = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="Named options of the method: paper, naclip or fleet; --set wins over it."),
]
QueueUrl = Annotated[
    str,
    typer.Option("--queue", envvar="CLIPOMALY_QUEUE", help="A file, or postgresql://… of a database."),
]
Notify = Annotated[
    list[str] | None,
    typer.Option(
        metavar="URL", help="Send one message a night to this Apprise URL (mail, Slack, Teams, a webhook); repeatable."
    ),
]
Metrics = Annotated[str | None, typer.Option(metavar="FILE", help="Write the scan's numbers here as OpenMetrics text.")]
Level = Annotated[
    LogLevel | None, typer.Option(metavar="LEVEL", help=f"Log to stderr from this level up: {one_of(LogLevel)}.")
]
LogForm = Annotated[LogFormat | None, typer.Option(metavar="FORM", help=f"Log lines as {one_of(LogFormat)}.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


DAY = ["%Y-%m-%d"]
DAY_SHOWN = "YYYY-MM-DD"


class Format(StrEnum):
    """How ``query`` prints."""

    TABLE = "table"
    CSV = "csv"
    JSON = "json"


def open_queue(url: str, *, create: bool = False) -> "Queue":
    """The queue of ``--queue``."""
    from review.queue import Queue

    return Queue.open(url, create=create)


def who(reviewer: str | None) -> str:
    """Whose name is recorded."""
    from review.names import local_user

    return reviewer or local_user()


if TYPE_CHECKING:
    from review.reads import Filters


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
    from review.reads import Filters

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
