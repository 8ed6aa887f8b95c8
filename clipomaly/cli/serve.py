"""``clipomaly serve``."""

from pathlib import Path
from typing import Annotated

import typer

from clipomaly.cli import arguments as arg
from clipomaly.cli.arguments import one_of
from flows.choices import Runner


def serve(
    archive: Annotated[str, typer.Argument(help="Footage: a folder, file or any fsspec URL.")],
    out: Annotated[str, typer.Option("--out", help="Where the Parquet tables go: a folder or any fsspec URL.")],
    cron: Annotated[str, typer.Option(help="When, as five fields of cron.")] = "0 2 * * *",
    timezone: Annotated[str, typer.Option(help="Time zone of --cron, such as Europe/Berlin.")] = "UTC",
    name: Annotated[str, typer.Option(help="Name of the deployment on the Prefect page.")] = "nightly",
    model: arg.Model = None,
    weights: arg.Weights = None,
    vocabulary: arg.VocabularyFile = None,
    fps: arg.Fps = None,
    runner: Annotated[
        Runner | None,
        typer.Option(metavar="RUNNER", help=f"Who runs the shards: {one_of(Runner)} (default threads)."),
    ] = None,
    workers: arg.Workers = None,
    device: arg.Device = None,
    report: arg.ReportFolder = None,
    queue: Annotated[str | None, typer.Option(help="Mine into this review queue at the end.")] = None,
    publish: Annotated[
        bool | None, typer.Option("--publish", help="Publish the tables as Delta Lake at the end.")
    ] = None,
    preset: arg.Preset = None,
    notify: arg.Notify = None,
    metrics: arg.Metrics = None,
    metrics_port: Annotated[
        int | None, typer.Option(help="Serve the last scan's numbers on this port of 127.0.0.1, also while it runs.")
    ] = None,
    log_level: arg.Level = None,
    log_format: arg.LogForm = None,
    method: arg.Method = None,
    config: Annotated[Path | None, typer.Option(help="TOML file with any option of clipomaly scan.")] = None,
) -> None:
    """Scan an archive every night, on this machine, until this command is stopped.

    Uses the Prefect server of PREFECT_API_URL, or else starts one of its own.

    Example: clipomaly serve s3://fleet/dashcam --out s3://fleet/tables --cron "0 2 * * *" --timezone Europe/Berlin
    """
    from clipomaly.cli.rendering.console import say_nano
    from clipomaly.cli.settings import scan_parameters
    from flows.serve import serve_scan

    given = {
        "preset": preset,
        "model": model,
        "weights": weights,
        "vocabulary": vocabulary,
        "fps": fps,
        "runner": runner,
        "workers": workers,
        "device": device,
        "report": report,
        "queue": queue,
        "publish": publish,
        "notify": " ".join(notify) if notify else None,
        "metrics": metrics,
        "log_level": log_level,
        "log_format": log_format,
    }
    parameters = scan_parameters(archive, out, given, method or [], config)
    say_nano(parameters.model, parameters.weights)
    serve_scan(parameters, name, cron, timezone, metrics_port)
