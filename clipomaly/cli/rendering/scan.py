"""What ``clipomaly scan`` prints at the end."""

from rich.table import Table

from clipomaly.cli.rendering.console import MOST_LINES, from_outside, plural, stdout
from flows.night import Summary
from flows.parameters import ScanParameters
from tasks.footage.image_files import HEIC_SUFFIXES, reads_heic

_SAID = ("publish", "mining", "report", "message", "metrics")  # steps whose outcome people asked for


def print_summary(summary: Summary, parameters: ScanParameters) -> None:
    """The last lines of a scan: what was found, then what failed."""
    console = stdout()
    scanned = sum(summary.outcomes.values())
    console.print(
        f"[bold]{summary.frames}[/] frames of {scanned} source{plural(scanned)} scanned, "
        f"[bold]{summary.instances}[/] instance{plural(summary.instances)} found; scan {summary.scan_id}"
    )
    if summary.already_done:
        console.print(f"{summary.already_done} source{plural(summary.already_done)} scanned before, not scanned again")
    if summary.names:
        table = Table("name", "instances", box=None, header_style="dim", pad_edge=False)
        for name, count in summary.names.most_common(MOST_LINES):
            table.add_row(name, str(count))
        console.print(table)
    if summary.ignored:
        console.print(
            f"{len(summary.ignored)} file{plural(len(summary.ignored))} of an unknown kind ignored: "
            f"{_some(summary.ignored)}",
            markup=False,
        )
        if not reads_heic() and any(name.lower().endswith(HEIC_SUFFIXES) for name in summary.ignored):
            console.print("photos as HEIC are read with: pip install 'clipomaly[heic]'", markup=False)
    if summary.left_over:
        console.print(f"{summary.left_over} hidden, deleted or preview file{plural(summary.left_over)} ignored")
    for trouble in summary.troubles[:MOST_LINES]:
        console.print(
            f"[yellow]{trouble.outcome.value}[/] {from_outside(trouble.uri)}: {from_outside(trouble.error or '')}"
        )
    if len(summary.troubles) > MOST_LINES:
        console.print(f"… and {len(summary.troubles) - MOST_LINES} more: clipomaly status {parameters.tables}")
    for loss in list(summary.lost.values())[:MOST_LINES]:
        console.print(f"[red]lost[/] {from_outside(loss.what)}: {from_outside(loss.reason)}")
    if len(summary.lost) > MOST_LINES:
        console.print(f"… and {len(summary.lost) - MOST_LINES} more: clipomaly status {parameters.tables}")
    if summary.left:
        console.print(
            f"{summary.finished} of {summary.planned} shards done, {summary.left} left: run the same command again"
        )
    for step in summary.steps:
        if not step.ok:
            console.print(f"[red]{step.name} failed:[/] {from_outside(step.detail)}")
        elif step.name in _SAID:
            console.print(f"{step.name}: {from_outside(step.detail)}")
    for note in summary.notes:
        console.print(f"[yellow]note[/] {from_outside(note)}")
    if summary.instances:
        console.print(
            f"next: clipomaly report {parameters.tables}\n      clipomaly query {parameters.tables} "
            '"SELECT name, count(*) AS n FROM instances GROUP BY name ORDER BY n DESC"',
            markup=False,
        )


def print_profile(summary: Summary) -> None:
    """How long each stage of the shards of this scan was at work, and which of those that overlap sets the pace."""
    if not summary.frames:
        print("profile: no frame was scanned")
        return
    spent = summary.seconds
    stages = {"reading and decoding": spent.reading, "inferring": spent.inferring, "masks and rows": spent.writing}
    inside = {
        "inferring": {"dense features and scores": spent.scoring, "regions and names": spent.naming},
        "masks and rows": {
            "masks at the frame's size": spent.segmenting,
            "rows and writing": spent.writing - spent.segmenting,
        },
    }
    table = Table("stage", box=None, header_style="dim", pad_edge=False)
    table.add_column("seconds", justify="right")
    table.add_column("ms a frame", justify="right")
    for name, seconds in stages.items():
        table.add_row(name, f"{seconds:.2f}", f"{1000 * seconds / summary.frames:.1f}")
        for part, of_it in inside.get(name, {}).items():
            table.add_row(f"  {part}", f"{of_it:.2f}", f"{1000 * of_it / summary.frames:.1f}")
    stdout().print(table)
    (slowest, longest), (second, next_longest), _ = sorted(stages.items(), key=lambda stage: -stage[1])
    print(
        f"The three stages overlap. {slowest.capitalize()} is the slowest, {summary.frames / longest:.2f} frames a "
        f"second of a worker: it takes {longest / max(next_longest, 1e-9):.1f} times as long as {second}."
    )


def _some(items: tuple[str, ...]) -> str:
    shown = ", ".join(item.rstrip("/").rsplit("/", 1)[-1] for item in items[:5])
    return shown if len(items) <= 5 else f"{shown}, …"
