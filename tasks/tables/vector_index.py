"""A search index: short codes of many embeddings, to find the few that are worth comparing.

Each two numbers of an embedding become four bits (product quantization, Jégou et al. 2011), so a code takes an eighth
of the embedding at half precision. Short embeddings give less to compare, so there each number becomes four bits. All
codes are compared with a text, by table look-ups in vector registers (André et al. 2015; faiss's ``IndexPQFastScan``).

The file is safetensors: plain arrays, of which nothing is executed. faiss's own format is not used, because reading a
damaged file of it can end the process.
"""

import hashlib
import json
import math
import mmap
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from safetensors.numpy import save

from tasks.errors import UserError
from tasks.storage import Location, is_local, read_file

if TYPE_CHECKING:
    import faiss  # takes a second to import, and most commands search nothing

VERSION = "1"  # of the file's content
TRAINED_ON = 16_384  # embeddings at most

_BITS, _WORDS = 4, 16  # of a part of a code, and its values
_SHORT = 256  # numbers of an embedding: up to here each has a part of its own, else each two
_BLOCK = 32  # codes that faiss compares at once
# Sixteen bytes hold a part of the 32 codes of a block. Their lower halves belong to the first 16 codes, in this order;
# the upper halves to the code 16 places further on.
_LANES = np.arange(_BLOCK // 2).reshape(2, -1).T.ravel()
_BLOCKS = 64  # whose codes fit into a core's cache
_SLICE = 1 << 18  # codes that are copied for a comparison
_LONGEST_HEADER = 100_000  # bytes
_NAMES = {np.dtype(np.uint8): "U8", np.dtype(np.float32): "F32", np.dtype(np.int32): "I32", np.dtype(np.uint64): "U64"}

_WRONG = (ValueError, KeyError, TypeError, AttributeError, IndexError, OSError)  # of a file that is something else

Floats = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]


class BadIndexError(UserError):
    """A search index that cannot be used. The message says why, for the end of a sentence."""


@dataclass(frozen=True, slots=True)
class VectorIndex:
    """The index of N embeddings of D numbers.

    ``codes`` (ceil(N / 32), bytes) uint8 are faiss's blocks of 32 codes. ``centroids`` (parts, 16, D / parts) float32
    say what codes stand for. ``rows`` (N,) int32 is the row of ``instances`` that each embedding is of,
    ``objects`` (N,) uint64 a key that instances of the same object share.
    """

    dimension: int
    codes: npt.NDArray[np.uint8]
    centroids: Floats
    rows: npt.NDArray[np.int32]
    objects: npt.NDArray[np.uint64]

    def __len__(self) -> int:
        return len(self.rows)

    def nearest(self, vector: Floats, count: int, mask: Mask | None = None) -> tuple[Floats, npt.NDArray[np.int64]]:
        """About the ``count`` embeddings with the greatest cosine to a (D,) vector of length 1 of every 262,144:
        estimates of the cosines, and the embeddings' numbers. Only embeddings in ``mask`` (N,), if it is given."""
        query = _padded(vector[None])
        worst = self._worst_code(query[0])
        scores, numbers = [np.zeros(0, np.float32)], [np.zeros(0, np.int64)]
        for start in range(0, len(self), _SLICE):
            stop = min(start + _SLICE, len(self))
            kept = None if mask is None else mask[start:stop]
            wanted = min(count, stop - start if kept is None else int(np.count_nonzero(kept)))
            if wanted:
                index, places = self._slice(start, stop, kept, worst)
                found, at = index.search(query, wanted)
                if at.min() < 0:
                    raise BadIndexError("codes that stand for nothing")
                found, at = found[0], places[at[0]]
                if kept is not None:  # one that is not wanted can be here only if it ties with the worst
                    found, at = found[kept[at]], at[kept[at]]
                scores.append(found)
                numbers.append(start + at)
        return np.concatenate(scores), np.concatenate(numbers)

    def _worst_code(self, query: Floats) -> npt.NDArray[np.uint8]:
        """The code with the smallest cosine that a code can have, each word in both halves of a byte: (parts, 1)."""
        parts, _, numbers = self.centroids.shape
        words = np.einsum("pn,pwn->pw", query.reshape(parts, numbers), self.centroids).argmin(axis=1).astype(np.uint8)
        return np.pad(words | words << _BITS, (0, parts % 2))[:, None]

    def _slice(
        self, start: int, stop: int, mask: Mask | None, worst: npt.NDArray[np.uint8]
    ) -> "tuple[faiss.Index, npt.NDArray[np.int64]]":
        """Codes as an index of faiss, and their places from ``start``. Those that are not in ``mask`` get the worst
        code there is, so they are found last: faiss takes no mask here, and removes codes one by one."""
        import faiss

        codes, places = self.codes[start // _BLOCK : -(-stop // _BLOCK)], np.arange(stop - start)
        if mask is not None:
            wanted = np.pad(mask, (0, len(codes) * _BLOCK - len(mask))).reshape(-1, _BLOCK)
            used = np.flatnonzero(wanted.any(axis=1))
            wanted = wanted[used]
            halves = wanted[:, _LANES] * np.uint8(0x0F) | wanted[:, _LANES + _BLOCK // 2] * np.uint8(0xF0)
            codes = codes[used].reshape(len(used), -1, _BLOCK // 2)
            for first in range(0, len(codes), _BLOCKS):
                some = codes[first : first + _BLOCKS]
                some ^= (some ^ worst) & ~halves[first : first + _BLOCKS, None]
            places = (used[:, None] * _BLOCK + np.arange(_BLOCK)).ravel()
            places = places[places < stop - start]
        index: Any = _empty(self.dimension)  # faiss's type hints lack some of its attributes
        faiss.copy_array_to_vector(self.centroids.ravel(), index.pq.centroids)
        index.is_trained, index.ntotal, index.ntotal2 = True, len(places), len(codes) * _BLOCK
        faiss.copy_array_to_AlignedTable(np.ascontiguousarray(codes).ravel(), index.codes)
        return index, places

    def to_bytes(self, described: Mapping[str, str]) -> bytes:
        """The content of its file; ``described`` says what it is of."""
        tensors: dict[str, npt.NDArray[Any]] = {
            "codes": self.codes,
            "centroids": self.centroids,
            "rows": self.rows,
            "objects": self.objects,
        }
        told = {**described, "version": VERSION}
        return bytes(save(tensors, {**told, "sha256": _digest(bytes(save(tensors, told)))}))


def encode(sample: Floats, vectors: Iterable[Floats]) -> tuple[npt.NDArray[np.uint8], Floats]:
    """``codes`` and ``centroids`` of embeddings of length 1, given as parts (n, D). ``sample`` (m, D), m > 0, are those
    to learn codes from."""
    import faiss

    dimension = sample.shape[1]
    index = _empty(dimension)
    index.pq.cp.min_points_per_centroid = 1  # small days have few, and faiss would complain on stderr
    threads = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(1)  # parts are so small that threads mostly wait for each other: 3 to 10 times as slow
    try:
        index.train(_padded(sample))
        for part in vectors:
            index.add(_padded(part))
    finally:
        faiss.omp_set_num_threads(threads)
    codes = faiss.AlignedTable_to_array(index.codes).reshape(-1, _bytes_of_block(dimension))
    centroids = faiss.vector_to_array(index.pq.centroids).reshape(index.pq.M, _WORDS, -1)
    return codes[: -(-index.ntotal // _BLOCK)], centroids


def open_index(place: Location, count: int, dimension: int) -> VectorIndex:
    """The index of ``count`` embeddings in a file. On a local disk, its arrays are read when they are used. Raises
    BadIndexError when it is no such index, UserError when the file cannot be read."""
    parts, numbers = _parts(dimension)
    expected: dict[str, tuple[type[np.generic], tuple[int, ...]]] = {
        "codes": (np.uint8, (-(-count // _BLOCK), _bytes_of_block(dimension))),
        "centroids": (np.float32, (parts, _WORDS, numbers)),
        "rows": (np.int32, (count,)),
        "objects": (np.uint64, (count,)),
    }
    try:
        data = _mapped(place)
        header, start = _header(data)
        arrays = {
            name: _array(data, start, header[name], np.dtype(kind), shape) for name, (kind, shape) in expected.items()
        }
    except _WRONG as error:
        raise BadIndexError("it is damaged") from error
    index = VectorIndex(dimension, **arrays)
    if count and (int(index.rows.min()) < 0 or int(index.rows.max()) >= count):
        raise BadIndexError("it names rows that are not there")
    return index


def is_whole(data: bytes) -> bool:
    """Whether the content of a file is that of an index as it was written."""
    try:
        header, _ = _header(data)
        return bool(header["__metadata__"]["sha256"] == _digest(data))
    except (BadIndexError, *_WRONG):
        return False


def _digest(data: bytes) -> str:
    return hashlib.sha256(data[8 + int.from_bytes(data[:8], "little") :]).hexdigest()


def _header(data: "bytes | mmap.mmap") -> tuple[dict[str, Any], int]:
    """What a file holds, and where its arrays begin."""
    start = 8 + int.from_bytes(data[:8], "little")
    if not 8 < start <= min(_LONGEST_HEADER, len(data)):
        raise BadIndexError("it is no file of safetensors")
    header: dict[str, Any] = json.loads(bytes(data[8:start]))
    if header["__metadata__"].get("version") != VERSION:
        raise BadIndexError("it is of another version, or of another program")
    ends = [int(tensor["data_offsets"][1]) for name, tensor in header.items() if name != "__metadata__"]
    if len(data) - start != max(ends):
        raise BadIndexError("it is cut off")
    return header, start


def _mapped(place: Location) -> "bytes | mmap.mmap":
    if not is_local(place.fs):
        return read_file(place)
    with open(place.path, "rb") as file:
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)


def _array(
    data: "bytes | mmap.mmap", start: int, told: Mapping[str, Any], kind: np.dtype[Any], shape: tuple[int, ...]
) -> npt.NDArray[Any]:
    begin, end = map(int, told["data_offsets"])
    if (
        told["dtype"] != _NAMES[kind]
        or tuple(told["shape"]) != shape
        or end - begin != kind.itemsize * math.prod(shape)
    ):
        raise BadIndexError("it is not of the embeddings that lie there")
    return np.frombuffer(data, kind, math.prod(shape), start + begin).reshape(shape)


def _parts(dimension: int) -> tuple[int, int]:
    """How many parts a code has, and how many numbers each stands for."""
    numbers = 1 if dimension <= _SHORT else 2
    return -(-dimension // numbers), numbers


def _empty(dimension: int) -> "faiss.IndexPQFastScan":
    import faiss

    parts, numbers = _parts(dimension)
    return faiss.IndexPQFastScan(parts * numbers, parts, _BITS, faiss.METRIC_INNER_PRODUCT, _BLOCK)


def _bytes_of_block(dimension: int) -> int:
    parts, _ = _parts(dimension)
    return _BLOCK * (parts + parts % 2) * _BITS // 8


def _padded(vectors: Floats) -> Floats:
    """With as many numbers as their code stands for."""
    parts, numbers = _parts(vectors.shape[1])
    more = parts * numbers - vectors.shape[1]
    return np.ascontiguousarray(np.pad(vectors, ((0, 0), (0, more))) if more else vectors, np.float32)
