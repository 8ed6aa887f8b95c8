"""Part files of the tables, and the committed rows in them as one dataset."""

import hashlib
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.parquet as pq
from pyarrow.fs import FSSpecHandler, LocalFileSystem, PyFileSystem

from clipomaly_core.errors import UserError
from schemas.records import CommitRecord, Outcome, PartFile, ScanRecord
from schemas.tables import FRAMES, INSTANCES, Table
from tasks.commits import read_commits, read_scan_records
from tasks.storage import Location, is_local, locate, replace_file

# Each value differs from all others here: a dictionary or least and greatest value only cost space.
_INCOMPRESSIBLE = ("mask_rle", "embedding")
_SEPARATOR = "\n"  # in no id, and in no address that storage hands out


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
        path = f"{table}/scan={scan_id}/dt={day.isoformat()}/{shard_id}.parquet"
        data = _parquet(rows)
        replace_file(tables.child(path), data)
        digest = hashlib.sha256(data).hexdigest()
        written.append(PartFile(table.value, path, rows.num_rows, len(data), digest))
    return tuple(written)


def _parquet(rows: pa.Table) -> bytes:
    columns = [path for path in _leaf_columns(rows.schema) if path.split(".")[0] not in _INCOMPRESSIBLE]
    buffer = io.BytesIO()
    pq.write_table(rows, buffer, compression="zstd", use_dictionary=columns, write_statistics=columns)
    return buffer.getvalue()


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
    shards = _live_shards(commits)
    lengths = _embedding_lengths(shards, scans)
    if wanted is Table.EMBEDDINGS and len(lengths) > 1:
        told = ", ".join(f"{length} in {scan}" for length, scan in sorted(lengths.items()))
        raise UserError(f"Embeddings of different lengths cannot be read as one ({told}): name a scan.")
    newest = next(iter(lengths), next(reversed(scans.values())).embedding_dimension)
    dataset = _dataset(tables, wanted, _schema(wanted, newest), shards)
    superseded = [shard for shard in shards if shard.superseded]
    if not superseded:
        return dataset
    if wanted is Table.EMBEDDINGS:
        return dataset.filter(~_superseded_embeddings(tables, superseded))
    return dataset.filter(~_superseded_rows(superseded))


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
    folders = [pa.field("scan", pa.string()), pa.field("dt", pa.date32()), pa.field("shard", pa.string())]
    return pa.schema([*files, *folders])


def _dataset(tables: Location, table: Table, schema: pa.Schema, shards: Iterable[_LiveShard]) -> ds.Dataset:
    parquet = ds.ParquetFileFormat()
    filesystem = LocalFileSystem() if is_local(tables.fs) else PyFileSystem(FSSpecHandler(tables.fs))
    fragments = [
        parquet.make_fragment(
            tables.child(file.path).path,
            filesystem,
            (ds.field("scan") == shard.commit.scan_id)
            & (ds.field("shard") == shard.commit.shard_id)
            & (ds.field("dt") == pa.scalar(_day(file))),
            file_size=file.size,
        )
        for shard in shards
        for file in shard.commit.files
        if file.table == table
    ]
    return ds.FileSystemDataset(fragments, schema, parquet, filesystem)


def _day(file: PartFile) -> date:
    folder = file.path.rsplit("/", 2)[1]
    return date.fromisoformat(folder.removeprefix("dt="))


def _superseded_rows(shards: Sequence[_LiveShard]) -> ds.Expression:
    """True for rows of superseded sources, in tables that name the source.

    One look-up in a set, and not a term for each shard: those would all be weighed for every file.
    """
    keys = [
        _SEPARATOR.join((shard.commit.scan_id, shard.commit.shard_id, uri))
        for shard in shards
        for uri in sorted(shard.superseded)
    ]
    parts = (ds.field("scan"), ds.field("shard"), ds.field("source_uri"))
    key = pc.binary_join_element_wise(*parts, _SEPARATOR)
    return ds.field("shard").isin([shard.commit.shard_id for shard in shards]) & key.isin(keys)


def _superseded_embeddings(tables: Location, shards: Sequence[_LiveShard]) -> ds.Expression:
    """Embeddings carry no source: the instances of the same shards tell which are superseded."""
    instances = _dataset(tables, Table.INSTANCES, _schema(Table.INSTANCES, 0), shards)
    ids = instances.to_table(columns=["instance_id"], filter=_superseded_rows(shards))["instance_id"]
    # The id covers the generation and the etag: it names one row of the table, whatever its shard.
    return ds.field("instance_id").isin(ids.combine_chunks())
