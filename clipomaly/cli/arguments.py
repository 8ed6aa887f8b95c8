"""Arguments that several commands share."""

from enum import StrEnum
from typing import Annotated

import typer

Tables = Annotated[str, typer.Argument(help="Where the Parquet tables are: a folder or any fsspec URL.")]
Model = Annotated[
    str | None, typer.Option(help="[bold]nano[/] (built in) or an open_clip name: ViT-B-16-quickgelu/openai.")
]
Weights = Annotated[str | None, typer.Option(help="Weights file or URL: safetensors or an open_clip checkpoint.")]
VocabularyFile = Annotated[str | None, typer.Option("--vocabulary", help="Vocabulary YAML, file or URL.")]
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
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def one_of(choices: type[StrEnum]) -> str:
    """The words to choose from, for a help text: "coco, yolo or parquet"."""
    *most, last = choices
    return f"{', '.join(most)} or {last}"


DAY = ["%Y-%m-%d"]
DAY_SHOWN = "YYYY-MM-DD"


class Format(StrEnum):
    """How ``query`` prints."""

    TABLE = "table"
    CSV = "csv"
    JSON = "json"
