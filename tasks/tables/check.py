"""Check everything in the tables, and remove the commits of damaged shards, so that the next scan scans these again.

First the records: a scan record that is lost or damaged, commit records that are unreadable or have the name of
another, checkpoints, compaction records. Then the files that the commits name: missing, of another size, or with other
bytes.
"""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta

import pyarrow as pa

from clipomaly_core.errors import UserError
from schemas.records import CommitRecord, PartFile, Stages
from tasks.storage import Location, cannot_read, remove_files
from tasks.storage_errors import storage_errors
from tasks.tables.commits import (
    checkpoint_place,
    commit_place,
    committed_shards,
    fold_commits,
    parse_commit,
    read_checkpoint,
    read_commits,
    scan_copy,
    write_commit,
)
from tasks.tables.compact import compact_day
from tasks.tables.indexing import damaged_indexes
from tasks.tables.records import (
    compaction_numbers,
    compaction_place,
    read_compaction,
    read_scan_record,
    restore_scan_record,
    scan_ids,
    scan_place,
)
from tasks.tables.selection import (
    DamagedFile,
    SelectedFile,
    committed_files,
    file_of_shard,
    read_compacted,
    rows_in,
    wrong_sizes,
)

_RECORD_THREADS = 16
_HASH_THREADS = 4
_CHUNK = 4 << 20


@dataclass(frozen=True, slots=True)
class Finding:
    """Something damaged, in one line. ``repair`` says what was done about it, None if nothing. ``shards`` of the scan
    must be scanned again because of it."""

    scan_id: str
    what: str
    repair: str | None = None
    shards: tuple[str, ...] = ()


def check(root: Location, *, repair: bool = False, hashes: bool = True) -> Iterator[Finding]:
    """Check the records and the size of every file. With ``hashes``, also read every file and compare its hash.

    With ``repair``, a record is restored if there is a copy of it, and else removed. The commits and files of damaged
    shards are removed, and the next scan scans these shards again. Rows of other shards stay.

    Raises UserError when the storage is out of reach.
    """
    for scan_id in scan_ids(root):
        yield from _scan_record(root, scan_id, repair)
        found = [*_checkpoint(root, scan_id, repair), *_commit_records(root, scan_id, repair)]
        found += _compaction_records(root, scan_id, repair)
        yield from found
        if repair or not found:
            yield from _files(root, scan_id, repair, hashes)
        if hashes:
            yield from _indexes(root, scan_id, repair)
        if repair and committed_shards(root, scan_id):
            fold_commits(root, scan_id)


def _indexes(root: Location, scan_id: str, repair: bool) -> Iterator[Finding]:
    for place in damaged_indexes(root, scan_id):
        if repair:
            remove_files([place])
        yield Finding(
            scan_id,
            f"the search index {place.url} is damaged; searches may miss objects",
            "removed; clipomaly compact makes it again" if repair else None,
        )


def missing_files(root: Location, scan_id: str, commits: pa.Table) -> list[str]:
    """A line for each file of a generation that is gone or has another size. ``commits`` has the columns of
    ``COMMITS``: sources, of which there may be a million, do not become objects for this.

    Raises UserError when the storage is out of reach or a compaction record cannot be read.
    """
    now, no_time = datetime.now(UTC), Stages(0, 0, 0)
    records = [
        CommitRecord(scan_id, row["shard_id"], now, tuple(PartFile(**file) for file in row["files"]), (), no_time)
        for row in commits.select(["shard_id", "files"]).to_pylist()
    ]
    damaged = wrong_sizes(root, list(committed_files(records, read_compacted(root, [scan_id]))))
    return [f"{rows_in(file.item, records)}: {file.told(root)}" for file in damaged]


def _scan_record(root: Location, scan_id: str, repair: bool) -> Iterator[Finding]:
    try:
        read_scan_record(root, scan_id)
    except UserError as error:
        copy = _copy_of_scan(root, scan_id)
        if repair and copy is not None:
            restore_scan_record(root, scan_id, copy)
            yield Finding(scan_id, str(error), "restored from the checkpoint")
            return
        if repair:
            remove_files([scan_place(root, scan_id)])
        left = "" if copy is not None else " No copy of it is left: a scan with the same model and options writes it."
        yield Finding(scan_id, str(error) + left)


def _copy_of_scan(root: Location, scan_id: str) -> bytes | None:
    try:
        return scan_copy(root, scan_id)
    except UserError:  # a damaged checkpoint is reported separately
        return None


def _checkpoint(root: Location, scan_id: str, repair: bool) -> Iterator[Finding]:
    try:
        read_checkpoint(root, scan_id)
    except UserError as error:
        if repair:
            remove_files([checkpoint_place(root, scan_id)])
        yield Finding(scan_id, str(error), "made again from the commits" if repair else None)


def _commit_records(root: Location, scan_id: str, repair: bool) -> Iterator[Finding]:
    try:
        folded = read_checkpoint(root, scan_id)
    except UserError:
        folded = {}
    shard_ids = committed_shards(root, scan_id)
    with ThreadPoolExecutor(_RECORD_THREADS) as pool:
        for shard_id, trouble in zip(
            shard_ids, pool.map(lambda shard_id: _trouble(root, scan_id, shard_id), shard_ids), strict=True
        ):
            if trouble is None:
                continue
            found = Finding(scan_id, trouble, shards=() if shard_id in folded else (shard_id,))
            if repair:
                remove_files([commit_place(root, scan_id, shard_id)])
                if shard_id in folded:
                    write_commit(root, folded[shard_id])
                    found = replace(found, repair="restored from the checkpoint")
                else:
                    found = replace(found, repair="removed: the next scan scans its shard again")
            yield found


def _trouble(root: Location, scan_id: str, shard_id: str) -> str | None:
    try:
        parse_commit(root, scan_id, shard_id)
    except UserError as error:
        return str(error)
    return None


def _compaction_records(root: Location, scan_id: str, repair: bool) -> Iterator[Finding]:
    for day, numbers in sorted(compaction_numbers(root, scan_id).items()):
        for number in numbers:
            try:
                read_compaction(root, scan_id, day, number)
            except UserError as error:
                if repair:
                    remove_files([compaction_place(root, scan_id, day, number)])
                yield Finding(scan_id, str(error), "removed: the files from before it count again" if repair else None)


def _files(root: Location, scan_id: str, repair: bool, hashes: bool) -> Iterator[Finding]:
    commits = read_commits(root, scan_id)
    files = list(committed_files(commits, read_compacted(root, [scan_id])))
    damaged = _damaged(root, files, hashes)
    if not damaged:
        return
    freed = _freed(root, scan_id, commits, damaged, hashes) if repair else {}
    for file in damaged:
        shard_id = file.item.shard_id
        shards = freed.get(file.item.day, ()) if shard_id is None else (shard_id,)
        done = (
            f"{len(shards)} shard{'' if len(shards) == 1 else 's'} will be scanned again by the next scan"
            if repair
            else None
        )
        yield Finding(scan_id, f"{rows_in(file.item, commits)}: {file.told(root)}", done, shards)


def _damaged(root: Location, files: Sequence[SelectedFile], hashes: bool) -> list[DamagedFile]:
    """The damaged ones of these files."""
    damaged = wrong_sizes(root, files)
    if hashes:
        wrong = {file.item.file.path for file in damaged}
        whole = [item for item in files if item.file.path not in wrong]
        with ThreadPoolExecutor(_HASH_THREADS) as pool:
            same = pool.map(lambda item: _hash(root.child(item.file.path)) == item.file.sha256, whole)
            damaged += [
                DamagedFile(item, item.file.size) for item, is_same in zip(whole, same, strict=True) if not is_same
            ]
    return damaged


def _hash(place: Location) -> str:
    digest = hashlib.sha256()
    try:
        with place.fs.open(place.path, "rb") as file:
            while data := file.read(_CHUNK):
                digest.update(data)
    except storage_errors() as error:
        raise cannot_read(place, error) from error
    return digest.hexdigest()


def _freed(
    root: Location, scan_id: str, commits: Sequence[CommitRecord], damaged: Sequence[DamagedFile], hashes: bool
) -> dict[date, tuple[str, ...]]:
    """Remove the commits of the shards whose rows are in these files. Of merged files, these are all shards of the day
    that no longer have files of their own (they have them during the grace period)."""
    by_day: dict[date, tuple[str, ...]] = {}
    freed = {file.item.shard_id for file in damaged if file.item.shard_id is not None}
    for day in sorted({file.item.day for file in damaged if file.item.shard_id is None}):
        lost = _unmerge(root, scan_id, day, commits, hashes)
        by_day[day], freed = lost, freed | set(lost)
    others = [commit for commit in commits if commit.shard_id not in freed]
    gone = [commit for commit in commits if commit.shard_id in freed]
    remove_files(commit_place(root, scan_id, commit.shard_id) for commit in gone)
    remove_files(root.child(file.path) for commit in gone for file in commit.files)
    # Their rows of other days may be in merged files, too.
    for day in sorted({file.day for commit in gone for file in commit.files}):
        compact_day(root, scan_id, day, [commit for commit in others if _has(commit, day)], timedelta())
    return by_day


def _unmerge(root: Location, scan_id: str, day: date, commits: Sequence[CommitRecord], hashes: bool) -> tuple[str, ...]:
    """Remove the merged files of a day, with their records: the shards that have no whole files of their own."""
    numbers = compaction_numbers(root, scan_id)[day]
    records = [read_compaction(root, scan_id, day, number) for number in numbers]
    merged = set(records[-1].shards)
    parts = [
        file_of_shard(file, commit)
        for commit in commits
        if commit.shard_id in merged
        for file in commit.files
        if file.day == day
    ]
    lost = {file.item.shard_id for file in _damaged(root, parts, hashes)}
    remove_files(compaction_place(root, scan_id, day, number) for number in numbers)
    remove_files(root.child(file.path) for file in _distinct(file for record in records for file in record.files))
    return tuple(sorted(shard_id for shard_id in lost if shard_id is not None))


def _distinct(files: Iterable[PartFile]) -> list[PartFile]:
    return list({file.path: file for file in files}.values())


def _has(commit: CommitRecord, day: date) -> bool:
    return any(file.day == day for file in commit.files)
