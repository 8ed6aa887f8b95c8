"""The command ``clipomaly``. Heavy imports happen inside the commands, so that ``--help`` is quick."""

import os
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from flows.parameters import Runner

app = typer.Typer(
    name="clipomaly",
    help="Find, name and collect what a fleet's dashcams met and no class list foresaw.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)

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


class Format(StrEnum):
    """How ``query`` prints."""

    TABLE = "table"
    CSV = "csv"
    JSON = "json"


@app.command()
def scan(
    archive: Annotated[str, typer.Argument(help="Footage: a folder, file or any fsspec URL.")],
    out: Annotated[str, typer.Option("--out", help="Where the Parquet tables go: a folder or any fsspec URL.")],
    model: Model = None,
    weights: Weights = None,
    vocabulary: VocabularyFile = None,
    fps: Annotated[float | None, typer.Option(help="Frames to scan a second of video (default 1).")] = None,
    shard_minutes: Annotated[float | None, typer.Option(help="Minutes of footage in a shard (default 5).")] = None,
    runner: Annotated[Runner | None, typer.Option(help="Who runs the shards (default inline).")] = None,
    workers: Annotated[int | None, typer.Option(help="Threads or processes at a time.")] = None,
    device: Device = None,
    method: Method = None,
    config: Annotated[Path | None, typer.Option(help="TOML file with any of these options; flags win over it.")] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Exit 1 when any source could not be read whole.")] = False,
) -> None:
    """Scan an archive of footage into Parquet tables.

    Running it again scans only what is new or was cut off.

    Example: clipomaly scan s3://fleet/2026-11-22 --out s3://fleet/tables --fps 2 --runner processes
    """
    from flows.config import scan_parameters
    from flows.nightly_scan import run_scan
    from flows.progress import TerminalProgress
    from flows.terminal import print_summary, say_nano

    given = {
        "model": model,
        "weights": weights,
        "vocabulary": vocabulary,
        "fps": fps,
        "shard_minutes": shard_minutes,
        "runner": runner,
        "workers": workers,
        "device": device,
    }
    parameters = scan_parameters(archive, out, given, method or [], config)
    say_nano(parameters.model, parameters.weights)
    with TerminalProgress():
        summary = run_scan(parameters)
    print_summary(summary, parameters)
    if not summary.succeeded or (strict and not summary.flawless):
        raise typer.Exit(1)


@app.command()
def status(tables: Tables) -> None:
    """Say what is scanned, what failed and why.

    Example: clipomaly status s3://fleet/tables
    """
    from flows.terminal import print_status
    from tasks.status import read_status

    print_status(read_status(tables), tables)


@app.command()
def query(
    tables: Tables,
    sql: Annotated[str, typer.Argument(help="SQL over the tables instances, frames and embeddings.")],
    output: Annotated[Format, typer.Option("--format", help="How to print.")] = Format.TABLE,
) -> None:
    """Ask the tables with DuckDB SQL: committed rows, the newest generation of each source.

    Example: clipomaly query tables "SELECT name, count(*) FROM instances GROUP BY name ORDER BY 2 DESC"
    """
    from flows.terminal import print_rows
    from tasks.query import run_query

    print_rows(run_query(tables, sql), output)


@app.command()
def segment(
    images: Annotated[list[str], typer.Argument(help="Pictures: files, folders or any fsspec URL.")],
    out: Annotated[Path, typer.Option("--out", help="Folder for the pictures.")],
    model: Model = None,
    weights: Weights = None,
    vocabulary: VocabularyFile = None,
    device: Device = None,
    method: Method = None,
) -> None:
    """Look at single pictures: outlined, named instances beside the anomaly map.

    Example: clipomaly segment photos/*.jpg --out segmented
    """
    from flows.config import method_values
    from flows.segment import segment_images
    from flows.terminal import say_nano
    from tasks.model import ModelSettings

    values = tuple(sorted(method_values(method or []).items()))
    settings = ModelSettings(model or "nano", weights, vocabulary, device or "auto", values)
    say_nano(settings.model, weights)
    if not segment_images(images, out, settings):
        raise typer.Exit(1)


@app.command()
def evaluate(
    dataset: Annotated[Path, typer.Option("--dataset", help="The dataset's folder, as it was unpacked.")],
    dataset_format: Annotated[
        str,
        typer.Option(
            "--format",
            help="roadanomaly, smiyc, fishyscapes, cityscapes or streethazards; with --calibrate also footage: "
            "an archive as scan reads it, taken to hold no anomaly.",
        ),
    ],
    model: Model = None,
    weights: Weights = None,
    vocabulary: VocabularyFile = None,
    scores: Annotated[
        Path | None,
        typer.Option(
            help="Judge maps on disk instead of a model: NAME.png (16 bits for 0 to 1) or NAME.npy for every frame."
        ),
    ] = None,
    names: Annotated[
        Path | None, typer.Option(help="YAML file with the words that name each frame's anomalies.")
    ] = None,
    split: Annotated[
        str | None, typer.Option(help="Split of cityscapes (default val) or streethazards (default test).")
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first so many frames by name.")] = None,
    calibrate: Annotated[
        float | None,
        typer.Option(
            metavar="RATE", help="Find the threshold for this false-positive rate on frames without anomalies."
        ),
    ] = None,
    fps: Annotated[float | None, typer.Option(help="Frames a second of video, for --format footage.")] = None,
    device: Device = None,
    method: Method = None,
    config: Annotated[Path | None, typer.Option(help="TOML file as for scan; flags win over it.")] = None,
    out: Annotated[Path, typer.Option("--out", help="Folder for the report.")] = Path("evaluation"),
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
) -> None:
    """Judge a model, or score maps on disk, against a benchmark's truth.

    Writes metrics.json, precision_recall.png, roc.png, frames.png (best and worst frames) and, with --calibrate,
    config.toml for scan --config.

    Example: clipomaly evaluate --dataset RoadAnomaly --format roadanomaly --set score=entropy --out report
    """
    from flows.evaluate import EvaluationRequest, run_evaluate

    run_evaluate(
        EvaluationRequest(dataset, dataset_format, out, scores, names, split, limit, calibrate, as_json),
        {"model": model, "weights": weights, "vocabulary": vocabulary, "device": device, "fps": fps},
        method or [],
        config,
    )


@app.command()
def models() -> None:
    """List the models: the built-in one, and how to use any CLIP of open_clip."""
    from flows.terminal import print_models

    print_models()


@app.command()
def demo(
    out: Annotated[Path, typer.Option("--out", help="Folder for the clips, tables and pictures.")] = Path("demo"),
    runner: Annotated[Runner, typer.Option(help="Who runs the shards.")] = Runner.THREADS,
) -> None:
    """Make a small archive of dashcam clips, scan it, and show what was found."""
    from flows.demo import run_demo

    if not run_demo(out, runner):
        raise typer.Exit(1)


def main() -> None:
    """Run the command; errors for people are one line."""
    os.environ.setdefault("PREFECT_LOGGING_LEVEL", "ERROR")  # the terminal is for the user's own lines
    try:
        app()
    except Exception as error:
        if os.environ.get("CLIPOMALY_DEBUG"):
            raise
        sys.exit(_explain(error))


def _explain(error: Exception) -> int:
    from tasks.errors import UsageError, UserError

    console = Console(stderr=True, soft_wrap=True, highlight=False)
    if isinstance(error, UserError):
        console.print(f"[bold red]error:[/] {_plain(str(error))}")
        return 2 if isinstance(error, UsageError) else 1
    console.print(
        f"[bold red]error:[/] {_plain(f'{type(error).__name__}: {error}')}; this is not expected: "
        "run again with CLIPOMALY_DEBUG=1 and report what it shows."
    )
    return 1


def _plain(text: str) -> str:
    return " ".join(text.split()).replace("[", r"\[")


if __name__ == "__main__":
    main()
