"""Embeddings for the drawn tables of ``benchmarks.query``, with the shape of those of a CLIP: a common mean, kinds of
things around it, objects of a kind, and several looks at an object. Texts lie elsewhere, as those of a CLIP do."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.dataset as ds

from schemas.records import CompactionRecord, PartFile
from schemas.tables import SHARD, Table, written_schema
from tasks.storage import replace_file
from tasks.tables import Tables
from tasks.tables.merge import pack
from tasks.tables.parts import day_folder
from tasks.tables.records import publish_compaction, read_compactions, remove_older

Floats = npt.NDArray[np.float32]

_RANK = 64  # directions in which kinds differ much
_KINDS_OF_A_NAME = 8
_CHUNK = 32_768


class World:
    """Where kinds of things lie, in ``dimension`` numbers; the same every time."""

    def __init__(self, names: int, dimension: int) -> None:
        rng = np.random.default_rng(0)
        self.dimension = dimension
        self._mean, self._texts = _unit(rng.standard_normal((2, dimension)))
        self._basis = rng.standard_normal((_RANK, dimension)).astype(np.float32) / np.float32(np.sqrt(dimension))
        self._spectrum = (np.arange(1, _RANK + 1) ** -0.5).astype(np.float32)
        self._kinds = _unit(self._in_directions(rng, names * _KINDS_OF_A_NAME))

    def _in_directions(self, rng: np.random.Generator, count: int) -> Floats:
        within: Floats = (rng.standard_normal((count, _RANK), np.float32) * self._spectrum) @ self._basis
        return within

    def _noise(self, rng: np.random.Generator, count: int, length: float) -> Floats:
        return rng.standard_normal((count, self.dimension), np.float32) * np.float32(length / np.sqrt(self.dimension))

    def looks(self, rng: np.random.Generator, names: npt.NDArray[np.int64], objects: npt.NDArray[np.int64]) -> Floats:
        """Embeddings of rows with these names; rows of the same number in ``objects`` show the same object."""
        _, first, of_row = np.unique(objects, return_index=True, return_inverse=True)
        count = len(first)
        kinds = names[first] * _KINDS_OF_A_NAME + rng.integers(_KINDS_OF_A_NAME, size=count)
        own = 0.12 * self._in_directions(rng, count) + self._noise(rng, count, 0.45)
        things = np.float32(0.8) * self._mean + np.float32(0.45) * self._kinds[kinds] + own
        return _unit(things[of_row] + self._noise(rng, len(names), 0.15))

    def texts(self, rng: np.random.Generator, count: int) -> Floats:
        """Embeddings of texts, each about one kind."""
        kinds = self._kinds[rng.integers(len(self._kinds), size=count)]
        return _unit(np.float32(0.9) * self._texts + np.float32(0.35) * kinds + self._noise(rng, count, 0.25))


def _unit(vectors: npt.NDArray[np.floating]) -> Floats:
    found: Floats = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    return found


def add_embeddings(tables: Path, world: World) -> None:
    """Give every merged instance an embedding, in merged files as compaction leaves them."""
    root = Tables.at(tables).root
    [scan] = Tables.at(tables).scans()
    for day, record in sorted(read_compactions(root, scan.scan_id).items()):
        if any(file.table == Table.EMBEDDINGS for file in record.files):
            continue
        files = []
        for merged in pack(_embeddings(tables, record, world)):
            path = f"{day_folder(Table.EMBEDDINGS, scan.scan_id, day)}/merged-000002-{merged.sha256[:12]}.parquet"
            replace_file(root.child(path), merged.data)
            files.append(PartFile(Table.EMBEDDINGS.value, path, merged.rows, len(merged.data), merged.sha256))
        following = replace(record, number=record.number + 1, files=(*record.files, *files))
        assert publish_compaction(root, following)
        remove_older(root, following)


def _embeddings(tables: Path, record: CompactionRecord, world: World) -> Iterator[pa.Table]:
    """Rows of ``embeddings`` of a day, in the order of ``instances``."""
    rng = np.random.default_rng(record.day.toordinal())
    schema = written_schema(Table.EMBEDDINGS, world.dimension).append(SHARD)
    paths = [str(tables / file.path) for file in record.files if file.table == Table.INSTANCES]
    rows = ds.dataset(paths).to_table(columns=["instance_id", "track_id", "name", "shard"])
    names = np.array([int(str(name).rsplit(" ", 1)[1]) for name in rows["name"].to_pylist()])
    objects = rows["track_id"].combine_chunks().dictionary_encode().indices.to_numpy()
    for start in range(0, len(rows), _CHUNK):
        part = slice(start, start + _CHUNK)
        vectors = world.looks(rng, names[part], objects[part]).astype(np.float16)
        lists = pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), world.dimension)
        some = rows.slice(start, _CHUNK)
        yield pa.table([some["instance_id"], lists, some["shard"]], names=schema.names).cast(schema)
