"""``clipomaly demo``."""

from pathlib import Path
from typing import Annotated

import typer

from clipomaly.cli.arguments import one_of
from flows.choices import Runner

_FINDS = 24
_FPS = 2.0
_LEAST_METRES = 0.4
_BY_NAME = """
SELECT name, count(*) AS instances, count(DISTINCT source_uri) AS clips, round(max(anomaly_score), 2) AS best_score
FROM instances GROUP BY name ORDER BY instances DESC, name
"""


def demo(
    out: Annotated[Path, typer.Option("--out", help="Folder for the clips, tables and pictures.")] = Path("demo"),
    runner: Annotated[
        Runner, typer.Option(metavar="RUNNER", help=f"Who runs the shards: {one_of(Runner)}.")
    ] = Runner.THREADS,
    model: Annotated[str, typer.Option(help="nano, which learned from such drawings and is fast, or road.")] = "nano",
) -> None:
    """Make a small archive of dashcam clips, scan it, and show what was found.

    Example: clipomaly demo --out demo
    """
    from clipomaly.cli.arguments import Format
    from clipomaly.cli.demo_grade import grade_demo
    from clipomaly.cli.rendering.console import say_nano, stdout
    from clipomaly.cli.rendering.query import print_answer
    from clipomaly.cli.rendering.scan import print_summary
    from flows.parameters import ScanParameters
    from flows.progress import TerminalProgress
    from flows.scan import run_scan
    from tasks.reporting.finds import write_finds
    from tasks.tables import Tables as Opened
    from tasks.tables.query import run_query

    console = stdout()
    archive, tables, finds = out / "archive", out / "tables", out / "finds"
    if not archive.exists():
        console.print(f"making dashcam clips in {archive} …")
        planted = _draw(archive)
        console.print(f"planted {planted} unusual objects; their truth is in {archive}.truth")
    say_nano(model, None)
    parameters = ScanParameters(
        archive=str(archive),
        tables=str(tables),
        model=model,
        fps=_FPS,
        runner=runner,
        report=str(out / "report"),
        no_reference=True,
    )
    with TerminalProgress():
        summary = run_scan(parameters)
    print_summary(summary, parameters)
    console.print("\n[bold]What was found, by name[/] (asked with DuckDB)")
    print_answer(run_query(Opened.at(tables), _BY_NAME), Format.TABLE)
    write_finds(Opened.at(tables), finds, _FINDS)
    console.print(f"\nbest finds: {finds / 'best.png'} and one picture each beside it")
    if not summary.succeeded:
        raise typer.Exit(1)
    grade = grade_demo(out)
    console.print(
        f"[bold]graded:[/] {grade.found} of {len(grade.objects)} planted objects found, {grade.named_right} named "
        f"right, {grade.false_tracks} false"
    )
    console.print(f"next: clipomaly mine {tables} --queue {out / 'queue.db'}")
    console.print(f"      clipomaly review serve --queue {out / 'queue.db'}")


def _draw(archive: Path) -> int:
    """Draw the clips; how many unusual objects are in them. Raises UserError for a folder that cannot be written."""
    from demo_fleet import HELD_OUT_KINDS, KINDS, write_archive
    from tasks.errors import UserError

    # What the built-in model was never shown is for judging it, not for showing what the pipeline does.
    seen = [kind.name for kind in KINDS if kind.name not in HELD_OUT_KINDS and kind.size_m >= _LEAST_METRES]
    try:
        archive.parent.mkdir(parents=True, exist_ok=True)
        return len(write_archive(archive, kinds=seen))
    except OSError as error:
        raise UserError(f"{archive} cannot be written ({error.strerror}); give --out another folder.") from error
