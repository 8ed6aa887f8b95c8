"""The demo: footage made on the spot, the nightly scan over it, what was found, and pictures of the best finds."""

from pathlib import Path

import cv2
from rich.console import Console

from clipomaly.cli.arguments import Format
from clipomaly.cli.rendering.terminal import print_answer, print_summary, say_nano
from demo_fleet import HELD_OUT_KINDS, KINDS, write_archive
from flows.nightly_scan import run_scan
from flows.parameters import Runner, ScanParameters
from flows.progress import TerminalProgress
from tasks.drawing import contact_sheet
from tasks.errors import UserError
from tasks.reporting.finds import best_finds, find_picture
from tasks.tables.query import run_query

_FINDS = 24
_FPS = 2.0
_LEAST_METRES = 0.4
_BY_NAME = """
SELECT name, count(*) AS instances, count(DISTINCT source_uri) AS clips, round(max(anomaly_score), 2) AS best_score
FROM instances GROUP BY name ORDER BY instances DESC, name
"""


def run_demo(out: Path, runner: Runner) -> bool:
    """Make clips in ``out/archive``, scan them into ``out/tables``, write pictures into ``out/finds``
    and the report into ``out/report``.

    Args:
        out: folder; what an earlier demo left there is used again.
        runner: who runs the shards.

    Returns:
        Whether the scan succeeded.

    Raises:
        UserError: a folder that cannot be written.
    """
    console = Console(soft_wrap=True, highlight=False)
    archive, tables, finds = out / "archive", out / "tables", out / "finds"
    try:
        finds.mkdir(parents=True, exist_ok=True)
        if not archive.exists():
            console.print(f"making dashcam clips in {archive} …")
            # What the built-in model was never shown is for judging it, not for showing what the pipeline does.
            seen = [kind.name for kind in KINDS if kind.name not in HELD_OUT_KINDS and kind.size_m >= _LEAST_METRES]
            planted = write_archive(archive, kinds=seen)
            console.print(f"planted {len(planted)} unusual objects; their truth is in {archive}.truth")
    except OSError as error:
        raise UserError(f"{out} cannot be written ({error.strerror}); give --out another folder.") from error
    say_nano("nano", None)
    parameters = ScanParameters(
        archive=str(archive), tables=str(tables), fps=_FPS, runner=runner, report=str(out / "report")
    )
    with TerminalProgress():
        summary = run_scan(parameters)
    print_summary(summary, parameters)
    console.print("\n[bold]What was found, by name[/] (asked with DuckDB)")
    print_answer(run_query(str(tables), _BY_NAME), Format.TABLE)
    _write_pictures(str(tables), finds)
    console.print(f"\nbest finds: {finds / 'best.png'} and one picture each beside it")
    return summary.succeeded


def _write_pictures(tables: str, folder: Path) -> None:
    tiles = []
    for number, find in enumerate(best_finds(tables, _FINDS), start=1):
        picture = find_picture(find)
        tiles.append((picture, f"{find.name} {find.anomaly_score:.2f}  {find.drive}  {find.timestamp}"))
        name = f"{number:02d}-{find.name.replace(' ', '-')}.png"
        cv2.imwrite(str(folder / name), cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
    if tiles:
        sheet = contact_sheet(tiles, columns=4)
        cv2.imwrite(str(folder / "best.png"), cv2.cvtColor(sheet, cv2.COLOR_RGB2BGR))
