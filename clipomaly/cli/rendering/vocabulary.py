"""What ``clipomaly vocabulary`` prints."""

import json
from collections.abc import Sequence
from dataclasses import asdict

from clipomaly.cli.rendering.console import stdout
from clipomaly.cli.rendering.rows import print_rows
from tasks.vocabularies.edit import Extension, NameEntry


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
