"""What ``clipomaly search`` prints."""

import json
import sys
from dataclasses import asdict

from clipomaly.cli.rendering.rows import print_rows
from tasks.tables.text_search import SearchResult


def print_hits(result: SearchResult, as_json: bool = False) -> None:
    """What a search found, as a table or as JSON lines."""
    for note in result.notes:
        print(f"note: {note}", file=sys.stderr)
    if result.indexed:
        rest = result.instances - result.indexed
        others = f", and one by one {rest:,} others" if rest else ""
        print(f"searched {result.indexed:,} instances by the search index{others}", file=sys.stderr)
    if as_json:
        for hit in result.hits:
            print(json.dumps(asdict(hit) | {"timestamp": hit.timestamp.isoformat()}))
        return
    if not result.hits:
        print("nothing: no instance of these tables meets the filters", file=sys.stderr)
        return
    print_rows(
        ("score", "time", "name", "drive", "frame", "source"),
        [
            (
                f"{hit.score:.3f}",
                f"{hit.timestamp:%Y-%m-%d %H:%M:%S}",
                hit.name,
                hit.drive,
                str(hit.frame_index),
                hit.source_uri,
            )
            for hit in result.hits
        ],
        right=("score", "frame"),
    )
