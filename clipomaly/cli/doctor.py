"""``clipomaly doctor``."""

from pathlib import Path
from typing import Annotated

import typer

from clipomaly.cli.arguments import Device, Json, Model, VocabularyFile, Weights


def doctor(
    archive: Annotated[str | None, typer.Option(help="Footage that a scan will read.")] = None,
    tables: Annotated[
        str | None, typer.Option(help="Where a scan will write; a small file is made and removed.")
    ] = None,
    queue: Annotated[
        str | None, typer.Option(envvar="CLIPOMALY_QUEUE", help="The review queue; never made by this.")
    ] = None,
    model: Model = None,
    weights: Weights = None,
    vocabulary: VocabularyFile = None,
    device: Device = None,
    config: Annotated[Path | None, typer.Option(help="This file instead of clipomaly.toml.")] = None,
    as_json: Json = False,
) -> None:
    """Check what a scan needs, and say how to mend what is missing. Exit 1 when something is bad.

    Example: clipomaly doctor --archive s3://fleet/2026-11-22 --tables s3://fleet/tables
    """
    from clipomaly.cli.diagnosis import examine
    from clipomaly.cli.rendering.terminal import print_checks
    from clipomaly.cli.settings import scan_parameters

    given = {"model": model, "weights": weights, "vocabulary": vocabulary, "device": device}
    checks = list(examine(scan_parameters(archive or "", tables or "", given, [], config), archive, tables, queue))
    print_checks(checks, as_json)
    if any(check.good is False for check in checks):
        raise typer.Exit(1)
