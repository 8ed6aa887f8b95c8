"""The tables at one place, located once, for all other steps of the work."""

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import pyarrow as pa
import pyarrow.dataset as ds

from schemas.records import CommitRecord, PartFile, ScanRecord
from schemas.tables import Table
from tasks.storage import Location, is_local, locate
from tasks.tables import check, commits, compact, dataset, forget, indexing, parts, publish, records
from tasks.tables.check import Finding
from tasks.tables.compact import DayCompacted, Outdated
from tasks.tables.forget import Forgotten
from tasks.tables.indexing import DayIndexed
from tasks.tables.publish import KEEP, TablePublished


@dataclass(frozen=True, slots=True)
class Tables:
    """What one or more scans wrote below ``root``. It holds no state: every call reads what lies there now.

    All methods raise UserError when the storage cannot be read or written.
    """

    root: Location

    @classmethod
    def at(cls, place: "str | os.PathLike[str] | Tables") -> "Tables":
        """Locate tables: a folder or any fsspec URL. Raises UserError for a URL that cannot be served."""
        return place if isinstance(place, Tables) else cls(locate(os.fspath(place)))

    @property
    def name(self) -> str:
        """Their place, for people: a path on a local disk, else the URL."""
        return self.root.path if is_local(self.root.fs) else self.root.url

    def scans(self) -> list[ScanRecord]:
        """Every generation, oldest first; empty if nothing was ever scanned."""
        return records.read_scan_records(self.root)

    def begin(self, record: ScanRecord) -> None:
        """Record a generation, unless it is recorded already."""
        records.write_scan_record(self.root, record)

    def next_run(self, scan_id: str) -> int:
        """Take the number of a new run of a generation: later runs have greater ones."""
        return records.next_run(self.root, scan_id)

    def commits(self, scan_id: str) -> list[CommitRecord]:
        """The commit records of a generation, by ``shard_id``."""
        return commits.read_commits(self.root, scan_id)

    def commit_table(self, scan_id: str) -> pa.Table:
        """The commit records as the columns of ``COMMITS``, for a million sources."""
        return commits.read_commit_table(self.root, scan_id)

    def done(self, scan_id: str) -> pa.Table:
        """The committed sources of a generation, as the columns of ``DONE``."""
        return commits.read_done(self.root, scan_id)

    def is_committed(self, scan_id: str, shard_id: str) -> bool:
        """Whether a shard of a generation is done."""
        return commits.is_committed(self.root, scan_id, shard_id)

    def commit(self, scan_id: str, shard_id: str) -> CommitRecord:
        """The commit record of a shard that is done."""
        return commits.read_commit(self.root, scan_id, shard_id)

    def write(self, scan_id: str, shard_id: str, rows: Iterable[tuple[Table, date, pa.Table]]) -> tuple[PartFile, ...]:
        """Write the part files of a shard, one a table and capture day. Its rows count once it is committed."""
        return parts.write_parts(self.root, scan_id, shard_id, rows)

    def write_commit(self, record: CommitRecord) -> bool:
        """Commit a shard, after its part files. False if it was committed already; nothing changes then."""
        return commits.write_commit(self.root, record)

    def fold(self, scan_id: str) -> int:
        """Fold the commit records of a generation into its checkpoint; returns how many it holds."""
        return commits.fold_commits(self.root, scan_id)

    def open(self, table: str, *, scan_id: str | None = None) -> ds.Dataset:
        """The committed rows of a table, as ``open_table`` gives them."""
        return dataset.open_rows(self.root, table, scan_id)

    def compact(self, grace: timedelta, *, upgrade: bool = False) -> Iterator[DayCompacted]:
        """Compact every day of every generation as far as possible now; days with nothing to do are skipped. ``grace``
        is how long replaced files stay, for readers that opened the tables before. With ``upgrade``, files of older
        schema versions are written again with the columns of the newest.
        """
        return compact.compact(self.root, grace, upgrade=upgrade)

    def index(self) -> Iterator[DayIndexed]:
        """Make the search index of every compacted day that lacks one, and remove those of files that were
        replaced."""
        return indexing.index_days(self.root)

    def index_again(self) -> Iterator[DayIndexed]:
        """``index`` where there is an index already; else nothing."""
        return indexing.index_again(self.root)

    def outdated(self) -> list[Outdated]:
        """Which generations have files of older schema versions, that ``compact`` can upgrade."""
        return list(compact.outdated(self.root))

    def publish(self, grace: timedelta = KEEP) -> Iterator[TablePublished]:
        """Publish the tables for engines that know Delta Lake: one version of a table's log, none if nothing changed.
        ``grace`` is how long replaced files stay that were made for the logs, for readers and for time travel."""
        return publish.publish(self.root, grace)

    def publish_again(self, grace: timedelta = KEEP) -> Iterator[TablePublished]:
        """``publish`` where there is a log already; else nothing."""
        return publish.publish_again(self.root, grace)

    def behind(self) -> list[str]:
        """A line for each published table that does not show what it is to show; none where nothing is published."""
        return list(publish.behind(self.root))

    def forget(self, sources: Sequence[str]) -> Forgotten:
        """Forget sources, by URI or folder: from now on no reader sees their rows, and no scan reads them again."""
        return forget.forget_sources(self.root, sources)

    def remove_rows(self, forgotten: Forgotten, grace: timedelta) -> Iterator[DayCompacted]:
        """Write the files that hold rows of forgotten sources again without them; old files go after ``grace``."""
        return forget.remove_rows(self.root, forgotten, grace)

    def missing_files(self, scan_id: str, commits: pa.Table) -> list[str]:
        """A line for each file of a generation that is gone or has another size; ``commits`` is its commit table."""
        return check.missing_files(self.root, scan_id, commits)

    def check(self, *, repair: bool = False, hashes: bool = True) -> Iterator[Finding]:
        """Everything that is damaged. With ``repair``, it is removed, so that the next scan scans it again."""
        return check.check(self.root, repair=repair, hashes=hashes)


def open_table(place: str | os.PathLike[str], table: str, *, scan_id: str | None = None) -> ds.Dataset:
    """The committed rows of ``instances``, ``frames`` or ``embeddings`` as a pyarrow dataset.

    To the columns of the files come ``scan`` and ``shard`` (string) and ``dt`` (date). Of a source that
    several generations scanned, or that changed and was scanned again, only the rows of the newest commit
    are in it (one that failed replaces nothing); with ``scan_id`` only rows of that generation. Embeddings
    come as float32 (they are stored as float16, which DuckDB does not read from Arrow).

    Raises UserError when there are no tables, no such table or generation, or when embeddings of different
    length would have to be one column.

    Example:
        >>> open_table("tables", "instances").to_table(columns=["name", "timestamp"]).to_pandas()
    """
    return Tables.at(place).open(table, scan_id=scan_id)
