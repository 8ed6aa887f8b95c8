"""The embeddings of a model's instances: which scans they are from, and the vectors themselves."""

from collections import Counter
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from types import MappingProxyType

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

from schemas.records import ScanRecord
from schemas.tables import Table
from tasks.errors import UserError
from tasks.tables.dataset import id_keys, open_rows
from tasks.tables.tables import Tables

Vectors = npt.NDArray[np.float16]


@dataclass(frozen=True, slots=True)
class OneModel:
    """Rows of ``instances`` that one model found, so that their embeddings can be compared.

    ``scans`` are its generations, oldest first; ``rows`` their live instances, with the columns asked for and
    ``scan``. ``left_out`` counts live instances of each other model.
    """

    scans: tuple[ScanRecord, ...]
    rows: pa.Table
    left_out: tuple[tuple[str, int], ...]

    @property
    def newest(self) -> ScanRecord:
        """Its newest generation."""
        return self.scans[-1]

    def warning(self) -> str | None:
        """A line about the instances of other models."""
        if not self.left_out:
            return None
        others = ", ".join(f"{count:,} of {model}" for model, count in self.left_out)
        return (
            f"the tables hold embeddings of different models, which cannot be compared: taking those of "
            f"{self.newest.model} ({self.newest.weights_sha256[:8]}) and leaving out {others}; scan their sources "
            "again with one model"
        )


def read_one_model(
    tables: Tables,
    columns: Sequence[str],
    condition: ds.Expression | None = None,
    indexed: Mapping[tuple[str, date], int] = MappingProxyType({}),
) -> OneModel:
    """The live instances that meet ``condition``, of the newest model among them.

    The merged files of ``indexed`` generations and days are not read; how many of their instances meet the condition
    is known. Raises UserError when there are no tables.
    """
    rest = open_rows(tables.root, Table.INSTANCES, besides=indexed)
    table = rest.to_table(columns=[*columns, "scan"], filter=condition)
    scans = tables.scans()
    counts = Counter({str(pair["values"]): int(pair["counts"]) for pair in table["scan"].value_counts().to_pylist()})
    for (scan_id, _), count in indexed.items():
        counts[scan_id] += count
    counts = +counts
    newest = next((scan for scan in reversed(scans) if scan.scan_id in counts), scans[-1])
    chosen = tuple(scan for scan in scans if scan.weights_sha256 == newest.weights_sha256)
    others: dict[str, int] = {}
    for scan in scans:
        if scan.weights_sha256 != newest.weights_sha256 and scan.scan_id in counts:
            label = f"{scan.model} ({scan.weights_sha256[:8]})"
            others[label] = others.get(label, 0) + counts[scan.scan_id]
    if others:
        table = table.filter(pc.is_in(table["scan"], pa.array([scan.scan_id for scan in chosen])))
    return OneModel(chosen, table, tuple(others.items()))


def read_vectors(tables: Tables, scans: Sequence[ScanRecord], instance_ids: pa.ChunkedArray) -> Vectors:
    """The embeddings of these instances, (N, D) float16 of length 1, in their order.

    Holds little more than the result. Raises UserError when one has none.
    """
    vectors = np.zeros((len(instance_ids), scans[-1].embedding_dimension), np.float16)
    for places, part in _matched(tables, scans, instance_ids):
        norms = np.linalg.norm(part, axis=1, keepdims=True)
        vectors[places] = part / np.maximum(norms, 1e-12)
    return vectors


def sample_vectors(tables: Tables, scan: ScanRecord, count: int = 4096) -> Vectors:
    """At most ``count`` embeddings of a scan, drawn evenly and always the same: (n, D) float16 of length 1."""
    table = tables.open(Table.EMBEDDINGS, scan_id=scan.scan_id)
    rows = table.count_rows()
    drawn = np.sort(np.random.default_rng(0).choice(rows, min(count, rows), replace=False))
    column = table.take(pa.array(drawn), columns=["embedding"])["embedding"].combine_chunks()
    flat = column.flatten().to_numpy(zero_copy_only=False).astype(np.float32)
    vectors = flat.reshape(len(column), scan.embedding_dimension)
    return (vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)).astype(np.float16)


def cosines(
    tables: Tables,
    scans: Sequence[ScanRecord],
    instance_ids: pa.ChunkedArray,
    vector: npt.NDArray[np.float32],
    besides: Container[tuple[str, date]] = (),
) -> npt.NDArray[np.float32]:
    """The cosine of each of these instances with a (D,) vector of length 1: (N,) float32, without holding the
    embeddings in memory. None of them is in the merged files of the generations and days ``besides``.

    Raises UserError when one has none.
    """
    found = np.zeros(len(instance_ids), np.float32)
    for places, part in _matched(tables, scans, instance_ids, besides):
        found[places] = cosines_of(part, vector)
    return found


def cosines_of(vectors: npt.NDArray[np.float32], vector: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """The cosine of each of (N, D) embeddings with a (D,) vector of length 1: (N,) float32."""
    norms = np.sqrt(np.einsum("ij,ij->i", vectors, vectors))
    # Not ``@``: BLAS starts threads for each part, and on a busy machine they wait for each other.
    found: npt.NDArray[np.float32] = np.einsum("ij,j->i", vectors, vector) / np.maximum(norms, 1e-12)
    return found


def _matched(
    tables: Tables,
    scans: Sequence[ScanRecord],
    instance_ids: pa.ChunkedArray,
    besides: Container[tuple[str, date]] = (),
) -> Iterator[tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]]:
    """These instances in parts: their places, and their (n, D) embeddings."""
    wanted = _Index(instance_ids)
    there = np.zeros(len(instance_ids), np.bool_)
    for scan in scans:
        for ids, part in _batches(tables, scan, besides):
            places = wanted.find(ids)
            hit = places >= 0
            if hit.any():
                there[places[hit]] = True
                yield places[hit], part if hit.all() else part[hit]
    if not there.all():
        raise UserError(
            f"{np.count_nonzero(~there):,} of {len(there):,} instances in {tables.name} have no embedding: the table "
            "embeddings is missing or not whole. Scan their sources again into new tables."
        )


def _batches(
    tables: Tables, scan: ScanRecord, besides: Container[tuple[str, date]]
) -> Iterator[tuple[pa.Array, npt.NDArray[np.float32]]]:
    """Ids and (n, D) float32 embeddings of a scan."""
    table = open_rows(tables.root, Table.EMBEDDINGS, scan.scan_id, besides)
    try:
        for batch in table.to_batches(columns=["instance_id", "embedding"], batch_size=32_768, fragment_readahead=2):
            column = batch.column("embedding")
            # Widened before anything is computed: numpy is several times slower at half precision, and rounds.
            flat = column.flatten().to_numpy(zero_copy_only=False).astype(np.float32)
            yield batch.column("instance_id"), flat.reshape(len(column), scan.embedding_dimension)
    except FileNotFoundError as error:
        raise UserError(
            f"The table embeddings of scan {scan.scan_id} is gone from {tables.name} ({error}). "
            "Scan the archive again into new tables."
        ) from error


class _Index:
    """Finds the places of ids by a 64-bit hash: among a million ids, no two share one by chance."""

    def __init__(self, ids: pa.ChunkedArray) -> None:
        self._keys = id_keys(ids.combine_chunks())
        self._next = 0  # after the last that was found
        self._sorted: tuple[npt.NDArray[np.int64], npt.NDArray[np.uint64]] | None = None

    def find(self, ids: pa.Array) -> npt.NDArray[np.int64]:
        """The place of each id, -1 if it is missing."""
        if not len(self._keys):
            return np.full(len(ids), -1)
        keys = id_keys(ids)
        # Both tables are written in the same order: if all are asked for, the next ids begin where the last ones ended.
        end = self._next + len(keys)
        if np.array_equal(self._keys[self._next : end], keys):
            places = np.arange(self._next, end)
            self._next = end
            return places
        if self._sorted is None:
            order = np.argsort(self._keys)
            self._sorted = order, self._keys[order]
        order, ordered = self._sorted
        at = np.minimum(np.searchsorted(ordered, keys), len(ordered) - 1)
        found = np.where(ordered[at] == keys, order[at], -1)
        self._next = int(found[-1]) + 1 if len(found) else self._next
        return found
