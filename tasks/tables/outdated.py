"""Files of older schema versions: where an upgrade would help."""

from collections.abc import Iterator
from dataclasses import dataclass

from schemas.tables import SCHEMA_VERSION
from tasks.storage import Location
from tasks.tables.commits import read_commits
from tasks.tables.files import committed_files, read_compacted
from tasks.tables.scans import scans_there


@dataclass(frozen=True, slots=True)
class Outdated:
    """How many files of a generation have the columns of ``schema_version``, which is not the newest."""

    scan_id: str
    schema_version: int
    files: int


def outdated(root: Location) -> Iterator[Outdated]:
    """Each generation with such files, the oldest first. Raises UserError when the records cannot be read."""
    for scan in scans_there(root):
        if scan.schema_version < SCHEMA_VERSION:
            files = committed_files(read_commits(root, scan.scan_id), read_compacted(root, [scan.scan_id]))
            count = sum(item.upgraded < SCHEMA_VERSION for item in files)
            if count:
                yield Outdated(scan.scan_id, scan.schema_version, count)
