"""The committed rows of a table: as one pyarrow dataset, as files for an engine, or single rows by number.

``id_keys`` has their ids as numbers, to compare and look up millions of them.
"""

from collections.abc import Container, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.parquet as pq
from pyarrow.fs import FileSystem, FSSpecHandler, LocalFileSystem, PyFileSystem

from schemas.records import PartFile
from schemas.tables import FRAMES, INSTANCES, SHARD, Table
from tasks.errors import UserError
from tasks.storage import Location, cannot_read, is_local
from tasks.storage_errors import storage_errors
from tasks.tables.selection import SelectedFile, Selection, select

Keys = npt.NDArray[np.uint64]

_DIGITS = 20  # of an instance_id
_ODD = np.uint64(0x9E3779B97F4A7C15)  # spreads one half of an id over 64 bits
_THREADS = 4
_AT_ONCE = 16_000_000  # bytes of row groups, about, that are unpacked before their other rows are dropped

Numbers = npt.NDArray[np.int64]


def id_keys(ids: pa.Array) -> Keys:
    """(N,) uint64 of ids of 20 hex digits: among ten million ids, no two share one by chance. Read directly from
    memory: a million take a moment. Raises UserError for other ids."""
    wide = ids.cast(pa.large_string())
    _, offsets, text = wide.buffers()
    if not len(wide):
        return np.zeros(0, np.uint64)
    ends = np.frombuffer(offsets, np.int64)[wide.offset : wide.offset + len(wide) + 1]
    if not np.all(np.diff(ends) == _DIGITS):
        raise UserError(f"An instance_id of these tables does not have {_DIGITS} digits. They are not of Clipomaly.")
    digits = np.frombuffer(text, np.uint8)[ends[0] : ends[-1]].reshape(len(wide), _DIGITS)
    halves = np.ascontiguousarray(digits[:, :16]).view(np.uint64)
    keys: Keys = halves[:, 0] * _ODD ^ halves[:, 1]
    return keys


def object_keys(rows: pa.Table) -> Keys:
    """(N,) uint64 of rows with ``track_id`` and ``instance_id``: instances of the same object share a key."""
    return id_keys(pc.coalesce(rows["track_id"], rows["instance_id"]).combine_chunks())


def arrow_filesystem(root: Location) -> FileSystem:
    """The filesystem of a place, for Arrow."""
    return LocalFileSystem() if is_local(root.fs) else PyFileSystem(FSSpecHandler(root.fs))


def read_rows(root: Location, files: Sequence[PartFile], rows: Numbers, columns: Sequence[str] | None) -> pa.Table:
    """Some rows of these files in the order of ``rows``: (n,) numbers, n > 0, counted through all files from 0. Without
    ``columns``, all that any of these files has.

    Raises UserError when a file cannot be read.
    """
    order = np.argsort(rows)
    wanted = rows[order]
    ends = np.cumsum([file.rows for file in files])
    cuts = np.searchsorted(wanted, [0, *ends])
    parts = [
        (file, wanted[start:stop] - (end - file.rows))
        for file, end, start, stop in zip(files, ends, cuts[:-1], cuts[1:], strict=True)
        if start < stop
    ]
    filesystem = arrow_filesystem(root)
    with ThreadPoolExecutor(_THREADS) as pool:
        found = pool.map(lambda part: _read_file(root, filesystem, part[0], part[1], columns), parts)
        table = pa.concat_tables(found, promote_options="default")
    return table.combine_chunks().take(pa.array(np.argsort(order)))


def read_in_order(
    root: Location, files: Sequence[PartFile], columns: Sequence[str], at_once: int = 32_768
) -> Iterator[pa.Table]:
    """All rows of these files, about ``at_once`` at a time. Raises UserError when a file cannot be read."""
    filesystem = arrow_filesystem(root)
    for file in files:
        with _opened(root, filesystem, file) as parquet:
            number = parquet.metadata.num_row_groups
            together = max(1, at_once * number // max(1, file.rows))
            for first in range(0, number, together):
                yield parquet.read_row_groups([*range(first, min(first + together, number))], columns=[*columns])


@contextmanager
def _opened(root: Location, filesystem: FileSystem, file: PartFile) -> Iterator[pq.ParquetFile]:
    place = root.child(file.path)
    try:
        with filesystem.open_input_file(place.path) as opened:
            yield pq.ParquetFile(opened, pre_buffer=not is_local(root.fs))
    except storage_errors() as error:
        raise cannot_read(place, error) from error
    except pa.ArrowInvalid as error:
        raise UserError(f"{place.url} is damaged: {error}. clipomaly check says what to do.") from error


def _read_file(
    root: Location, filesystem: FileSystem, file: PartFile, wanted: Numbers, columns: Sequence[str] | None
) -> pa.Table:
    with _opened(root, filesystem, file) as parquet:
        return pa.concat_tables(_read_groups(parquet, wanted, columns))


def _read_groups(parquet: pq.ParquetFile, wanted: Numbers, columns: Sequence[str] | None) -> Iterator[pa.Table]:
    metadata = parquet.metadata
    groups = [metadata.row_group(number) for number in range(metadata.num_row_groups)]
    starts = np.cumsum([0, *(group.num_rows for group in groups)])
    of_row = np.searchsorted(starts, wanted, "right") - 1
    together: list[int] = []
    size = 0
    for number in np.unique(of_row).tolist():
        together.append(number)
        size += groups[number].total_byte_size
        if size > _AT_ONCE:
            yield _taken(parquet, together, starts, of_row, wanted, columns)
            together, size = [], 0
    if together:
        yield _taken(parquet, together, starts, of_row, wanted, columns)


def _taken(
    parquet: pq.ParquetFile,
    groups: list[int],
    starts: Numbers,
    of_row: Numbers,
    wanted: Numbers,
    columns: Sequence[str] | None,
) -> pa.Table:
    read = parquet.read_row_groups(groups, columns=columns and [*columns], use_threads=False)
    lengths = starts[np.array(groups) + 1] - starts[groups]
    first = np.cumsum(lengths) - lengths  # of each group within what was read
    mine = wanted[np.isin(of_row, groups)]
    which = np.searchsorted(groups, np.searchsorted(starts, mine, "right") - 1)
    # Taking rows out of many pieces would take Arrow a thousand times as long.
    return read.combine_chunks().take(pa.array(mine - starts[groups][which] + first[which]))


def open_rows(
    root: Location, table: str, scan_id: str | None = None, besides: Container[tuple[str, date]] = ()
) -> ds.Dataset:
    """The committed rows of a table; see ``tasks.tables.open_table``. Merged files of the generations and days
    ``besides`` are left out."""
    return filtered(root, without_merged(select(root, table, scan_id), besides))


def without_merged(selection: Selection, days: Container[tuple[str, date]]) -> Selection:
    """A selection without the merged files of some generations' days."""
    files = [item for item in selection.files if item.shard_id is not None or (item.scan_id, item.day) not in days]
    return replace(selection, files=tuple(files))


def filtered(root: Location, selection: Selection) -> ds.Dataset:
    """The rows of a selection that count."""
    dataset = whole_files(root, selection)
    for rows in selection.left_out:
        left_out = rows.expression()
        if selection.table is Table.EMBEDDINGS and rows.sources is not None:
            # Embeddings carry no source. The id covers the generation and the etag: it names one row of the table.
            instances = whole_files(root, select(root, Table.INSTANCES, rows.scan_id))
            ids = instances.to_table(columns=["instance_id"], filter=left_out)["instance_id"]
            left_out = ds.field("instance_id").isin(ids.combine_chunks())
        dataset = dataset.filter(~left_out)
    return dataset


@dataclass(frozen=True, slots=True)
class LocalFiles:
    """Parquet files on a local disk, absolute paths, and a condition in SQL for the rows in them that count.

    ``schema`` is that of ``open_table``: ``scan`` and ``dt`` come from the folders of a file, and files of an older
    schema version lack the newer columns.
    """

    paths: tuple[str, ...]
    schema: pa.Schema
    condition: str | None
    is_of_one_schema: bool


def local_files(root: Location, table: str) -> LocalFiles | None:
    """The rows of ``open_rows`` as files, for an engine that reads Parquet itself. None if it cannot read them itself:
    tables that are not on a local disk or are empty, and embeddings, whose type differs.

    Raises UserError as ``open_table`` does.
    """
    selection = select(root, table, None)
    if not selection.files or not is_local(root.fs) or selection.table is Table.EMBEDDINGS:
        return None
    return LocalFiles(
        paths=tuple(root.child(item.file.path).path for item in selection.files),
        schema=row_schema(selection),
        condition=" AND ".join(f"NOT ({rows.sql()})" for rows in selection.left_out) or None,
        is_of_one_schema=selection.is_of_one_schema,
    )


def row_schema(selection: Selection) -> pa.Schema:
    """The columns of ``open_table``."""
    match selection.table:
        case Table.INSTANCES:
            files = INSTANCES
        case Table.FRAMES:
            files = FRAMES
        case Table.EMBEDDINGS:
            embedding = pa.list_(pa.float32(), selection.embedding_dimension)
            files = pa.schema([("instance_id", pa.string()), ("embedding", embedding)])
    folders = [pa.field("scan", pa.string()), pa.field("dt", pa.date32())]
    return pa.schema([*files, *folders, SHARD])


def whole_files(root: Location, selection: Selection) -> ds.Dataset:
    """All rows of the selected files, also those that do not count."""
    parquet = ds.ParquetFileFormat()
    filesystem = arrow_filesystem(root)
    fragments = [
        parquet.make_fragment(root.child(item.file.path).path, filesystem, _known_of(item), file_size=item.file.size)
        for item in selection.files
    ]
    return ds.FileSystemDataset(fragments, row_schema(selection), parquet, filesystem)


def _known_of(item: SelectedFile) -> ds.Expression:
    """What is known about the rows of a file without reading it."""
    known = (ds.field("scan") == item.scan_id) & (ds.field("dt") == pa.scalar(item.day))
    return known if item.shard_id is None else known & (ds.field("shard") == item.shard_id)
