"""How different finds look, for a million finds on a small machine, and their map: look-alikes beside each other."""

from dataclasses import dataclass

import faiss
import numpy as np
import numpy.typing as npt
from scipy.linalg import orthogonal_procrustes

from tasks.errors import UserError
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
Places = npt.NDArray[np.float64]

FEW = 60
"""Up to this many finds, two principal components are the map: UMAP would need more neighbours."""

_NEIGHBOURS = 5  # a new find begins in the middle of this many look-alikes
_GENTLE = {"n_epochs": 50, "learning_rate": 0.1}  # where most have a place
_SEED = 0
_UMAP_BOX = 10.0  # UMAP stretches the places that it begins with to a square of this side


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


def place(vectors: Vectors, before: Places) -> Places:
    """Places (N, 2) of N finds, the same for the same input.

    Args:
        vectors: (N, D) float16, of length 1.
        before: (N, 2) the places of the last map, NaN for a find that had none.

    Raises UserError if there are more than ``FEW`` finds and the extra ``map`` is not installed.
    """
    had = np.asarray(np.isfinite(before).all(axis=1), np.bool_)
    if not len(vectors):
        return before
    if len(vectors) <= FEW:
        return _align(_components(vectors), before, had)
    if not had.any():
        return _umap(vectors, _components(vectors), {})
    start = before.copy()
    start[~had] = before[had][_nearest(vectors[~had], vectors[had])].mean(axis=1)
    low, high = start.min(axis=0), start.max(axis=0)
    drawn = _umap(vectors, start, _GENTLE if 2 * had.sum() >= len(had) else {})
    return _align(low + drawn * (high - low) / _UMAP_BOX, before, had)


def _umap(vectors: Vectors, start: Places, pace: dict[str, float]) -> Places:
    try:
        from umap import UMAP  # seconds of import, which only this needs
    except ModuleNotFoundError as error:
        raise UserError(f"A map of more than {FEW} finds needs UMAP: pip install 'clipomaly[map]'.") from error
    except RuntimeError as error:  # numba keeps what it compiled beside the package, or else in the home folder
        raise UserError(f"UMAP cannot start ({error}). Set NUMBA_CACHE_DIR to a folder that can be written.") from error
    spread = max(float(np.ptp(start, axis=0).max()), 1e-9)
    # Equal finds must not begin on one point: UMAP could not part them.
    noise = np.random.default_rng(_SEED).normal(scale=1e-3 * spread, size=start.shape)
    model = UMAP(metric="cosine", random_state=_SEED, n_jobs=1, init=start + noise, **pace)
    return np.asarray(model.fit_transform(vectors.astype(np.float32)), np.float64)


def _nearest(vectors: Vectors, others: Vectors) -> npt.NDArray[np.int64]:
    """For each vector the rows of the others that look most like it."""
    index = faiss.IndexFlatIP(others.shape[1])
    index.add(others.astype(np.float32))
    return index.search(vectors.astype(np.float32), min(_NEIGHBOURS, len(others)))[1]


def _components(vectors: Vectors) -> Places:
    """The first two principal components."""
    centred = vectors.astype(np.float64)
    centred -= centred.mean(axis=0)
    _, axes = np.linalg.eigh(centred.T @ centred)
    axes = axes[:, :-3:-1]
    axes *= np.sign(axes[np.abs(axes).argmax(axis=0), range(axes.shape[1])])  # a sign is arbitrary: always the same
    return centred @ axes


def _align(places: Places, before: Places, had: npt.NDArray[np.bool_]) -> Places:
    """Turn, mirror, scale and move a map so that it fits the last one best (Procrustes)."""
    if np.count_nonzero(had) < 3:
        return places
    now, then = places[had], before[had]
    middle, target = now.mean(axis=0), then.mean(axis=0)
    turn, scale = orthogonal_procrustes(now - middle, then - target)
    size = float(((now - middle) ** 2).sum())
    return (places - middle) @ turn * (scale / size if size else 1.0) + target
