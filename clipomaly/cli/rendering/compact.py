"""What ``clipomaly compact`` prints: a line a day and index."""

from rich.filesize import decimal

from clipomaly.cli.rendering.console import from_outside, stdout
from tasks.tables.compact import DayCompacted
from tasks.tables.indexing import DayIndexed


def print_day(done: DayCompacted) -> None:
    """What became of the files of a day."""
    stdout().print(f"{done.day} scan {done.scan_id}: {'; '.join(_told(done))}")


def print_indexed(done: DayIndexed) -> None:
    """What became of the search index of a day."""
    told = f"search index of {done.rows:,} instances, {decimal(done.size)}"
    if done.trouble:
        told = f"[red]no search index:[/] {from_outside(done.trouble)}"
    stdout().print(f"{done.day} scan {done.scan_id}: {told}")


def _told(done: DayCompacted) -> list[str]:
    told = []
    if done.merged:
        told.append(f"{done.merged:,} files merged, now {done.into:,} of {decimal(done.size)}")
    if done.removed:
        told.append(f"{done.removed:,} replaced files removed")
    if done.trouble:
        told.append(f"[red]left:[/] {from_outside(done.trouble)}")
    elif done.waits_until:
        told.append(f"a run after {done.waits_until:%Y-%m-%d %H:%M} UTC removes what was replaced")
    return told or ["another compaction did it"]
