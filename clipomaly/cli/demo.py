"""``clipomaly demo``."""

from pathlib import Path
from typing import Annotated

import typer

from clipomaly.cli.arguments import one_of
from flows.parameters import Runner


def demo(
    out: Annotated[Path, typer.Option("--out", help="Folder for the clips, tables and pictures.")] = Path("demo"),
    runner: Annotated[
        Runner, typer.Option(metavar="RUNNER", help=f"Who runs the shards: {one_of(Runner)}.")
    ] = Runner.THREADS,
) -> None:
    """Make a small archive of dashcam clips, scan it, and show what was found.

    Example: clipomaly demo --out demo
    """
    from clipomaly.cli.demo_night import run_demo

    if not run_demo(out, runner):
        raise typer.Exit(1)
