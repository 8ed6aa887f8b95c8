"""What ``clipomaly status`` prints."""

from collections.abc import Sequence

from pydantic import TypeAdapter
from rich.console import Console

from clipomaly.cli.rendering.console import MOST_LINES, from_outside, plural, stdout
from schemas.records import Outcome
from schemas.tables import SCHEMA_VERSION
from tasks.scanning.scan_record import LeftShard
from tasks.scanning.status import ScanStatus
from tasks.tables.compact import Outdated


def print_status(scans: Sequence[ScanStatus], tables: str, verbose: bool = False) -> None:
    """The state of the tables in a few lines; ``verbose`` with the traces of errors."""
    console = stdout()
    for scan in scans:
        console.print(
            f"[bold]scan {scan.scan_id}[/] model {scan.model}, {scan.fps:g} frame{plural(scan.fps)} a second, "
            f"begun {scan.created:%Y-%m-%d %H:%M} UTC"
        )
        outcomes = [outcome for outcome in Outcome if outcome is not Outcome.FORGOTTEN or scan.outcomes[outcome]]
        shards = ", ".join(f"{scan.shards[outcome]} {outcome.value}" for outcome in outcomes)
        sources = ", ".join(f"{scan.outcomes[outcome]} {outcome.value}" for outcome in outcomes)
        console.print(f"  shards: {scan.shards.total()} done ({shards}), {len(scan.left)} left; sources: {sources}")
        speed = f", {scan.frames_per_second:.1f} frames a second of a worker" if scan.frames_per_second else ""
        console.print(
            f"  {scan.frames} frames, {scan.instances} instances{speed}; seconds reading "
            f"{scan.seconds.reading:.1f}, inferring {scan.seconds.inferring:.1f}, "
            f"writing {scan.seconds.writing:.1f}"
        )
        if scan.fetched_bytes:
            console.print(f"  {scan.fetched_bytes / 1e6:,.1f} MB of videos fetched from the store")
        _list(
            console,
            [
                f"[yellow]{t.outcome.value}[/] {from_outside(t.uri)}: {from_outside(t.error or '')}"
                for t in scan.troubles
            ],
        )
        if scan.reference:
            console.print(f"  calibrated on reference {scan.reference}")
        if scan.misfit:
            console.print(f"  [yellow]{from_outside(scan.misfit)}[/]")
        _list(console, [f"[dim]note[/] {from_outside(note)}" for note in scan.notes])
        _list(console, [f"[red]left[/] {from_outside(_left(shard))}" for shard in scan.left])
        _list(console, [f"[red]damaged[/] {from_outside(line)}" for line in scan.damaged])
        if scan.damaged:
            console.print(f"  clipomaly check {tables} --repair, then the same scan again", markup=False)
        for trace in sorted({shard.trace for shard in scan.left if shard.trace}) if verbose else ():
            console.print(trace.rstrip(), markup=False)


def print_outdated(found: Sequence[Outdated], tables: str) -> None:
    """Which files lack columns of newer schema versions, and what to do."""
    for scan in found:
        stdout().print(
            f"[yellow]old files[/] scan {scan.scan_id}: {scan.files:,} file{plural(scan.files)} of schema version "
            f"{scan.schema_version}; the newest is {SCHEMA_VERSION}. Clipomaly reads them; many other programs need "
            "files with the same columns:"
        )
    if found:
        stdout(markup=False).print(f"  clipomaly compact {tables} --upgrade")


def print_status_json(scans: Sequence[ScanStatus]) -> None:
    """The state of the tables as one JSON array, for programs."""
    print(TypeAdapter(list[ScanStatus]).dump_json(list(scans), indent=1).decode())


def _list(console: Console, lines: Sequence[str]) -> None:
    for line in lines[:MOST_LINES]:
        console.print(f"  {line}")
    if len(lines) > MOST_LINES:
        console.print(f"  … and {len(lines) - MOST_LINES} more: --json has them all")


def _left(shard: LeftShard) -> str:
    more = f" and {shard.sources - 1} more" if shard.sources > 1 else ""
    return f"{shard.first}{more}: {shard.error or 'not scanned yet'}"
