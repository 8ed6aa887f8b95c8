"""What ``clipomaly vocabulary`` prints."""

import json
from collections.abc import Sequence
from dataclasses import asdict

from clipomaly.cli.rendering.console import print_rows, stdout
from tasks.vocabularies.edit import Extension, NameEntry
from tasks.vocabularies.promote import Promotion


def print_names(entries: Sequence[NameEntry], as_json: bool) -> None:
    """A row a name: where it came from, or why it was left out."""
    if as_json:
        for entry in entries:
            print(json.dumps(asdict(entry), ensure_ascii=False))
        return
    print_rows(
        ("name", "from", "category", "other words"),
        [
            (entry.name, "left out", "", entry.left_out)
            if entry.left_out
            else (entry.name, entry.source, entry.category, ", ".join(entry.other_words))
            for entry in entries
        ],
    )


def print_extension(extension: Extension, file: str) -> None:
    """What became of each name."""
    console = stdout(markup=False)
    if extension.added:
        console.print(f"added to {file}: {', '.join(extension.added)}")
    if extension.present:
        console.print(f"there already: {', '.join(extension.present)}")
    for entry in extension.refused:
        console.print(f"left out: {entry.name}: {entry.left_out}")
    if extension.added:
        console.print(f"next: clipomaly scan ARCHIVE --out TABLES --vocabulary {file}")


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
