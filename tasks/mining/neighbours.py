"""How different finds look, for a million finds on a small machine.

Cosines of one model all lie near 0.8, those of another near 0.2. So distances are relative to the distance between two
random finds: 0 is the same look, 1 is nothing in common, for every model.
"""

from dataclasses import dataclass

import faiss
import numpy as np
import numpy.typing as npt

from tasks.tables.embeddings import Vectors

Floats = npt.NDArray[np.float32]

_PAIRS = 4096  # finds drawn to measure the usual distance
_STRANGERS = (
    0.75  # quantile of their distances: if most finds are of one kind, the median is a distance between look-alikes
)
_EXACT = 20_000  # up to this many, every pair is compared
_PROBED = 8  # of the lists of look-alikes
_TRAINING = 40  # vectors a list
_CHUNK = 16_384


@dataclass(frozen=True, slots=True)
class Distances:
    """``usual`` is the upper quartile of 1 - cosine between two finds drawn at random, above 0."""

    usual: float

    def of(self, cosines: npt.NDArray[np.floating]) -> Floats:
        """Cosines → distances in [0, 1]: 1 from the usual distance on."""
        return np.clip((1 - cosines.astype(np.float32)) / self.usual, 0, 1)

    def cosine(self, distance: float) -> float:
        """The cosine at which a distance below 1 lies."""
        return 1 - distance * self.usual


def learn_distances(vectors: Vectors) -> Distances:
    """Measure the usual distance among (N, D) vectors of length 1; the same ones give the same."""
    if len(vectors) < 2:
        return Distances(1.0)
    rng = np.random.default_rng(0)
    left = rng.integers(len(vectors), size=_PAIRS)
    right = (left + rng.integers(1, len(vectors), size=_PAIRS)) % len(vectors)  # never itself
    cosines = np.einsum("ij,ij->i", vectors[left].astype(np.float32), vectors[right].astype(np.float32))
    return Distances(max(float(np.quantile(1 - cosines, _STRANGERS)), 1e-3))


def nearest(vectors: Vectors, count: int) -> Floats:
    """Cosines (N, count) to the ``count`` nearest others, nearest first; -1 if there are fewer.

    Exact up to 20,000 vectors. Beyond, faiss compares each with those in the eight lists of look-alikes nearest to
    it, at half precision: a neighbour may be missed, memory stays at twice the vectors.
    """
    size, dimension = vectors.shape
    if size == 0:
        return np.full((0, count), -1, np.float32)
    index: faiss.Index
    if size <= _EXACT:
        index = faiss.IndexFlatIP(dimension)
    else:
        lists = int(4 * np.sqrt(size))
        index = faiss.IndexIVFScalarQuantizer(
            faiss.IndexFlatIP(dimension), dimension, lists, faiss.ScalarQuantizer.QT_fp16, faiss.METRIC_INNER_PRODUCT
        )
        index.nprobe = _PROBED
        sample = np.random.default_rng(0).choice(size, min(size, _TRAINING * lists), replace=False)
        index.train(vectors[np.sort(sample)].astype(np.float32))
    for start in range(0, size, _CHUNK):
        index.add(vectors[start : start + _CHUNK].astype(np.float32))
    found = np.full((size, count), -1, np.float32)
    for start in range(0, size, _CHUNK):
        cosines, ids = index.search(vectors[start : start + _CHUNK].astype(np.float32), count + 1)
        own = ids == np.arange(start, start + len(ids))[:, None]
        own[~own.any(axis=1), -1] = (
            True  # an identical vector came first and the find itself is missing: drop the last one
        )
        others = np.where(ids < 0, -1, cosines)[~own].reshape(len(ids), count)
        found[start : start + len(ids)] = np.maximum(others, -1)
    return found
