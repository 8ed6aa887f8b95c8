"""Which files hold the committed rows of a table, and which rows in them do not count."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date, datetime

from clipomaly_core.errors import UserError
from schemas.records import CommitRecord, CompactionRecord, Outcome, PartFile, ScanRecord
from schemas.tables import SCHEMA_VERSION, Table
from tasks.storage import Location, exists
from tasks.tables.commits import read_commits
from tasks.tables.compaction_record import place_of, read_compactions
from tasks.tables.left_out import LeftOut
from tasks.tables.parts import file_day
from tasks.tables.scans import scans_there

_THREADS = 16


@dataclass(frozen=True, slots=True)
class SelectedFile:
    """A file with rows of one generation's capture day; of one shard, or merged of many (``shard_id`` is None)."""

    file: PartFile
    scan_id: str
    day: date
    shard_id: str | None


@dataclass(frozen=True, slots=True)
class Selection:
    """The files that hold the committed rows of a table, and the rows in them that do not count.

    ``embedding_dimension`` is that of the rows, or of the newest generation where there are none.
    """

    table: Table
    files: tuple[SelectedFile, ...]
    left_out: tuple[LeftOut, ...]
    embedding_dimension: int
    is_of_one_schema: bool


def select(root: Location, table: str, scan_id: str | None) -> Selection:
    """Select the committed rows of a table: of each source the newest, or those of one generation.

    Raises UserError when there are no tables, no such table or generation, or when embeddings of different length
    would have to be one column.
    """
    try:
        wanted = Table(table)
    except ValueError:
        raise UserError(f"There is no table {table!r}. Tables: {', '.join(Table)}.") from None
    scans = {scan.scan_id: scan for scan in scans_there(root)}
    if scan_id is not None:
        if scan_id not in scans:
            raise UserError(f"There is no scan {scan_id} in {root.url}. Scans: {', '.join(scans)}.")
        scans = {scan_id: scans[scan_id]}
    commits = [commit for scan in scans for commit in read_commits(root, scan)]
    # Read after the commits: what is merged was committed before, so no shard can be in neither.
    compactions = {
        (scan, day): _Compacted(record, frozenset(record.shards))
        for scan in scans
        for day, record in read_compactions(root, scan).items()
    }
    shards = _live_shards(commits)
    lengths = _embedding_lengths(shards, scans)
    if wanted is Table.EMBEDDINGS and len(lengths) > 1:
        told = ", ".join(f"{length} in {scan}" for length, scan in sorted(lengths.items()))
        raise UserError(f"Embeddings of different lengths cannot be read as one ({told}): name a scan.")
    return Selection(
        table=wanted,
        files=tuple(_files(root, wanted, shards, compactions)),
        left_out=(*_merged_but_not_live(shards, compactions), *_superseded(shards)),
        embedding_dimension=next(iter(lengths), next(reversed(scans.values())).embedding_dimension),
        is_of_one_schema=all(scan.schema_version == SCHEMA_VERSION for scan in scans.values()),
    )


@dataclass(frozen=True, slots=True)
class _Compacted:
    """The merged files of a day, and of which shards they hold the rows."""

    record: CompactionRecord
    shards: frozenset[str]


_Compactions = Mapping[tuple[str, date], _Compacted]  # by generation and day


@dataclass(frozen=True, slots=True)
class _LiveShard:
    """A committed shard of which at least one source is the newest, and the URIs of those that are not."""

    commit: CommitRecord
    superseded: frozenset[str]


def _live_shards(commits: Sequence[CommitRecord]) -> list[_LiveShard]:
    newest: dict[str, tuple[bool, int, datetime, str, str]] = {}
    for commit in commits:
        for source in commit.sources:
            readable = source.outcome is not Outcome.FAILED
            age = (readable, commit.run, commit.committed, commit.scan_id, commit.shard_id)
            newest[source.uri] = max(age, newest.get(source.uri, age))
    live = []
    for commit in sorted(commits, key=lambda c: (c.scan_id, c.shard_id)):
        this = (commit.scan_id, commit.shard_id)
        superseded = frozenset(source.uri for source in commit.sources if newest[source.uri][3:] != this)
        if len(superseded) < len(commit.sources):
            live.append(_LiveShard(commit, superseded))
    return live


def _embedding_lengths(shards: Iterable[_LiveShard], scans: Mapping[str, ScanRecord]) -> dict[int, str]:
    """Each embedding length among the live shards, with a generation that has it."""
    return {scans[shard.commit.scan_id].embedding_dimension: shard.commit.scan_id for shard in shards}


def _files(
    root: Location, table: Table, shards: Sequence[_LiveShard], compactions: _Compactions
) -> Iterator[SelectedFile]:
    """The files that hold the rows of these shards; merged ones hold rows of others as well."""
    yield from _merged_files(root, table, _used(shards, compactions))
    yield from _part_files(table, shards, compactions)


def _part_files(table: Table, shards: Iterable[_LiveShard], compactions: _Compactions) -> Iterator[SelectedFile]:
    """Files of shards that are not merged."""
    for shard in shards:
        commit = shard.commit
        for file in commit.files:
            if file.table == table and not _merged(commit, file, compactions):
                yield SelectedFile(file, commit.scan_id, file_day(file), commit.shard_id)


def _merged_files(root: Location, table: Table, compactions: _Compactions) -> Iterator[SelectedFile]:
    """Merged files of these days. Raises UserError when one is gone."""
    records = [compacted.record for compacted in compactions.values()]
    found = [(file, record) for record in records for file in record.files if file.table == table]
    with ThreadPoolExecutor(_THREADS) as pool:
        there = pool.map(lambda item: exists(root.child(item[0].path)), found)
        for (file, record), is_there in zip(found, there, strict=True):
            if not is_there:
                place = place_of(root, record.scan_id, record.day, record.number)
                raise UserError(
                    f"{root.child(file.path).url} is gone, which {place.url} names. Bring it back from a copy; where "
                    "there is none and it is younger than the grace, remove that record: the files of before are "
                    "still there, and compact merges them again."
                )
            yield SelectedFile(file, record.scan_id, record.day, None)


def _used(shards: Iterable[_LiveShard], compactions: _Compactions) -> _Compactions:
    """Those with rows of these shards."""
    keys = {
        (shard.commit.scan_id, file_day(file))
        for shard in shards
        for file in shard.commit.files
        if _merged(shard.commit, file, compactions)
    }
    return {key: compactions[key] for key in sorted(keys)}


def _merged(commit: CommitRecord, file: PartFile, compactions: _Compactions) -> bool:
    compacted = compactions.get((commit.scan_id, file_day(file)))
    return compacted is not None and commit.shard_id in compacted.shards


def _merged_but_not_live(shards: Sequence[_LiveShard], compactions: _Compactions) -> Iterator[LeftOut]:
    """Shards in merged files that are superseded as a whole, or were committed after the commits were read."""
    for scan_id in sorted({scan for scan, _ in compactions}):
        live = {shard.commit.shard_id for shard in shards if shard.commit.scan_id == scan_id}
        of_scan = {day: compacted.shards - live for (scan, day), compacted in compactions.items() if scan == scan_id}
        dead = {day: others for day, others in of_scan.items() if others}
        if dead:
            yield LeftOut(scan_id, frozenset(dead), frozenset().union(*dead.values()))


def _superseded(shards: Sequence[_LiveShard]) -> Iterator[LeftOut]:
    """Superseded sources of shards that are live for the sake of others."""
    affected = [shard for shard in shards if shard.superseded]
    for scan_id in sorted({shard.commit.scan_id for shard in affected}):
        commits = [(shard.commit, shard.superseded) for shard in affected if shard.commit.scan_id == scan_id]
        yield LeftOut(
            scan_id,
            days=frozenset(file_day(file) for commit, _ in commits for file in commit.files),
            shards=frozenset(commit.shard_id for commit, _ in commits),
            sources=frozenset((commit.shard_id, uri) for commit, superseded in commits for uri in superseded),
        )
