"""Which files hold the committed rows of a table, and which rows in them do not count."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from clipomaly_core.errors import UserError
from schemas.records import CommitRecord, Outcome, ScanRecord, SourceOutcome
from schemas.tables import SCHEMA_VERSION, Table
from tasks.storage import Location
from tasks.tables.commits import read_commits
from tasks.tables.files import Compactions, SelectedFile, committed_files, damage_error, read_compacted, wrong_sizes
from tasks.tables.left_out import LeftOut
from tasks.tables.moved_record import read_moved
from tasks.tables.parts import file_day
from tasks.tables.scans import scans_there

_TRIES = 3


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
            days=frozenset(file_day(file) for commit, _ in commits for file in commit.files),
            shards=frozenset(commit.shard_id for commit, _ in commits),
            sources=frozenset((commit.shard_id, uri) for commit, superseded in commits for uri in superseded),
        )
