"""What ``clipomaly vocabulary promote`` prints: each change with its reason."""

from clipomaly.cli.rendering.console import stdout
from tasks.vocabularies.promote import Promotion


def print_promotion(promotion: Promotion, old: str | None, new: str | None) -> None:
    """What becomes of the decisions, each change with its reason, what was left alone and why, and the file's diff."""
    console = stdout(markup=False)
    acting = sum(outcome.count for outcome in promotion.outcomes if outcome.changes)
    console.print(f"{acting} of {sum(outcome.count for outcome in promotion.outcomes)} decisions change something:")
    for outcome in promotion.outcomes:
        effect = f"→ {outcome.effect}" if outcome.changes else f"changes nothing: {outcome.effect}"
        console.print(f"  {outcome.count} x {outcome.decision} {effect}")
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
