"""What ``clipomaly compact`` prints: a line a day."""

from rich.filesize import decimal

from clipomaly.cli.rendering.console import from_outside, stdout
from tasks.tables.compact import DayCompacted


def print_day(done: DayCompacted) -> None:
    """What became of the files of a day."""
    stdout().print(f"{done.day} scan {done.scan_id}: {'; '.join(_told(done))}")


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
