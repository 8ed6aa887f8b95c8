"""Compaction, told day by day."""

from datetime import timedelta

from rich.console import Console
from rich.filesize import decimal
from rich.markup import escape

from tasks.tables.compact import DayCompacted, compact


def run_compact(tables: str, grace: timedelta) -> bool:
    """Compact the tables and print what became of each day; what ``clipomaly compact`` does.

    Returns:
        Whether no day was left for trouble with its files.

    Raises:
        UserError: no tables, or records that cannot be read.
    """
    console = Console(soft_wrap=True, highlight=False)
    good, days = True, 0
    for done in compact(tables, grace):
        console.print(f"{done.day} scan {done.scan_id}: {'; '.join(_told(done))}")
        good, days = good and done.trouble is None, days + 1
    if not days:
        console.print("nothing to do: every day is compacted")
    return good


def _told(done: DayCompacted) -> list[str]:
    told = []
    if done.merged:
        told.append(f"{done.merged:,} files merged, now {done.into:,} of {decimal(done.size)}")
    if done.removed:
        told.append(f"{done.removed:,} replaced files removed")
    if done.trouble:
        told.append(f"[red]left:[/] {escape(done.trouble)}")
    elif done.waits_until:
        told.append(f"a run after {done.waits_until:%Y-%m-%d %H:%M} UTC removes what was replaced")
    return told or ["another compaction did it"]
