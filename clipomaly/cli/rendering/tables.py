"""What the commands print that look after tables: check, compact, publish."""

from collections.abc import Iterable, Sequence

from rich.filesize import decimal
from rich.markup import escape

from clipomaly.cli.rendering.console import from_outside, plural, stdout
from tasks.tables.check import Finding
from tasks.tables.compact import DayCompacted
from tasks.tables.indexing import DayIndexed
from tasks.tables.publish import TablePublished


def print_finding(finding: Finding) -> None:
    """What is wrong, and what was done about it."""
    stdout().print(f"[red]damaged[/] scan {finding.scan_id}: {escape(finding.what)}")
    if finding.repair:
        stdout().print(f"        [green]repaired[/] {escape(finding.repair)}")


def print_verdict(findings: Sequence[Finding]) -> None:
    """The last line: how much is damaged, and what to do."""
    if not findings:
        print("nothing is damaged")
        return
    again = {(finding.scan_id, shard_id) for finding in findings for shard_id in finding.shards}
    left = sum(finding.repair is None for finding in findings)
    if left:
        print(f"{left} damage{plural(left)} left: run check --repair, or restore the files from a copy")
    if again:
        print(f"{len(again)} shard{plural(len(again))} to be scanned again: run the same scan once more")


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


def print_published(done: TablePublished) -> None:
    """The version of a table's log, and what changed."""
    console = stdout()
    for line in done.others:
        console.print(f"[yellow]note[/] another program wrote into the log of {done.table}: {from_outside(line)}")
    told = []
    if done.added:
        told.append(f"{done.added:,} file{plural(done.added)} added")
    if done.removed:
        told.append(f"{done.removed:,} removed")
    if done.cleaned:
        told.append(f"{done.cleaned:,} old file{plural(done.cleaned)} deleted")
    if done.others:
        told.append("the log is right again")
    console.print(f"{done.table}: version {done.version}, {', '.join(told) or 'nothing to do'}")


def print_behind(lines: Iterable[str], tables: str) -> None:
    """Which published tables do not show what they are to show, and what to do."""
    told = list(lines)
    for line in told:
        stdout().print(f"[yellow]published tables are behind[/] {from_outside(line)}")
    if told:
        stdout(markup=False).print(f"  clipomaly publish {tables}")
