"""``clipomaly scan``."""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from clipomaly.cli import arguments as arg
from clipomaly.cli.arguments import one_of
from flows.choices import Decoder, Partial, Runner


def scan(
    archive: Annotated[str, typer.Argument(help="Footage: a folder, file or any fsspec URL.")],
    out: Annotated[str, typer.Option("--out", help="Where the Parquet tables go: a folder or any fsspec URL.")],
    prefix: Annotated[
        list[str] | None,
        typer.Option(help="Scan only this folder below the archive, such as a date or a drive; repeatable."),
    ] = None,
    inventory: Annotated[
        str | None,
        typer.Option(
            help="What lists the archive: CSV or Parquet of uri, size, etag, captured, or a manifest of S3 Inventory."
        ),
    ] = None,
    model: arg.Model = None,
    weights: arg.Weights = None,
    vocabulary: arg.VocabularyFile = None,
    fps: arg.Fps = None,
    keyframes: Annotated[
        bool | None, typer.Option("--keyframes", help="Take key frames of video only: several times as fast.")
    ] = None,
    decoder: Annotated[
        Decoder | None,
        typer.Option(metavar="DECODER", help=f"What decodes videos: {one_of(Decoder)} (default cpu)."),
    ] = None,
    shard_minutes: Annotated[float | None, typer.Option(help="Minutes of footage in a shard (default 5).")] = None,
    runner: Annotated[
        Runner | None,
        typer.Option(metavar="RUNNER", help=f"Who runs the shards: {one_of(Runner)} (default inline)."),
    ] = None,
    workers: arg.Workers = None,
    address: Annotated[str | None, typer.Option(help="A running Dask scheduler or Ray cluster, for --runner.")] = None,
    device: arg.Device = None,
    report: arg.ReportFolder = None,
    review_url: Annotated[str | None, typer.Option(help="Where the review page is: the report links there.")] = None,
    queue: Annotated[
        str | None, typer.Option(help="Mine into this review queue at the end (as clipomaly mine does).")
    ] = None,
    publish: Annotated[
        bool | None, typer.Option("--publish", help="Publish the tables as Delta Lake at the end.")
    ] = None,
    preset: arg.Preset = None,
    reference: Annotated[
        str | None,
        typer.Option(help="What is ordinary: a file or URL of `reference build` (default: the tables' own)."),
    ] = None,
    no_reference: Annotated[
        bool | None, typer.Option("--no-reference", help="Use the model's own thresholds, uncalibrated.")
    ] = None,
    finds_per_hour: Annotated[
        float | None, typer.Option(help="About so many finds an hour on ordinary footage (default 30).")
    ] = None,
    method: arg.Method = None,
    config: Annotated[Path | None, typer.Option(help="TOML file with any of these options; flags win over it.")] = None,
    profile: Annotated[
        bool, typer.Option("--profile", help="Print at the end how long each stage worked, and which is the slowest.")
    ] = False,
    strict: Annotated[
        bool | None, typer.Option("--strict", help="Also exit with 1 when a source could not be read whole.")
    ] = None,
    partial: Annotated[
        Partial | None,
        typer.Option(
            metavar="TYPE",
            help=f"Type of Prefect's state Partial of a night that lost something: {one_of(Partial)}.",
        ),
    ] = None,
    notify: arg.Notify = None,
    metrics: arg.Metrics = None,
    log_level: arg.Level = None,
    log_format: arg.LogForm = None,
) -> None:
    """Scan an archive of footage into Parquet tables.

    Running it again scans only what is new or was cut off.

    Example: clipomaly scan s3://fleet/2026-11-22 --out s3://fleet/tables --fps 2 --runner processes
    """
    from clipomaly.cli.interrupts import interruptible
    from clipomaly.cli.rendering.console import say_nano
    from clipomaly.cli.rendering.scan import print_profile, print_summary
    from clipomaly.cli.settings import scan_parameters
    from flows.night import Verdict
    from flows.progress import TerminalProgress
    from flows.scan import run_scan

    given = {
        "preset": preset,
        "prefixes": prefix or None,
        "inventory": inventory,
        "model": model,
        "weights": weights,
        "vocabulary": vocabulary,
        "fps": fps,
        "keyframes": keyframes,
        "decoder": decoder,
        "shard_minutes": shard_minutes,
        "runner": runner,
        "workers": workers,
        "address": address,
        "device": device,
        "report": report,
        "review_url": review_url,
        "queue": queue,
        "publish": publish,
        "strict": strict,
        "partial": partial,
        "notify": " ".join(notify) if notify else None,
        "metrics": metrics,
        "log_level": log_level,
        "log_format": log_format,
        "reference": reference,
        "no_reference": no_reference,
    }
    options = [*(method or []), *([] if finds_per_hour is None else [f"finds_per_hour={finds_per_hour}"])]
    parameters = scan_parameters(archive, out, given, options, config)
    say_nano(parameters.model, parameters.weights)
    progress = TerminalProgress(plain=parameters.log_level is not None)
    with interruptible(progress.so_far), progress:
        summary = run_scan(parameters)
    print_summary(summary, parameters)
    if profile:
        print_profile(summary)
    code = 0 if summary.verdict(strict=parameters.strict) is Verdict.DONE else 1
    if parameters.runner is not Runner.INLINE:
        _end_if_something_is_unsent(code)
    raise typer.Exit(code)


def _end_if_something_is_unsent(code: int) -> None:
    from flows.server import something_is_unsent

    if something_is_unsent():
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
