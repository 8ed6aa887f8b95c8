"""Commit records, which make the rows of a shard count.

A shard is done when, and only when, its commit record exists. The checkpoint of a generation repeats its
commit records in one Parquet file: reading it and the records after it is enough.
"""

import gc
import io
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, fields

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pydantic import TypeAdapter, ValidationError

from clipomaly_core.errors import UserError
from schemas.records import CommitRecord, Stages
from schemas.tables import TIMESTAMP
from tasks.storage import Location, create_file, exists, file_names, read_file, replace_file
from tasks.tables.records import read_forgotten, scan_place, without_forgotten

DONE = pa.schema([("uri", pa.large_string()), ("etag", pa.large_string()), ("footage_seconds", pa.float64())])
"""Columns of the committed sources: one row each."""

SCAN_COPY = b"clipomaly.scan"

_READING_THREADS = 16
_AT_A_TIME = 5_000
_DONE_LEAVES = ["shard_id", *(f"sources.list.element.{name}" for name in DONE.names)]

_COMMIT = TypeAdapter(CommitRecord)

COMMITS = pa.schema(
    [
        ("scan_id", pa.string()),
        ("shard_id", pa.string()),
        ("committed", TIMESTAMP),
        (
            "files",
            pa.list_(
                pa.struct(
                    [
                        ("table", pa.string()),
                        ("path", pa.string()),
                        ("rows", pa.int64()),
                        ("size", pa.int64()),
                        ("sha256", pa.string()),
                    ]
                )
            ),
        ),
        (
            "sources",
            pa.list_(
                pa.struct(
                    [
                        ("uri", pa.string()),
                        ("etag", pa.string()),
                        ("outcome", pa.string()),
                        ("error", pa.string()),
                        ("frames", pa.int64()),
                        ("failed_frames", pa.int64()),
                        ("instances", pa.int64()),
                        ("footage_seconds", pa.float64()),
                        ("fingerprint", pa.string()),
                        ("fetched_bytes", pa.int64()),
                    ]
                )
            ),
        ),
        (
            "seconds",
            pa.struct([(stage.name, pa.float64()) for stage in fields(Stages)]),
        ),
        ("notes", pa.list_(pa.string())),
        ("run", pa.int64()),
    ]
)
"""Columns of commit records, one row each; a checkpoint has the same."""
_IDENTITY = pa.schema([("uri", pa.large_string()), ("etag", pa.large_string())])


def is_committed(root: Location, scan_id: str, shard_id: str) -> bool:
    """Whether a shard of a generation is done."""
    return exists(commit_place(root, scan_id, shard_id))


def read_commit(root: Location, scan_id: str, shard_id: str) -> CommitRecord:
    """One commit record. Raises UserError when it cannot be read."""
    return _without_forgotten([parse_commit(root, scan_id, shard_id)], read_forgotten(root))[0]


def write_commit(root: Location, record: CommitRecord) -> bool:
    """Publish a shard, after its part files. False if it was committed already; nothing changes then."""
    place = commit_place(root, record.scan_id, record.shard_id)
    return create_file(place, _COMMIT.dump_json(record, indent=1))


def read_commits(root: Location, scan_id: str) -> list[CommitRecord]:
    """All commit records of a generation, by shard_id: from its checkpoint, and the newer ones one by one.

    Raises UserError when one cannot be read.
    """
    committed = committed_shards(root, scan_id)
    checkpoint = read_checkpoint(root, scan_id) if committed else {}
    newer = [shard_id for shard_id in committed if shard_id not in checkpoint]
    with ThreadPoolExecutor(_READING_THREADS) as pool:
        read = pool.map(lambda shard_id: parse_commit(root, scan_id, shard_id), newer)
        records = checkpoint | {record.shard_id: record for record in read}
    return _without_forgotten([records[shard_id] for shard_id in committed], read_forgotten(root))


def read_commit_table(root: Location, scan_id: str) -> pa.Table:
    """``read_commits`` as the columns of ``COMMITS``, for a million sources.

    Raises UserError when a record cannot be read.
    """
    folded, newer = _folded_and_newer(root, scan_id)
    if folded.schema != COMMITS or read_forgotten(root):  # of an old version, or not as the records say
        return _table_of(read_commits(root, scan_id))
    return pa.concat_tables([folded, *newer]).sort_by("shard_id")


def read_done(root: Location, scan_id: str) -> pa.Table:
    """The committed sources of a generation, and those that were forgotten in any, as columns. Only what planning
    needs.

    Raises UserError when a record cannot be read.
    """
    folded, newer = _folded_and_newer(root, scan_id, _DONE_LEAVES)
    forgotten = [{"uri": uri, "etag": etag} for uri, etag in sorted(read_forgotten(root))]
    return pa.concat_tables([done_in(folded), *map(done_in, newer), pa.Table.from_pylist(forgotten, schema=DONE)])


def _folded_and_newer(
    root: Location, scan_id: str, columns: list[str] | None = None
) -> tuple[pa.Table, Iterator[pa.Table]]:
    """These columns of the checkpoint, for shards whose record exists, and the records that are not in the checkpoint,
    some at a time: as objects, a million sources would take more than a GiB."""
    committed = committed_shards(root, scan_id)
    folded = _read_folded(checkpoint_place(root, scan_id), columns) if committed else None
    if folded is None:
        folded = COMMITS.empty_table()
    folded = folded.filter(pc.is_in(folded["shard_id"], pa.array(committed, pa.string())))
    return folded, _read_some(root, scan_id, sorted(set(committed).difference(folded["shard_id"].to_pylist())))


def committed_shards(root: Location, scan_id: str) -> list[str]:
    """The ids of the shards of a generation that have a commit record, sorted."""
    return [name.removesuffix(".json") for name in file_names(root.child(f"_commits/{scan_id}"), ".json")]


def _read_some(root: Location, scan_id: str, shard_ids: list[str]) -> Iterator[pa.Table]:
    with ThreadPoolExecutor(_READING_THREADS) as pool:
        for start in range(0, len(shard_ids), _AT_A_TIME):
            some = shard_ids[start : start + _AT_A_TIME]
            yield _table_of(pool.map(lambda shard_id: parse_commit(root, scan_id, shard_id), some))


def done_in(commits: pa.Table) -> pa.Table:
    """The committed sources in a table of commits, one row each: the columns of ``DONE``."""
    sources = pc.list_flatten(commits["sources"])
    told = {field.name for field in sources.type}
    columns = [
        pc.struct_field(sources, name).cast(kind) if name in told else pa.nulls(len(sources), kind)
        for name, kind in zip(DONE.names, DONE.types, strict=True)
    ]
    return pa.table(columns, schema=DONE)


def done_of(commits: Iterable[CommitRecord]) -> pa.Table:
    """The committed sources of these records, in the form of ``read_done``."""
    sources = [source for commit in commits for source in commit.sources]
    columns = [[getattr(source, name) for source in sources] for name in DONE.names]
    return pa.table(columns, schema=DONE)


def match_done(sources: pa.Table, done: pa.Table) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.float64]]:
    """(N,) which sources, by their ``uri`` and ``etag``, are committed as they are now, and (N,) the seconds of footage
    from their commits, NaN if a commit lacks it."""
    committed, told = np.zeros(len(sources), np.bool_), np.full(len(sources), np.nan)
    if not len(done):
        return committed, told
    listed = sources.select(["uri", "etag"]).cast(_IDENTITY)
    # By the URI first, which is usually only once in ``done``: a key of both would need 200 MB for a million.
    places = _places(listed["uri"], done["uri"])
    known = np.flatnonzero(places >= 0)
    same = pc.equal(listed["etag"].take(pa.array(known)), done["etag"].take(pa.array(places[known])))
    as_before = same.to_numpy()
    places[known[~as_before]] = -1
    others = listed.take(pa.array(known[~as_before]))
    again = pc.indices_nonzero(pc.is_in(done["uri"], value_set=pc.unique(others["uri"])))
    if len(again):
        found = _places(_identity(others), _identity(done.take(again)))
        places[known[~as_before][found >= 0]] = again.to_numpy()[found[found >= 0]]
    committed = places >= 0
    told[committed] = done["footage_seconds"].take(pa.array(places[committed])).to_numpy()
    return committed, told


def _places(values: pa.ChunkedArray, value_set: pa.ChunkedArray) -> npt.NDArray[np.int64]:
    """(N,) where each value is first in the set, -1 where it is not."""
    places = pc.index_in(values, value_set=value_set)
    places = places.combine_chunks() if isinstance(places, pa.ChunkedArray) else places
    found: npt.NDArray[np.int64] = places.fill_null(-1).to_numpy().astype(np.int64)
    return found


def _identity(table: pa.Table) -> pa.ChunkedArray:
    return pc.binary_join_element_wise(table["uri"], table["etag"], pa.scalar("\n", pa.large_string()))


def fold_commits(root: Location, scan_id: str) -> int:
    """Fold the commit records of a generation into ``_checkpoints/<scan_id>.parquet``; returns how many it holds.

    The file is replaced as a whole. Records that are committed meanwhile are read one by one until the next fold.
    """
    folded, newer = _folded_and_newer(root, scan_id)
    if folded.schema != COMMITS:  # of an old version
        folded = _table_of(read_checkpoint(root, scan_id).values())
    table = pa.concat_tables([folded, *newer]).sort_by("shard_id")
    if len(table):
        scan = scan_place(root, scan_id)
        # A copy of the scan record: without one, every row of the generation is lost with it.
        copied = {SCAN_COPY: read_file(scan)} if exists(scan) else _metadata(checkpoint_place(root, scan_id))
        buffer = io.BytesIO()
        pq.write_table(table.combine_chunks().replace_schema_metadata(copied), buffer, compression="zstd")
        replace_file(checkpoint_place(root, scan_id), buffer.getvalue())
    return len(table)


def scan_copy(root: Location, scan_id: str) -> bytes | None:
    """The copy of a scan record that the checkpoint of its generation keeps, as JSON; None where there is none."""
    return _metadata(checkpoint_place(root, scan_id)).get(SCAN_COPY)


def _metadata(place: Location) -> dict[bytes, bytes]:
    folded = _read_folded(place, ["shard_id"])
    kept = (folded.schema.metadata or {}) if folded is not None else {}
    return {name: value for name, value in kept.items() if name == SCAN_COPY}


def _table_of(records: Iterable[CommitRecord]) -> pa.Table:
    return pa.Table.from_pylist([asdict(record) for record in records], schema=COMMITS)


def read_checkpoint(root: Location, scan_id: str) -> dict[str, CommitRecord]:
    """The commit records that the checkpoint of a generation repeats, by shard_id; none where there is no checkpoint.

    Raises UserError when it is damaged.
    """
    table = _read_folded(checkpoint_place(root, scan_id))
    with _no_garbage():
        rows = table.to_pylist() if table else []
        return {str(row["shard_id"]): _COMMIT.validate_python(row) for row in rows}


@contextmanager
def _no_garbage() -> Iterator[None]:
    """Do not look for garbage: a year of a fleet is a million small objects without cycles, and Python would look
    through all of them again and again while they are made, for half of the time that it takes."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _read_folded(place: Location, columns: list[str] | None = None) -> pa.Table | None:
    """The checkpoint at a place; None where there is none. Raises UserError when it is damaged."""
    if not exists(place):
        return None
    try:
        return pq.ParquetFile(io.BytesIO(read_file(place))).read(columns=columns)
    except pa.ArrowInvalid as error:
        raise UserError(
            f"{place.url} is damaged. Run clipomaly check --repair: it is made again from the commits."
        ) from error


def parse_commit(root: Location, scan_id: str, shard_id: str) -> CommitRecord:
    """A commit record as it was written. Raises UserError when it cannot be read or is that of another shard."""
    place = commit_place(root, scan_id, shard_id)
    advice = "Run clipomaly check --repair on these tables, then the same scan again."
    try:
        record = _COMMIT.validate_json(read_file(place))
    except ValidationError as error:
        raise UserError(f"{place.url} is damaged: it is not a commit record. {advice}") from error
    if (record.scan_id, record.shard_id) != (scan_id, shard_id):
        raise UserError(
            f"{place.url} is damaged: it is the commit record of shard {record.shard_id} of scan {record.scan_id}. "
            f"{advice}"
        )
    return record


def _without_forgotten(commits: list[CommitRecord], forgotten: frozenset[tuple[str, str]]) -> list[CommitRecord]:
    return [without_forgotten(commit, forgotten) for commit in commits] if forgotten else commits


def commit_place(root: Location, scan_id: str, shard_id: str) -> Location:
    """The place of the commit record of a shard."""
    return root.child(f"_commits/{scan_id}/{shard_id}.json")


def checkpoint_place(root: Location, scan_id: str) -> Location:
    """The place of the checkpoint of a generation."""
    return root.child(f"_checkpoints/{scan_id}.parquet")
