"""What is printed of published tables."""

from collections.abc import Iterable

from clipomaly.cli.rendering.console import from_outside, plural, stdout
from tasks.tables.publish import TablePublished


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
