"""Part files of the tables, and the committed rows in them as one dataset."""

import hashlib
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date, datetime

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.parquet as pq
from pyarrow.fs import FSSpecHandler, LocalFileSystem, PyFileSystem

from clipomaly_core.errors import UserError
from schemas.records import CommitRecord, CompactionRecord, Outcome, PartFile, ScanRecord
from schemas.tables import FRAMES, INSTANCES, SCHEMA_VERSION, SHARD, Table
from tasks.storage import Location, exists, is_local, locate, replace_file
from tasks.tables.commits import read_commits, read_scan_records
from tasks.tables.compaction_record import place_of, read_compactions

# Each value differs from all others here: a dictionary or least and greatest value only cost space.
_INCOMPRESSIBLE = ("mask_rle", "embedding")
_SEPARATOR = "\n"  # in no id, and in no address that storage hands out
_THREADS = 16


@dataclass(frozen=True, slots=True)
class _Compacted:
    """The merged files of a day, and of which shards they hold the rows."""

    record: CompactionRecord
    shards: frozenset[str]


_Compactions = Mapping[tuple[str, date], _Compacted]  # by generation and day


def write_parts(
    tables_url: str, scan_id: str, shard_id: str, parts: Iterable[tuple[Table, date, pa.Table]]
) -> tuple[PartFile, ...]:
    """Write a shard's part files to ``<table>/scan=<scan_id>/dt=<date>/<shard_id>.parquet``.

    The same rows give the same bytes at the same path; what a crashed run left there is replaced. Rows
    count only once the shard is committed. Raises UserError when they cannot be written.
    """
    tables = locate(tables_url)
    written = []
    for table, day, rows in parts:
        path = f"{day_folder(table, scan_id, day)}/{shard_id}.parquet"
        data = _parquet(with_shard(rows, shard_id))
        replace_file(tables.child(path), data)
        digest = hashlib.sha256(data).hexdigest()
        written.append(PartFile(table.value, path, rows.num_rows, len(data), digest))
    return tuple(written)


def day_folder(table: Table, scan_id: str, day: date) -> str:
    """Where the files of a generation's capture day lie, relative to the tables' root."""
    return f"{table}/scan={scan_id}/dt={day.isoformat()}"


def with_shard(rows: pa.Table, shard_id: str) -> pa.Table:
    """Rows of a shard with the column that says so; files of schema versions before 3 lack it."""
    if SHARD.name in rows.column_names:
        return rows
    return rows.append_column(SHARD, pa.repeat(shard_id, len(rows)))


def _parquet(rows: pa.Table) -> bytes:
    buffer = io.BytesIO()
    with parquet_writer(buffer, rows.schema) as writer:
        writer.write_table(rows)
    return buffer.getvalue()


def parquet_writer(buffer: io.BytesIO, schema: pa.Schema) -> pq.ParquetWriter:
    """Writes files of the tables: the same row groups give the same bytes."""
    columns = [path for path in _leaf_columns(schema) if path.split(".")[0] not in _INCOMPRESSIBLE]
    return pq.ParquetWriter(buffer, schema, compression="zstd", use_dictionary=columns, write_statistics=columns)


def _leaf_columns(schema: pa.Schema) -> list[str]:
    """Parquet paths of the leaves of a schema, as in ``names.list.element.name``."""
    leaves = pq.ParquetFile(_empty_file(schema)).schema
    return [leaves.column(number).path for number in range(len(leaves))]


def _empty_file(schema: pa.Schema) -> io.BytesIO:
    buffer = io.BytesIO()
    pq.write_table(schema.empty_table(), buffer)
    return buffer


def open_table(tables_url: str, table: str, *, scan_id: str | None = None) -> ds.Dataset:
    """The committed rows of ``instances``, ``frames`` or ``embeddings`` as a pyarrow dataset.

    To the columns of the files come ``scan`` and ``shard`` (string) and ``dt`` (date). Of a source that
    several generations scanned, or that changed and was scanned again, only the rows of the newest commit
    are in it (one that failed replaces nothing); with ``scan_id`` only rows of that generation. Embeddings
    come as float32 (they are stored as float16, which DuckDB does not read from Arrow).

    Raises UserError when there are no tables, no such table or generation, or when embeddings of different
    length would have to be one column.
    """
    selected = _select(tables_url, table, scan_id)
    dataset = _dataset(selected)
    for rows in selected.left_out:
        left_out = rows.expression()
        if selected.table is Table.EMBEDDINGS and rows.sources is not None:
            # Embeddings carry no source. The id covers the generation and the etag: it names one row of the table.
            instances = _dataset(_select(tables_url, Table.INSTANCES, rows.scan_id))
            ids = instances.to_table(columns=["instance_id"], filter=left_out)["instance_id"]
            left_out = ds.field("instance_id").isin(ids.combine_chunks())
        dataset = dataset.filter(~left_out)
    return dataset


@dataclass(frozen=True, slots=True)
class LocalFiles:
    """Parquet files on a local disk, absolute paths, and a condition in SQL for the rows in them that count."""

    paths: tuple[str, ...]
    columns: tuple[str, ...]
    condition: str | None


def local_files(tables_url: str, table: str) -> LocalFiles | None:
    """What ``open_table`` would give, for an engine that reads Parquet itself; None where it must be asked: tables that
    are not on a local disk, are empty, or hold files of older schemas, and embeddings, whose type differs.

    Raises UserError as ``open_table`` does.
    """
    selected = _select(tables_url, table, None)
    paths = tuple(file.path for file, _ in selected.files)
    if (
        not paths
        or not is_local(selected.tables.fs)
        or selected.table is Table.EMBEDDINGS
        or not selected.is_of_one_schema
    ):
        return None
    return LocalFiles(
        paths=tuple(selected.tables.child(path).path for path in paths),
        columns=tuple(selected.schema.names),
        condition=" AND ".join(f"NOT ({rows.sql()})" for rows in selected.left_out) or None,
    )


@dataclass(frozen=True, slots=True)
class _LeftOut:
    """Rows of a generation that lie in files of these days and do not count: of whole shards, or of those sources of
    theirs, (shard, URI), that are superseded."""

    scan_id: str
    days: frozenset[date]
    shards: frozenset[str]
    sources: frozenset[tuple[str, str]] | None = None

    def expression(self) -> ds.Expression:
        """True for these rows, in tables that name the source.

        Scan and day are known of a file by its folder: files of others are read without a look at their rows.
        """
        met = (ds.field("scan") == self.scan_id) & ds.field("dt").isin(pa.array(sorted(self.days), pa.date32()))
        met &= ds.field("shard").isin(sorted(self.shards))
        if self.sources is not None:
            key = pc.binary_join_element_wise(ds.field("shard"), ds.field("source_uri"), _SEPARATOR)
            # One look-up in a set, and not a term for each shard: those would all be weighed for every file.
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
class _Selected:
    """The files that hold the committed rows of a table, what the path of each tells, and what there does not count."""

    tables: Location
    table: Table
    schema: pa.Schema
    files: tuple[tuple[PartFile, ds.Expression], ...]
    left_out: tuple[_LeftOut, ...]
    is_of_one_schema: bool


def _select(tables_url: str, table: str, scan_id: str | None) -> _Selected:
    try:
        wanted = Table(table)
    except ValueError:
        raise UserError(f"There is no table {table!r}. Tables: {', '.join(Table)}.") from None
    tables = locate(tables_url)
    scans = {scan.scan_id: scan for scan in read_scan_records(tables_url)}
    if not scans:
        raise UserError(f"There are no tables at {tables.url}. Scan an archive into it first.")
    if scan_id is not None:
        if scan_id not in scans:
            raise UserError(f"There is no scan {scan_id} in {tables.url}. Scans: {', '.join(scans)}.")
        scans = {scan_id: scans[scan_id]}
    commits = [commit for scan in scans for commit in read_commits(tables_url, scan)]
    # Read after the commits: what is merged was committed before, so no shard can be in neither.
    compactions = {
        (scan, day): _Compacted(record, frozenset(record.shards))
        for scan in scans
        for day, record in read_compactions(tables_url, scan).items()
    }
    shards = _live_shards(commits)
    lengths = _embedding_lengths(shards, scans)
    if wanted is Table.EMBEDDINGS and len(lengths) > 1:
        told = ", ".join(f"{length} in {scan}" for length, scan in sorted(lengths.items()))
        raise UserError(f"Embeddings of different lengths cannot be read as one ({told}): name a scan.")
    newest = next(iter(lengths), next(reversed(scans.values())).embedding_dimension)
    return _Selected(
        tables=tables,
        table=wanted,
        schema=_schema(wanted, newest),
        files=tuple(_files(tables, wanted, shards, compactions)),
        left_out=(*_merged_but_not_live(shards, compactions), *_superseded(shards)),
        is_of_one_schema=all(scan.schema_version == SCHEMA_VERSION for scan in scans.values()),
    )


@dataclass(frozen=True, slots=True)
class _LiveShard:
    """A committed shard of which at least one source is the newest, and the URIs of those that are not."""

    commit: CommitRecord
    superseded: frozenset[str]


def _live_shards(commits: Sequence[CommitRecord]) -> list[_LiveShard]:
    newest: dict[str, tuple[bool, datetime, str, str]] = {}
    for commit in commits:
        for source in commit.sources:
            readable = source.outcome is not Outcome.FAILED
            age = (readable, commit.committed, commit.scan_id, commit.shard_id)
            newest[source.uri] = max(age, newest.get(source.uri, age))
    live = []
    for commit in sorted(commits, key=lambda c: (c.scan_id, c.shard_id)):
        this = (commit.scan_id, commit.shard_id)
        superseded = frozenset(source.uri for source in commit.sources if newest[source.uri][2:] != this)
        if len(superseded) < len(commit.sources):
            live.append(_LiveShard(commit, superseded))
    return live


def _embedding_lengths(shards: Iterable[_LiveShard], scans: dict[str, ScanRecord]) -> dict[int, str]:
    """Each embedding length among the live shards, with a generation that has it."""
    return {scans[shard.commit.scan_id].embedding_dimension: shard.commit.scan_id for shard in shards}


def _schema(table: Table, embedding_dimension: int) -> pa.Schema:
    match table:
        case Table.INSTANCES:
            files = INSTANCES
        case Table.FRAMES:
            files = FRAMES
        case Table.EMBEDDINGS:
            files = pa.schema(
                [("instance_id", pa.string()), ("embedding", pa.list_(pa.float32(), embedding_dimension))]
            )
    folders = [pa.field("scan", pa.string()), pa.field("dt", pa.date32())]
    return pa.schema([*files, *folders, SHARD])


def _dataset(selected: _Selected) -> ds.Dataset:
    tables = selected.tables
    parquet = ds.ParquetFileFormat()
    filesystem = LocalFileSystem() if is_local(tables.fs) else PyFileSystem(FSSpecHandler(tables.fs))
    fragments = [
        parquet.make_fragment(tables.child(file.path).path, filesystem, place, file_size=file.size)
        for file, place in selected.files
    ]
    return ds.FileSystemDataset(fragments, selected.schema, parquet, filesystem)


def _files(
    tables: Location, table: Table, shards: Sequence[_LiveShard], compactions: _Compactions
) -> Iterator[tuple[PartFile, ds.Expression]]:
    """The files that hold the rows of these shards, merged ones those of others as well, and what their path tells."""
    yield from _merged_files(tables, table, _used(shards, compactions))
    yield from _part_files(table, shards, compactions)


def _part_files(
    table: Table, shards: Iterable[_LiveShard], compactions: _Compactions
) -> Iterator[tuple[PartFile, ds.Expression]]:
    """Files of shards that are not merged, and what their path tells."""
    for shard in shards:
        scan_id, shard_id = shard.commit.scan_id, shard.commit.shard_id
        for file in shard.commit.files:
            if file.table == table and not _merged(shard.commit, file, compactions):
                yield file, _in_folder(scan_id, file_day(file)) & (ds.field("shard") == shard_id)


def _merged_files(
    tables: Location, table: Table, compactions: _Compactions
) -> Iterator[tuple[PartFile, ds.Expression]]:
    """Merged files of these days, and what their path tells. Raises UserError when one is gone."""
    records = [compacted.record for compacted in compactions.values()]
    found = [(file, record) for record in records for file in record.files if file.table == table]
    with ThreadPoolExecutor(_THREADS) as pool:
        there = pool.map(lambda item: exists(tables.child(item[0].path)), found)
        for (file, record), is_there in zip(found, there, strict=True):
            if not is_there:
                place = place_of(tables, record.scan_id, record.day, record.number)
                raise UserError(
                    f"{tables.child(file.path).url} is gone, which {place.url} names. Bring it back from a copy; where "
                    "there is none and it is younger than the grace, remove that record: the files of before are "
                    "still there, and compact merges them again."
                )
            yield file, _in_folder(record.scan_id, record.day)


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


def _in_folder(scan_id: str, day: date) -> ds.Expression:
    return (ds.field("scan") == scan_id) & (ds.field("dt") == pa.scalar(day))


def file_day(file: PartFile) -> date:
    """The capture day of its rows."""
    folder = file.path.rsplit("/", 2)[1]
    return date.fromisoformat(folder.removeprefix("dt="))


def _merged_but_not_live(shards: Sequence[_LiveShard], compactions: _Compactions) -> Iterator[_LeftOut]:
    """Shards in merged files that are superseded as a whole, or were committed after the commits were read."""
    for scan_id in sorted({scan for scan, _ in compactions}):
        live = {shard.commit.shard_id for shard in shards if shard.commit.scan_id == scan_id}
        of_scan = {day: compacted.shards - live for (scan, day), compacted in compactions.items() if scan == scan_id}
        dead = {day: others for day, others in of_scan.items() if others}
        if dead:
            yield _LeftOut(scan_id, frozenset(dead), frozenset().union(*dead.values()))


def _superseded(shards: Sequence[_LiveShard]) -> Iterator[_LeftOut]:
    """Superseded sources of shards that are live for the sake of others."""
    affected = [shard for shard in shards if shard.superseded]
    for scan_id in sorted({shard.commit.scan_id for shard in affected}):
        commits = [(shard.commit, shard.superseded) for shard in affected if shard.commit.scan_id == scan_id]
        yield _LeftOut(
            scan_id,
            days=frozenset(file_day(file) for commit, _ in commits for file in commit.files),
            shards=frozenset(commit.shard_id for commit, _ in commits),
            sources=frozenset((commit.shard_id, uri) for commit, superseded in commits for uri in superseded),
        )
