"""Which compacted days have a search index, and how one is made: ``_indexes/<scan_id>/<day>.<digest>.safetensors``.

The digest is that of the merged files which the index is of. So an index of files that were written again is simply not
found any more, and nobody has to mark it.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date

import numpy as np
import pyarrow as pa

from schemas.records import CompactionRecord, PartFile
from schemas.tables import Table
from tasks.errors import UserError
from tasks.storage import Location, file_names, folder_names, is_local, leftovers, read_file, remove_files, replace_file
from tasks.tables.dataset import id_keys, object_keys, read_in_order, read_rows
from tasks.tables.selection import Selection, choose, read_committed
from tasks.tables.vector_index import TRAINED_ON, BadIndexError, Floats, VectorIndex, encode, is_whole, open_index

_FOLDER = "_indexes"
_FEWEST = 1_000  # rows: fewer are compared as fast without an index
_RUNS = 64  # places from which embeddings are drawn, to learn codes


@dataclass(frozen=True, slots=True)
class DayIndexed:
    """A day that got an index of ``rows`` rows and ``size`` bytes, or the ``trouble`` why it got none."""

    scan_id: str
    day: date
    rows: int = 0
    size: int = 0
    trouble: str | None = None


@dataclass(frozen=True, slots=True)
class MergedDay:
    """The merged files of a generation's day, of which an index can be made."""

    scan_id: str
    day: date
    instances: tuple[PartFile, ...]
    embeddings: tuple[PartFile, ...]
    dimension: int

    @classmethod
    def of(cls, record: CompactionRecord, dimension: int) -> "MergedDay":
        """The files of a compaction record."""
        of_table = {table: tuple(file for file in record.files if file.table == table) for table in Table}
        return cls(record.scan_id, record.day, of_table[Table.INSTANCES], of_table[Table.EMBEDDINGS], dimension)

    @property
    def rows(self) -> int:
        """How many instances, also those that no longer count."""
        return sum(file.rows for file in self.instances)

    @property
    def name(self) -> str:
        """The name of its index."""
        told = " ".join(file.sha256 for file in (*self.instances, *self.embeddings))
        return f"{self.day}.{hashlib.sha256(told.encode()).hexdigest()[:12]}.safetensors"

    def place(self, root: Location) -> Location:
        """The place of its index."""
        return root.child(f"{_FOLDER}/{self.scan_id}/{self.name}")


def merged_days(selection: Selection) -> list[MergedDay]:
    """The days whose merged files hold selected rows and are large enough for an index."""
    keys = sorted({(item.scan_id, item.day) for item in selection.files if item.shard_id is None})
    days = [MergedDay.of(selection.compactions[key].record, selection.embedding_dimensions[key[0]]) for key in keys]
    return [day for day in days if day.rows >= _FEWEST]


def index_names(root: Location, scan_id: str) -> frozenset[str]:
    """The indexes of a generation."""
    return frozenset(file_names(root.child(f"{_FOLDER}/{scan_id}"), ".safetensors"))


def open_day(root: Location, day: MergedDay) -> VectorIndex:
    """The index of a day that has one. Raises BadIndexError when it cannot be used."""
    return open_index(day.place(root), day.rows, day.dimension)


def index_days(root: Location) -> Iterator[DayIndexed]:
    """Make the index of every compacted day that lacks one, and remove those of files that were replaced.

    Rows that no compaction merged yet have none, and neither have generations of which no row counts any more. Raises
    UserError when there are no tables or the storage fails; what is wrong with a day is its ``trouble``.
    """
    # Files that are damaged are the trouble of their day alone, so nothing is asked of all files at once.
    wanted = merged_days(choose(read_committed(root), Table.INSTANCES, newest=True))
    for day in wanted:
        if not _is_sound(root, day):
            yield _index_day(root, day)
    keep: dict[str, set[str]] = {}
    for day in wanted:
        keep.setdefault(day.scan_id, set()).add(day.name)
    for scan_id in folder_names(root.child(_FOLDER)):
        folder = root.child(f"{_FOLDER}/{scan_id}")
        kept = keep.get(scan_id, set())
        gone = [name for name in index_names(root, scan_id) if name not in kept]
        # That of an index which is wanted may be another process's that is writing it now.
        gone += [name for name in leftovers(folder) if not any(name.startswith(f".{other}.") for other in kept)]
        remove_files(map(folder.child, gone))


def damaged_indexes(root: Location, scan_id: str) -> Iterator[Location]:
    """The indexes of a generation that are not as they were written. Reads all of them."""
    for name in sorted(index_names(root, scan_id)):
        place = root.child(f"{_FOLDER}/{scan_id}/{name}")
        if not is_whole(read_file(place)):
            yield place


def index_again(root: Location) -> Iterator[DayIndexed]:
    """``index_days`` where there is an index already; else nothing."""
    if folder_names(root.child(_FOLDER)):
        yield from index_days(root)


def _is_sound(root: Location, day: MergedDay) -> bool:
    """Whether it has an index, as far as can be seen without reading it from a store."""
    if day.name not in index_names(root, day.scan_id):
        return False
    try:
        if is_local(root.fs):
            open_day(root, day)
    except BadIndexError:
        return False
    return True


def _index_day(root: Location, day: MergedDay) -> DayIndexed:
    try:
        index = _build(root, day)
        data = index.to_bytes({"scan": day.scan_id, "day": day.day.isoformat()})
        replace_file(day.place(root), data)
        folder = root.child(f"{_FOLDER}/{day.scan_id}")
        remove_files(folder.child(name) for name in leftovers(folder) if name.startswith(f".{day.name}."))
    except UserError as error:
        return DayIndexed(day.scan_id, day.day, trouble=str(error))
    return DayIndexed(day.scan_id, day.day, day.rows, len(data))


def _build(root: Location, day: MergedDay) -> VectorIndex:
    total = sum(file.rows for file in day.embeddings)
    if total != day.rows:
        raise _unequal(day)
    instances = pa.concat_tables(read_in_order(root, day.instances, ["instance_id", "track_id"]))
    keys, objects = id_keys(instances["instance_id"].combine_chunks()), object_keys(instances)
    order = np.argsort(keys)
    rows = np.zeros(total, np.int32)

    def vectors() -> Iterator[Floats]:
        start = 0
        for part in read_in_order(root, day.embeddings, ["instance_id", "embedding"]):
            wanted = id_keys(part["instance_id"].combine_chunks())
            found = order[np.minimum(np.searchsorted(keys, wanted, sorter=order), total - 1)]
            if not np.array_equal(keys[found], wanted):
                raise _unequal(day)
            rows[start : start + len(found)] = found
            start += len(found)
            yield _unit(part["embedding"], day.dimension)

    runs = np.linspace(0, total, min(total, _RUNS), endpoint=False).astype(np.int64)
    drawn = np.unique(np.minimum(runs[:, None] + np.arange(TRAINED_ON // _RUNS), total - 1))
    sample = _unit(read_rows(root, day.embeddings, drawn, ["embedding"])["embedding"], day.dimension)
    codes, centroids = encode(sample, vectors())
    return VectorIndex(day.dimension, codes, centroids, rows, objects[rows])


def vectors_of(column: pa.ChunkedArray, dimension: int) -> Floats:
    """Embeddings of a file as (n, D) float32."""
    flat: Floats = column.combine_chunks().flatten().to_numpy(zero_copy_only=False).astype(np.float32)
    return flat.reshape(-1, dimension)


def _unit(column: pa.ChunkedArray, dimension: int) -> Floats:
    vectors = vectors_of(column, dimension)
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)


def _unequal(day: MergedDay) -> UserError:
    return UserError(
        f"The embeddings of {day.day}, scan {day.scan_id}, are not those of its instances: no search index was made. "
        "clipomaly check says what is damaged."
    )
