"""Compaction: merge the many small files of a capture day into few large ones, while people read."""

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta

import pyarrow as pa
import pyarrow.compute as pc

from clipomaly_core.errors import UserError
from schemas.records import CommitRecord, CompactionRecord, Outcome, PartFile
from schemas.tables import SCHEMA_VERSION, Table
from tasks.storage import Location, copy_file, file_names, leftovers, remove_files, replace_file
from tasks.tables.commits import fold_commits, is_committed, read_commit, read_commits
from tasks.tables.merge import LARGEST, Keep, merge, read_whole
from tasks.tables.parts import day_folder, upgraded
from tasks.tables.publish import files_in_use
from tasks.tables.records import (
    compaction_numbers,
    count_forgotten,
    publish_compaction,
    read_compaction,
    read_compactions,
    remove_older,
    scans_there,
)
from tasks.tables.selection import committed_files, read_compacted

_SMALL = LARGEST // 2  # merged files below this are merged again with what is new
_ASIDE = "_compacted/"  # begins the path of merged files that no glob over a table sees
_MERGED = re.compile(r"\.?merged-(\d{6})-[0-9a-f]{12}\.parquet(\.[0-9a-f]+)?")


@dataclass(frozen=True, slots=True)
class DayCompacted:
    """The result for a day with something to do: how many files were merged, into how many files and bytes, and how
    many old ones were removed. ``waits_until`` is when the next can be removed. ``trouble`` says why the day was not
    compacted."""

    scan_id: str
    day: date
    merged: int = 0
    into: int = 0
    size: int = 0
    removed: int = 0
    waits_until: datetime | None = None
    trouble: str | None = None


def compact(root: Location, grace: timedelta, *, upgrade: bool = False) -> Iterator[DayCompacted]:
    """Compact every day of every generation as far as possible now; days with nothing to do are skipped.

    ``grace`` is how long replaced files stay, for readers that opened the tables before; where the tables are
    published, also for readers of the logs that name the files. With ``upgrade``, files of older schema versions are
    written again with the columns of the newest. Also folds the commit records. Raises UserError when
    there are no tables or their records cannot be read; what is wrong with the files of a day is its ``trouble``.
    """
    in_use = files_in_use(root, datetime.now(UTC) - grace) if grace else frozenset[str]()
    for scan in scans_there(root):
        fold_commits(root, scan.scan_id)
        days: dict[date, list[CommitRecord]] = defaultdict(list)
        for commit in read_commits(root, scan.scan_id):
            for day in {file.day for file in commit.files}:
                days[day].append(commit)
        numbers = compaction_numbers(root, scan.scan_id)
        records = read_compactions(root, scan.scan_id)
        for day in sorted({*days, *records}):
            record = records.get(day)
            older = upgrade and scan.schema_version < SCHEMA_VERSION
            if _to_merge(days[day], record, older) or (record and _unsettled(record, numbers[day])):
                yield compact_day(root, scan.scan_id, day, days[day], grace, in_use, upgrade=older)


def compact_day(
    root: Location,
    scan_id: str,
    day: date,
    commits: Sequence[CommitRecord],
    grace: timedelta,
    in_use: frozenset[str] = frozenset(),
    *,
    upgrade: bool = False,
) -> DayCompacted:
    """Merge and settle one day of a generation as far as possible now. ``commits`` are those with files of the day. It
    is not settled while one of the files to be removed is ``in_use`` (paths relative to ``root``). With ``upgrade``,
    which is for generations of older schema versions, all files get the columns of the newest."""
    done = DayCompacted(scan_id, day)
    try:
        while True:
            numbers = compaction_numbers(root, scan_id).get(day, [])
            record = read_compaction(root, scan_id, day, numbers[-1]) if numbers else None
            known = _with_committed_since(root, record, commits)
            due = _due(root, record, grace, in_use) if record and _unsettled(record, numbers) else None
            if record and due and due <= datetime.now(UTC):
                done = replace(done, removed=done.removed + _settle(root, record))
            elif work := _to_merge(known, record, upgrade):
                before, files = _merge(root, scan_id, day, work, known, record)
                merged = CompactionRecord(
                    scan_id=scan_id,
                    day=day,
                    number=record.number + 1 if record else 1,
                    compacted=datetime.now(UTC),
                    shards=work.shards,
                    files=files,
                    forgotten={commit.shard_id: count for commit in known if (count := count_forgotten(commit))},
                    schema_version=work.schema_version,
                )
                if publish_compaction(root, merged):
                    size = sum(file.size for file in files)
                    done = replace(done, merged=done.merged + before, into=len(files), size=size)
            else:
                return replace(done, waits_until=due)
    except UserError as error:
        return replace(done, trouble=str(error))


def _due(root: Location, record: CompactionRecord, grace: timedelta, in_use: frozenset[str]) -> datetime:
    """When the day can be settled."""
    due, now = record.compacted + grace, datetime.now(UTC)
    return now + grace if due <= now and not in_use.isdisjoint(_replaced(root, record)) else due


def _with_committed_since(
    root: Location, record: CompactionRecord | None, commits: Sequence[CommitRecord]
) -> list[CommitRecord]:
    """These commits, and those that another compaction merged since they were read."""
    known = {commit.shard_id for commit in commits}
    others = [shard_id for shard_id in (record.shards if record else ()) if shard_id not in known]
    since = [
        read_commit(root, record.scan_id, shard_id)
        for shard_id in others
        if record and is_committed(root, record.scan_id, shard_id)
    ]
    return [*commits, *since]


@dataclass(frozen=True, slots=True)
class _Work:
    """What to merge: the ``new`` shards and, with ``rewrites``, also all merged files, because they hold rows that are
    no longer committed or because they are of an older schema version. ``shards`` are those whose rows are merged
    afterwards. ``schema_version`` is what their files are upgraded to, 0 if the columns stay as they are."""

    new: tuple[CommitRecord, ...]
    rewrites: bool
    shards: tuple[str, ...]
    schema_version: int


def _to_merge(commits: Sequence[CommitRecord], record: CompactionRecord | None, upgrade: bool) -> _Work | None:
    """What to merge of a day; None if nothing, for example if there is only one shard."""
    there = {commit.shard_id: count_forgotten(commit) for commit in commits}
    merged = frozenset(record.shards) if record else frozenset[str]()
    forgotten = record.forgotten if record else {}
    rewrites = any(there.get(shard_id) != forgotten.get(shard_id, 0) for shard_id in merged)
    new = tuple(commit for commit in commits if commit.shard_id not in merged)
    version = record.schema_version if record else 0
    outdated = upgrade and version < SCHEMA_VERSION
    alone = record is None and len(new) == 1 and not there[new[0].shard_id]
    if not outdated and (alone or not (new or rewrites)):
        return None
    if upgrade or version:  # once upgraded, a day stays of one schema version
        return _Work(new, rewrites or version < SCHEMA_VERSION, tuple(sorted(there)), SCHEMA_VERSION)
    return _Work(new, rewrites, tuple(sorted(there)), 0)


def _unsettled(record: CompactionRecord, numbers: Sequence[int]) -> bool:
    return len(numbers) > 1 or any(file.path.startswith(_ASIDE) for file in record.files)


def _merge(
    root: Location,
    scan_id: str,
    day: date,
    work: _Work,
    commits: Sequence[CommitRecord],
    record: CompactionRecord | None,
) -> tuple[int, tuple[PartFile, ...]]:
    """Write merged files to ``_compacted``; returns from how many files, and all files for the next record."""
    number = record.number + 1 if record else 1
    first_source = {commit.shard_id: min(source.uri for source in commit.sources) for commit in commits}
    keep = _WithoutForgotten(commits)
    files: list[PartFile] = []
    before = 0
    for table in Table:
        parts = {
            commit.shard_id: file
            for commit in work.new
            for file in commit.files
            if file.table == table and file.day == day
        }
        earlier = [file for file in record.files if file.table == table] if record else []
        again = [file for file in earlier if work.rewrites or file.size < _SMALL]
        files += [file for file in earlier if file not in again]
        before += len(parts) + len(again)
        stay = _upgrading(table, keep) if work.schema_version else keep
        for merged in merge(root, parts, again, first_source, stay):
            name = f"merged-{number:06d}-{merged.sha256[:12]}.parquet"
            path = f"{_ASIDE}{day_folder(table, scan_id, day)}/{name}"
            replace_file(root.child(path), merged.data)
            files.append(PartFile(table.value, path, merged.rows, len(merged.data), merged.sha256))
    return before, tuple(files)


def _upgrading(table: Table, keep: Keep) -> Keep:
    return lambda shard_id, rows: upgraded(table, keep(shard_id, rows))


class _WithoutForgotten:
    """Leaves out the rows of forgotten sources. Instances must come before embeddings, which do not name a source."""

    def __init__(self, commits: Sequence[CommitRecord]) -> None:
        self._sources = {
            commit.shard_id: pa.array(gone, pa.string())
            for commit in commits
            if (gone := [source.uri for source in commit.sources if source.outcome is Outcome.FORGOTTEN])
        }
        self._instance_ids: list[str] = []

    def __call__(self, shard_id: str, rows: pa.Table) -> pa.Table:
        sources = self._sources.get(shard_id)
        if sources is None:
            return rows
        if "source_uri" not in rows.column_names:
            gone = pa.array(self._instance_ids, pa.string())
            return rows.filter(pc.invert(pc.is_in(rows["instance_id"], gone)))
        met = pc.is_in(rows["source_uri"], sources)
        if "instance_id" in rows.column_names:
            self._instance_ids += rows["instance_id"].filter(met).to_pylist()
        return rows.filter(pc.invert(met))


def _settle(root: Location, record: CompactionRecord) -> int:
    """Remove the files that the record replaced, then put its files in place; returns how many were removed.

    In this order, a glob over a table misses rows of the day for a moment, but never sees a row twice.
    """
    aside = [file for file in record.files if file.path.startswith(_ASIDE)]
    for file in aside:
        read_whole(root, file)  # in a moment they will be all there is
    gone = list(_replaced(root, record))
    remove_files(map(root.child, gone))
    remove_older(root, record)
    if aside:
        for file in aside:
            copy_file(root.child(file.path), root.child(_in_place(file).path))
        files = tuple(_in_place(file) for file in record.files)
        publish_compaction(root, replace(record, number=record.number + 1, compacted=datetime.now(UTC), files=files))
    return len(gone)


def _replaced(root: Location, record: CompactionRecord) -> Iterator[str]:
    """Paths of files that no reader needs that opened the tables after the record, and files of merges that failed."""
    parts = {f"{shard_id}.parquet" for shard_id in record.shards}
    kept = {path for file in record.files for path in (file.path, _in_place(file).path)}
    for table in Table:
        folder = day_folder(table, record.scan_id, record.day)
        for path in (folder, f"{_ASIDE}{folder}"):
            place = root.child(path)
            for name in (*file_names(place, ".parquet"), *leftovers(place)):
                merged = _MERGED.fullmatch(name)
                # One with a greater number is being made, to follow this record.
                older = merged is not None and int(merged[1]) <= record.number and f"{path}/{name}" not in kept
                if older or (path == folder and name in parts):
                    yield f"{path}/{name}"


def _in_place(file: PartFile) -> PartFile:
    return replace(file, path=file.path.removeprefix(_ASIDE))


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
