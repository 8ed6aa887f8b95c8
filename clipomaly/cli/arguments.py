"""Arguments that several commands share."""

from enum import StrEnum
from typing import Annotated

import typer

from flows.choices import LogFormat, LogLevel


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
