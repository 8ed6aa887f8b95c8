"""Grade the demo: what its tables hold against what was planted."""

from collections.abc import Iterator
from pathlib import Path

from clipomaly_core.types import UNKNOWN_NAME
from demo_fleet.grading import Found, Grade, grade
from tasks.masks import decode_mask
from tasks.tables import open_table

_COLUMNS = (
    "source_uri", "frame_index", "name", "name_score", "frame_height", "frame_width", "mask_rle",
    "bbox_x", "bbox_y", "bbox_width", "bbox_height",
)  # fmt: skip


def grade_demo(out: Path) -> Grade:
    """Grade the scan in ``out/tables`` of the archive in ``out/archive``.

    Raises OSError when the truth beside the archive cannot be read.
    """
    archive = out / "archive"
    return grade(archive.with_name(f"{archive.name}.truth"), _found(out / "tables", archive))


def _found(tables: Path, archive: Path) -> Iterator[Found]:
    root = f"{archive.resolve().as_uri()}/"
    for row in open_table(tables, "instances").to_table(columns=list(_COLUMNS)).to_pylist():
        yield Found(
            row["source_uri"].removeprefix(root),
            row["frame_index"],
            None if row["name"] == UNKNOWN_NAME else row["name"],
            row["name_score"],
            (row["bbox_x"], row["bbox_y"], row["bbox_width"], row["bbox_height"]),
            decode_mask(row["mask_rle"], row["frame_height"], row["frame_width"]),
        )
