"""Which files hold the committed rows of a table, whether they are undamaged, and which rows in them do not count."""

import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date, datetime

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

from clipomaly_core.errors import UserError
from schemas.records import CommitRecord, CompactionRecord, Outcome, PartFile, ScanRecord, SourceOutcome
from schemas.tables import SCHEMA_VERSION, Table
from tasks.storage import Location, cannot_read, is_local, is_object_store
from tasks.storage_errors import storage_errors
from tasks.tables.commits import read_commits
from tasks.tables.records import read_compactions, read_moved, scans_there

_THREADS = 16
_SEPARATOR = "\n"  # occurs in no id and in no address of a storage
_TRIES = 3


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
            key = commit.scan_id, file.day
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
    return SelectedFile(file, commit.scan_id, file.day, shard, frozenset([shard]), commit.committed)


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


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Rows of a generation in files of these days that do not count: of whole shards, or only of superseded sources of
    a shard, as (shard, URI)."""

    scan_id: str
    days: frozenset[date]
    shards: frozenset[str]
    sources: frozenset[tuple[str, str]] | None = None

    def within(self, scan_id: str, day: date, shards: frozenset[str]) -> "LeftOut | None":
        """The part of it that may lie in a file of one generation and day with rows of these shards; None if there is
        none."""
        met = self.shards & shards
        if scan_id != self.scan_id or day not in self.days or not met:
            return None
        sources = None if self.sources is None else frozenset(item for item in self.sources if item[0] in met)
        return LeftOut(scan_id, frozenset([day]), met, sources)

    def expression(self) -> ds.Expression:
        """True for these rows, in tables that name the source.

        Scan and day follow from the folder of a file, so files of other days are read without this condition.
        """
        met = (ds.field("scan") == self.scan_id) & ds.field("dt").isin(pa.array(sorted(self.days), pa.date32()))
        met &= ds.field("shard").isin(sorted(self.shards))
        if self.sources is not None:
            key = pc.binary_join_element_wise(ds.field("shard"), ds.field("source_uri"), _SEPARATOR)
            # One look-up in a set instead of a term for each shard, because all terms would be evaluated for every
            # file.
            met &= key.isin([_SEPARATOR.join(source) for source in sorted(self.sources)])
        return met

    def sql(self) -> str:
        """The same as a condition of DuckDB."""
        days = ", ".join(f"DATE '{day}'" for day in sorted(self.days))
        met = f"scan = {_quoted(self.scan_id)} AND dt IN ({days}) AND shard IN ({_listed(self.shards)})"
        if self.sources is not None:
            keys = _listed(_SEPARATOR.join(source) for source in self.sources)
            met += f" AND shard || {_quoted(_SEPARATOR)} || source_uri IN ({keys})"
        return met


def _listed(values: Iterable[str]) -> str:
    return ", ".join(map(_quoted, sorted(values)))


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


@dataclass(frozen=True, slots=True)
class Selection:
    """The files that hold the committed rows of a table, and the rows in them that do not count.

    ``embedding_dimension`` is that of the rows, or of the newest generation where there are none. ``schema_versions``
    has that of the code which scanned each generation, ``embedding_dimensions`` the length of its embeddings.
    ``shards`` are those whose rows count, at least in part.
    """

    table: Table
    files: tuple[SelectedFile, ...]
    left_out: tuple[LeftOut, ...]
    embedding_dimension: int
    schema_versions: Mapping[str, int]
    embedding_dimensions: Mapping[str, int]
    compactions: Compactions
    shards: Sequence["LiveShard"]

    @property
    def is_of_one_schema(self) -> bool:
        """Whether all files have all columns."""
        return all(self.version_of(item) == SCHEMA_VERSION for item in self.files)

    def rows_digest(self) -> str:
        """A short hash of which rows are selected, whichever files they lie in: a compaction does not change it."""
        told = hashlib.sha256()
        for shard in self.shards:
            commit = shard.commit
            told.update(
                repr((commit.scan_id, commit.shard_id, str(commit.committed), sorted(shard.superseded))).encode()
            )
        return told.hexdigest()[:20]

    def version_of(self, item: SelectedFile) -> int:
        """The schema version of a file."""
        return max(self.schema_versions[item.scan_id], item.upgraded)


def select(root: Location, table: str, scan_id: str | None, *, newest: bool = True) -> Selection:
    """Select the committed rows of a table: of each source the newest, or those of one generation. With ``newest``
    false, superseded rows are selected as well.

    Raises UserError when there are no tables, no such table or generation, when a file is gone or has another size
    than was recorded, or when embeddings of different length would have to be one column.
    """
    try:
        wanted = Table(table)
    except ValueError:
        raise UserError(f"There is no table {table!r}. Tables: {', '.join(Table)}.") from None
    for left in reversed(range(_TRIES)):
        committed = read_committed(root, scan_id)
        selection = choose(committed, wanted, newest=newest)
        damaged = wrong_sizes(root, selection.files)
        if damaged and not left:  # until then a compaction may have replaced them meanwhile
            raise damage_error(root, damaged, committed.commits)
        if not damaged:
            break
    return selection


@dataclass(frozen=True, slots=True)
class Committed:
    """What the records say of all generations, or of one: enough to select the rows of every table."""

    scans: Mapping[str, ScanRecord]
    commits: Sequence[CommitRecord]
    compactions: Compactions
    moved: Mapping[str, str]


def read_committed(root: Location, scan_id: str | None = None) -> Committed:
    """Read the records. Raises UserError when there are no tables or no such generation."""
    scans = {scan.scan_id: scan for scan in scans_there(root)}
    if scan_id is not None:
        if scan_id not in scans:
            raise UserError(f"There is no scan {scan_id} in {root.url}. Scans: {', '.join(scans)}.")
        scans = {scan_id: scans[scan_id]}
    commits = [commit for scan in scans for commit in read_commits(root, scan)]
    # Read after the commits: what is merged was committed before, so no shard can be in neither.
    return Committed(scans, commits, read_compacted(root, scans), read_moved(root))


def choose(committed: Committed, table: Table, *, newest: bool) -> Selection:
    """``select`` from records that are read already; whether the files are there is not looked at."""
    commits, scans = committed.commits, committed.scans
    shards = _live_shards(commits, committed.moved) if newest else _all_shards(commits)
    lengths = _embedding_lengths(shards, scans)
    if table is Table.EMBEDDINGS and len(lengths) > 1:
        told = ", ".join(f"{length} in {scan}" for length, scan in sorted(lengths.items()))
        raise UserError(f"Embeddings of different lengths cannot be read as one ({told}): name a scan.")
    files = committed_files([shard.commit for shard in shards], committed.compactions)
    return Selection(
        table=table,
        files=tuple(item for item in files if item.file.table == table),
        left_out=(*_merged_but_not_live(shards, committed.compactions), *_superseded(shards)),
        embedding_dimension=next(iter(lengths), list(scans.values())[-1].embedding_dimension),
        schema_versions={scan.scan_id: scan.schema_version for scan in scans.values()},
        embedding_dimensions={scan.scan_id: scan.embedding_dimension for scan in scans.values()},
        compactions=committed.compactions,
        shards=shards,
    )


@dataclass(frozen=True, slots=True)
class LiveShard:
    """A committed shard of which at least one source is the newest, and the URIs of those that are not."""

    commit: CommitRecord
    superseded: frozenset[str]


def _live_shards(commits: Sequence[CommitRecord], moved: Mapping[str, str]) -> list[LiveShard]:
    newest: dict[str, tuple[bool, int, datetime, str, str]] = {}
    for commit in commits:
        for source in _kept(commit):
            readable = source.outcome is not Outcome.FAILED
            age = (readable, commit.run, commit.committed, commit.scan_id, commit.shard_id)
            newest[source.uri] = max(age, newest.get(source.uri, age))
    # When moved footage is read under its new address, the rows of the old address no longer count.
    left_behind = {old for old, new in moved.items() if new in newest and newest[new][0]}
    live = []
    for commit in sorted(commits, key=lambda c: (c.scan_id, c.shard_id)):
        this = (commit.scan_id, commit.shard_id)
        kept = {source.uri for source in _kept(commit) if newest[source.uri][3:] == this} - left_behind
        superseded = frozenset(source.uri for source in commit.sources).difference(kept)
        if kept:
            live.append(LiveShard(commit, superseded))
    return live


def _all_shards(commits: Iterable[CommitRecord]) -> list[LiveShard]:
    """Every shard with a source that is not forgotten, as if it were live."""
    live = []
    for commit in sorted(commits, key=lambda c: (c.scan_id, c.shard_id)):
        if kept := {source.uri for source in _kept(commit)}:
            live.append(LiveShard(commit, frozenset(source.uri for source in commit.sources) - kept))
    return live


def _kept(commit: CommitRecord) -> Iterator[SourceOutcome]:
    return (source for source in commit.sources if source.outcome is not Outcome.FORGOTTEN)


def _embedding_lengths(shards: Iterable[LiveShard], scans: Mapping[str, ScanRecord]) -> dict[int, str]:
    """Each embedding length among the live shards, with a generation that has it."""
    return {scans[shard.commit.scan_id].embedding_dimension: shard.commit.scan_id for shard in shards}


def _merged_but_not_live(shards: Sequence[LiveShard], compactions: Compactions) -> Iterator[LeftOut]:
    """Shards in merged files that are superseded as a whole, or were committed after the commits were read."""
    for scan_id in sorted({scan for scan, _ in compactions}):
        live = {shard.commit.shard_id for shard in shards if shard.commit.scan_id == scan_id}
        of_scan = {day: compacted.shards - live for (scan, day), compacted in compactions.items() if scan == scan_id}
        dead = {day: others for day, others in of_scan.items() if others}
        if dead:
            yield LeftOut(scan_id, frozenset(dead), frozenset().union(*dead.values()))


def _superseded(shards: Sequence[LiveShard]) -> Iterator[LeftOut]:
    """Superseded sources of shards in which other sources are still live."""
    affected = [shard for shard in shards if shard.superseded]
    for scan_id in sorted({shard.commit.scan_id for shard in affected}):
        commits = [(shard.commit, shard.superseded) for shard in affected if shard.commit.scan_id == scan_id]
        yield LeftOut(
            scan_id,
            days=frozenset(file.day for commit, _ in commits for file in commit.files),
            shards=frozenset(commit.shard_id for commit, _ in commits),
            sources=frozenset((commit.shard_id, uri) for commit, superseded in commits for uri in superseded),
        )
