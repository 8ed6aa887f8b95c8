"""The files that hold committed rows, and whether they are undamaged."""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date, datetime

from clipomaly_core.errors import UserError
from schemas.records import CommitRecord, CompactionRecord, PartFile
from tasks.storage import Location, cannot_read, is_local, is_object_store
from tasks.storage_errors import storage_errors
from tasks.tables.compaction_record import read_compactions
from tasks.tables.parts import file_day

_THREADS = 16


@dataclass(frozen=True, slots=True)
class SelectedFile:
    """A file with rows of one generation's capture day: of one shard, or merged of many (``shard_id`` is None).

    ``shards`` are those whose rows may be in it. ``recorded`` is when it was committed or compacted. ``upgraded`` is
    the schema version that it was upgraded to, else 0.
    """

    file: PartFile
    scan_id: str
    day: date
    shard_id: str | None
    shards: frozenset[str]
    recorded: datetime
    upgraded: int = 0


@dataclass(frozen=True, slots=True)
class Compacted:
    """The merged files of a day, and of which shards they hold the rows."""

    record: CompactionRecord
    shards: frozenset[str]


Compactions = Mapping[tuple[str, date], Compacted]  # by generation and day


@dataclass(frozen=True, slots=True)
class DamagedFile:
    """A damaged file. ``found`` is its size in bytes, None if it is gone."""

    item: SelectedFile
    found: int | None

    def told(self, root: Location) -> str:
        """What is wrong with it, for the end of a sentence."""
        place = root.child(self.item.file.path).url
        if self.found is None:
            return f"{place} is gone"
        if self.found != self.item.file.size:
            return f"{place} has {self.found:,} of {self.item.file.size:,} bytes"
        return f"{place} does not have the bytes that were written"


def read_compacted(root: Location, scan_ids: Iterable[str]) -> Compactions:
    """The merged files of these generations. Raises UserError when a record cannot be read."""
    return {
        (scan_id, day): Compacted(record, frozenset(record.shards))
        for scan_id in scan_ids
        for day, record in read_compactions(root, scan_id).items()
    }


def committed_files(commits: Iterable[CommitRecord], compactions: Compactions) -> Iterator[SelectedFile]:
    """Files that hold the rows of these commits: merged ones, which may hold rows of others as well, and those of
    shards that are not merged."""
    used: set[tuple[str, date]] = set()
    for commit in commits:
        for file in commit.files:
            key = commit.scan_id, file_day(file)
            if key in compactions and commit.shard_id in compactions[key].shards:
                used.add(key)
            else:
                yield file_of_shard(file, commit)
    for key in sorted(used):
        record = compactions[key].record
        for file in record.files:
            yield SelectedFile(
                file, *key, None, compactions[key].shards, record.compacted, upgraded=record.schema_version
            )


def file_of_shard(file: PartFile, commit: CommitRecord) -> SelectedFile:
    """A file of this commit, as it was written."""
    shard = commit.shard_id
    return SelectedFile(file, commit.scan_id, file_day(file), shard, frozenset([shard]), commit.committed)


def wrong_sizes(root: Location, files: Sequence[SelectedFile]) -> list[DamagedFile]:
    """The files that are gone or have another size. One listing covers many files.

    Raises UserError when the storage cannot be asked.
    """
    sizes = _sizes(root, [item.file.path for item in files])
    found = ((item, sizes.get(item.file.path)) for item in files)
    return [DamagedFile(item, size) for item, size in found if size != item.file.size]


def _sizes(root: Location, paths: Sequence[str]) -> dict[str, int]:
    # An object store lists a whole generation at once; other storage needs a call for each folder.
    depth = -2 if is_object_store(root.fs) else -1
    folders = sorted({"/".join(path.split("/")[:depth]) for path in paths})
    with ThreadPoolExecutor(_THREADS) as pool:
        listed = pool.map(lambda folder: _list(root, folder), folders)
        return {name: size for part in listed for name, size in part}


def _list(root: Location, folder: str) -> list[tuple[str, int]]:
    place = root.child(folder)
    try:
        if is_local(root.fs):
            with os.scandir(place.path) as entries:
                return [(f"{folder}/{entry.name}", entry.stat().st_size) for entry in entries]
        if is_object_store(root.fs):
            infos = root.fs.find(place.path, detail=True).values()
        else:
            infos = root.fs.ls(place.path, detail=True)
    except (FileNotFoundError, NotADirectoryError):
        return []
    except storage_errors() as error:
        raise cannot_read(place, error) from error
    start = root.fs._strip_protocol(root.path).rstrip("/") + "/"
    return [(str(info["name"]).removeprefix(start), int(info["size"] or 0)) for info in infos]


def damage_error(root: Location, damaged: Sequence[DamagedFile], commits: Sequence[CommitRecord]) -> UserError:
    """One line that names the first of the damaged files and whose rows it holds."""
    first = damaged[0]
    others = f"; {len(damaged) - 1} more files are damaged" if len(damaged) > 1 else ""
    return UserError(
        f"Damaged: scan {first.item.scan_id}, {rows_in(first.item, commits)}: {first.told(root)}{others}. Bring it "
        "back from a copy, or run clipomaly check --repair on these tables and then the same scan again."
    )


def rows_in(item: SelectedFile, commits: Sequence[CommitRecord]) -> str:
    """Whose rows a file holds, in words: its shard and the sources of that, or its day."""
    commit = next(
        (commit for commit in commits if (commit.scan_id, commit.shard_id) == (item.scan_id, item.shard_id)), None
    )
    if item.shard_id is None or commit is None:
        return f"rows of {item.day}"
    if not commit.sources:
        return f"shard {item.shard_id}"
    more = f" and {len(commit.sources) - 1} more" if len(commit.sources) > 1 else ""
    return f"shard {item.shard_id} ({commit.sources[0].uri}{more})"
