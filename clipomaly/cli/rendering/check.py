"""What ``clipomaly check`` prints."""

from collections.abc import Sequence

from rich.markup import escape

from clipomaly.cli.rendering.console import plural, stdout
from tasks.tables.check import Finding


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
