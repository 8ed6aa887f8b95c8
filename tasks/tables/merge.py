"""Merge the files of many shards into few files of at most 256 MB: the same rows, in the order of their sources."""

import hashlib
import heapq
import io
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from clipomaly_core.errors import UserError
from schemas.records import PartFile
from schemas.tables import SHARD
from tasks.storage import Location, read_file
from tasks.tables.parts import parquet_writer, with_shard

LARGEST = 256_000_000  # bytes
# More than the end of a file takes for each row group (footer, page index), and for each row in it (Bloom filters).
_GROUP_END, _ROW_END = 12_000, 3
# Arrow reads a whole row group or none of it, so reading few rows must not read many others. Counting is a third slower
# than in groups four times as large.
_GROUP_ROWS = 8_192
_GROUP_BYTES = 64_000_000
# Search reads single embeddings from everywhere: a row group is the least that can be read.
_EMBEDDINGS_BYTES = 256_000
_AHEAD = 16  # small files read at once

_Place = tuple[str, str]  # where a shard comes in order: its first source, its id
_Run = tuple[_Place, pa.Table]  # rows of one shard
Keep = Callable[[str, pa.Table], pa.Table]  # a shard and some of its rows → those of them that stay


@dataclass(frozen=True, slots=True)
class Merged:
    """A merged file, not written yet."""

    data: bytes
    rows: int

    @property
    def sha256(self) -> str:
        """In hexadecimal digits, as in records."""
        return hashlib.sha256(self.data).hexdigest()


def merge(
    root: Location,
    parts: Mapping[str, PartFile],
    merged: Sequence[PartFile],
    first_source: Mapping[str, str],
    keep: Keep = lambda shard_id, rows: rows,
) -> Iterator[Merged]:
    """Merge part files, by shard_id, and files merged before. ``keep`` chooses among the rows of each shard.

    Rows come by the ``first_source`` of their shard, the URI, so those of a drive lie together; within a shard they
    stay as they are. Rows of shards that have none there are left out. The same files give the same bytes. Holds one
    merged file in memory, and little more.

    Raises UserError when a file cannot be read or is not what was recorded.
    """
    in_order = sorted(parts, key=lambda shard_id: (first_source[shard_id], shard_id))
    runs = [_runs_of_parts(root, [(shard_id, parts[shard_id]) for shard_id in in_order], first_source)]
    runs += [_runs_of_merged(root, file, first_source) for file in merged]
    in_order_of_sources = heapq.merge(*runs, key=lambda run: run[0])
    return pack(keep(shard_id, rows) for (_, shard_id), rows in in_order_of_sources)


def read_whole(root: Location, file: PartFile) -> bytes:
    """The bytes of a file. Raises UserError when it is gone or not what was recorded."""
    place = root.child(file.path)
    data = read_file(place)
    if hashlib.sha256(data).hexdigest() != file.sha256:
        raise UserError(f"{place.url} is damaged: its bytes are not those that were recorded. Restore it from a copy.")
    return data


def _runs_of_parts(
    root: Location, parts: Sequence[tuple[str, PartFile]], first_source: Mapping[str, str]
) -> Iterator[_Run]:
    with ThreadPoolExecutor(_AHEAD) as pool:
        for start in range(0, len(parts), _AHEAD):
            some = parts[start : start + _AHEAD]
            for (shard_id, _), data in zip(some, pool.map(lambda part: read_whole(root, part[1]), some), strict=True):
                rows = pq.ParquetFile(io.BytesIO(data)).read()
                yield (first_source[shard_id], shard_id), with_shard(rows, shard_id)


def _runs_of_merged(root: Location, file: PartFile, first_source: Mapping[str, str]) -> Iterator[_Run]:
    opened = pq.ParquetFile(io.BytesIO(read_whole(root, file)))
    for number in range(opened.num_row_groups):
        rows = opened.read_row_group(number)
        start = 0
        runs = pc.run_end_encode(rows[SHARD.name].combine_chunks())
        for shard_id, end in zip(runs.values.to_pylist(), runs.run_ends.to_pylist(), strict=True):
            if shard_id in first_source:
                yield (first_source[shard_id], shard_id), rows.slice(start, end - start)
            start = end


def pack(runs: Iterable[pa.Table]) -> Iterator[Merged]:
    """Files with the rows of one shard after the other, cut where the next row group might not fit (compressed, it is
    smaller than in memory)."""
    buffer, writer, rows, end = io.BytesIO(), None, 0, 0
    for group in _groups(runs):
        group_end = _GROUP_END + _ROW_END * len(group)
        if writer and buffer.tell() + group.nbytes + end + group_end > LARGEST:
            writer.close()
            yield Merged(buffer.getvalue(), rows)
            buffer, writer, rows, end = io.BytesIO(), None, 0, 0
        writer = writer or parquet_writer(buffer, group.schema, len(group))
        writer.write_table(group, row_group_size=max(1, len(group)))
        rows, end = rows + len(group), end + group_end
    if writer:
        writer.close()
        yield Merged(buffer.getvalue(), rows)


def _groups(runs: Iterable[pa.Table]) -> Iterator[pa.Table]:
    """Rows of several shards together, up to one row group; if there are no rows, one empty table."""
    waiting: list[pa.Table] = []
    count = size = 0
    for run in runs:
        largest = _EMBEDDINGS_BYTES if "embedding" in run.column_names else _GROUP_BYTES
        for piece in _pieces(run, largest):
            if waiting and (count + len(piece) > _GROUP_ROWS or size + piece.nbytes > largest):
                yield pa.concat_tables(waiting)
                waiting, count, size = [], 0, 0
            if len(piece) or not waiting:
                waiting.append(piece)
            count, size = count + len(piece), size + piece.nbytes
    if waiting:
        yield pa.concat_tables(waiting)


def _pieces(rows: pa.Table, largest: int) -> Iterator[pa.Table]:
    """The rows of a shard, cut where they are more than a row group of ``largest`` bytes holds."""
    most = max(1, min(_GROUP_ROWS, len(rows) * largest // max(1, rows.nbytes)))
    for start in range(0, max(1, len(rows)), most):
        yield rows.slice(start, most)
