"""What ``clipomaly vocabulary promote`` prints: each change with its reason."""

from clipomaly.cli.rendering.console import stdout
from tasks.vocabularies.promote import Promotion


def print_promotion(promotion: Promotion, old: str | None, new: str | None) -> None:
    """A line a change with its reason, the diff of the file, and what was left alone and why."""
    console = stdout(markup=False)
    for change in promotion.changes:
        what = f"{change.kind} {change.subject}" + (f" for {change.known}" if change.known else "")
        console.print(f"+ {what}: {change.reason}", style="green")
    for note in promotion.notes:
        console.print(f"  left alone: {note}")
    if promotion.changes:
        console.print()
        console.print(promotion.diff(old or "built-in", new or "next version"))
    else:
        console.print("nothing was decided often enough to change the vocabulary")
    if promotion.changes and new is None:
        console.print("\nnothing is written: give --out a new file")
