"""What the log of a published table is to name.

A log can only name files in the folder of its table. For ``instances`` and ``frames`` these are the files of the tables
where they lie. A file that does not lie there (merged, but not in place yet), or in which some rows do not count, lies
a second time below ``_published``. In the folders of ``instances_latest`` and ``frames_latest`` everything is such a
second file: a hard link on a local disk, a copy made by the store, or the rows that count.

Embeddings are not published: Delta Lake has no 16-bit floats.
"""

import hashlib
import json
import posixpath
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from schemas.tables import SCHEMA_VERSION, Table
from tasks.tables.parts import day_folder
from tasks.tables.selection import LeftOut, SelectedFile, Selection

ASIDE = "_published"

_SHARD_SINCE = 3  # the schema version from which files have the column ``shard``


class Published(StrEnum):
    """The published tables, by the name of their folder."""

    INSTANCES = "instances"
    FRAMES = "frames"
    INSTANCES_LATEST = "instances_latest"
    FRAMES_LATEST = "frames_latest"

    @property
    def is_latest(self) -> bool:
        """Whether it has only the rows of ``open_table``, and not those of every generation."""
        return self in (Published.INSTANCES_LATEST, Published.FRAMES_LATEST)

    @property
    def of(self) -> Table:
        """The table whose rows it shows."""
        return Table(self.removesuffix("_latest"))

    @property
    def own_folder(self) -> str:
        """Where the files lie that are made for it alone, relative to its folder."""
        return "" if self.is_latest else f"{ASIDE}/"


@dataclass(frozen=True, slots=True)
class Wanted:
    """A file that a log is to name by ``path``: the selected one where it lies, a second one (``is_own``), or its rows
    without ``left_out`` and with all columns (``is_rewritten``)."""

    path: str
    item: SelectedFile
    left_out: tuple[LeftOut, ...]
    is_own: bool
    is_rewritten: bool


def wanted_files(published: Published, selection: Selection) -> Iterator[Wanted]:
    """What the log of a table is to name. Reads nothing."""
    by_scan: dict[str, list[LeftOut]] = {}
    for rows in selection.left_out:
        by_scan.setdefault(rows.scan_id, []).append(rows)
    for item in selection.files:
        known = (rows.within(item.scan_id, item.day, item.shards) for rows in by_scan.get(item.scan_id, ()))
        left_out = tuple(rows for rows in known if rows)
        # ``open_table`` knows the shard of such a file, but its rows do not.
        lacks_shard = item.shard_id is not None and selection.version_of(item) < _SHARD_SINCE
        is_rewritten = bool(left_out) or (published.is_latest and lacks_shard)
        folder = day_folder(selection.table, item.scan_id, item.day)
        inner = folder.removeprefix(f"{selection.table}/")
        name = posixpath.basename(item.file.path)
        if published.is_latest or is_rewritten or posixpath.dirname(item.file.path) != folder:
            stem = name.removesuffix(".parquet")
            path = f"{published.own_folder}{inner}/{stem}-{_digest(item, left_out, is_rewritten)}.parquet"
            yield Wanted(path, item, left_out, True, is_rewritten)
        else:
            yield Wanted(f"{inner}/{name}", item, (), False, False)


def _digest(item: SelectedFile, left_out: tuple[LeftOut, ...], is_rewritten: bool) -> str:
    """The same for the same bytes: a shard that is scanned again after a repair may have others at the same path."""
    rows = [(sorted(rows.shards), sorted(rows.sources) if rows.sources is not None else None) for rows in left_out]
    made_of = [item.file.sha256, rows, SCHEMA_VERSION if is_rewritten else None]
    return hashlib.sha256(json.dumps(made_of).encode()).hexdigest()[:12]
