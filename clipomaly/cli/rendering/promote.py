"""What ``clipomaly vocabulary promote`` prints: each change with its reason."""

from clipomaly.cli.rendering.console import stdout
from tasks.vocabularies.promote import Promotion


def print_promotion(promotion: Promotion, old: str | None, new: str | None) -> None:
    """What becomes of the decisions, each change with its reason, what was left alone and why, and the file's diff."""
    console = stdout(markup=False)
    acting = sum(one.count for one in promotion.outcomes if one.changes)
    console.print(f"{acting} of {sum(one.count for one in promotion.outcomes)} decisions change something:")
    for one in promotion.outcomes:
        effect = f"→ {one.effect}" if one.changes else f"changes nothing: {one.effect}"
        console.print(f"  {one.count} x {one.decision} {effect}")
    console.print()
    for change in promotion.changes:
        what = f"{change.kind} {change.subject}" + (f" for {change.known}" if change.known else "")
        console.print(f"+ {what}: {change.reason}", style="green")
    for note in promotion.notes:
        console.print(f"  not changed: {note}")
    if promotion.changes:
        console.print()
        console.print(promotion.diff(old or "built-in", new or "next version"))
    else:
        console.print("nothing was decided often enough to change the vocabulary")
    if promotion.changes and new is None:
        console.print("\nnothing is written: give --out a new file")
