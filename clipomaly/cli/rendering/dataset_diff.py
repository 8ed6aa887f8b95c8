"""What ``clipomaly dataset diff`` prints."""

import json
from dataclasses import asdict

from clipomaly.cli.rendering.rows import print_rows
from tasks.datasets.diff import DatasetDiff, What

_MOST = 50


def print_diff(diff: DatasetDiff, as_json: bool = False) -> None:
    """A table of names, then a line a sample, up to fifty of them; as JSON a line a sample and all of them."""
    if as_json:
        for change in diff.changes:
            print(json.dumps(asdict(change)))
        return
    if not diff.changes:
        print(f"both have the same {diff.same} samples")
        return
    rows = [(name or "-", *(str(counts[what]) for what in What)) for name, counts in diff.by_name().items()]
    print_rows(("name", *What), rows, right=[*What])
    total = {what: sum(change.what is what for change in diff.changes) for what in What}
    print(f"{', '.join(f'{count} {what}' for what, count in total.items())}, {diff.same} the same\n")
    shown = diff.changes[:_MOST]
    print_rows(
        ("", "name", "split", "frame", "source", "item", "what differs"),
        [
            (
                frame_change.what,
                frame_change.name or "-",
                frame_change.split,
                str(frame_change.frame_index),
                frame_change.source_uri,
                frame_change.item_id,
                frame_change.detail,
            )
            for frame_change in shown
        ],
        right=["frame"],
    )
    if len(shown) < len(diff.changes):
        print(f"{len(diff.changes) - len(shown)} more: --json prints all")
