"""Where finds lie on the map: their embeddings in two dimensions, look-alikes beside each other.

UMAP (McInnes, Healy and Melville 2018, arXiv:1802.03426) draws it, begun from principal components, which keep the
large distances (Kobak and Linderman 2021, doi:10.1038/s41587-020-00809-z). The next night begins where the last one
ended and moves little, so that a person finds again what was there.
"""

import faiss
import numpy as np
import numpy.typing as npt
from scipy.linalg import orthogonal_procrustes

from tasks.errors import UserError
from tasks.tables.embeddings import Vectors

Places = npt.NDArray[np.float64]

FEW = 60
"""Up to this many finds, two principal components are the map: UMAP would need more neighbours."""

_NEIGHBOURS = 5  # a new find begins in the middle of this many look-alikes
_GENTLE = {"n_epochs": 50, "learning_rate": 0.1}  # where most have a place
_SEED = 0
_UMAP_BOX = 10.0  # UMAP stretches the places that it begins with to a square of this side


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
