"""Comparing tables."""

from pathlib import Path

import pandas as pd

# What depends on where the archive lies, not on what is in it.
PLACE = ["source_uri", "instance_id", "shard"]


def part_files(tables: Path) -> dict[str, bytes]:
    """Every part file by its path below the tables."""
    found = [path for path in tables.rglob("*.parquet") if not path.relative_to(tables).parts[0].startswith("_")]
    return {str(path.relative_to(tables)): path.read_bytes() for path in sorted(found)}


def rows(tables: str, table: str) -> pd.DataFrame:
    """The committed rows of a table without what depends on the archive's place, in a fixed order."""
    from tasks.tables import open_table

    found = open_table(tables, table).to_table().to_pandas()
    found["clip"] = found["source_uri"].str.rsplit("/", n=1).str[-1]
    order = ["clip", "frame_index", *(["bbox_x", "bbox_y", "area"] if table == "instances" else [])]
    found = found.drop(columns=PLACE, errors="ignore").sort_values(order, ignore_index=True)
    if table == "instances":
        # A track has the id of its first sight, which depends on the place; which rows share one does not.
        found["track_id"] = pd.factorize(found["track_id"])[0]
    return found
