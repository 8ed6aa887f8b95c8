"""What ``clipomaly vocabulary`` prints."""

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict

from rich.console import Console
from rich.table import Table
from rich.text import Text

from tasks.vocabulary import Extension, NameEntry


def print_names(entries: Sequence[NameEntry], as_json: bool) -> None:
    """A row a name: where it came from, or why it was left out."""
    if as_json:
        for entry in entries:
            print(json.dumps(asdict(entry), ensure_ascii=False))
        return
    table = Table("name", "from", "category", "other words", box=None, header_style="dim", pad_edge=False)
    for entry in entries:
        if entry.left_out:
            table.add_row(Text(entry.name), Text("left out", "yellow"), "", Text(entry.left_out))
        else:
            table.add_row(*map(Text, (entry.name, entry.source, entry.category, ", ".join(entry.other_words))))
    # A whole row stays on one line for grep.
    Console(width=None if sys.stdout.isatty() else 400, highlight=False).print(table)


def print_extension(extension: Extension, file: str) -> None:
    """What became of each name."""
    console = Console(soft_wrap=True, highlight=False, markup=False)
    if extension.added:
        console.print(f"added to {file}: {', '.join(extension.added)}")
    if extension.present:
        console.print(f"there already: {', '.join(extension.present)}")
    for entry in extension.refused:
        console.print(f"left out: {entry.name}: {entry.left_out}")
    if extension.added:
        console.print(f"next: clipomaly scan ARCHIVE --out TABLES --vocabulary {file}")
