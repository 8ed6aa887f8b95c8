"""Codes of embeddings: which are compared, and with what estimates."""

import numpy as np
import pytest

from tasks.tables.vector_index import VectorIndex, encode


def index_of(count: int, dimension: int) -> VectorIndex:
    vectors = np.random.default_rng(dimension).standard_normal((count, dimension)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    codes, centroids = encode(vectors, [vectors[:500], vectors[500:]])
    return VectorIndex(dimension, codes, centroids, np.arange(count, dtype=np.int32), np.arange(count, dtype=np.uint64))


@pytest.mark.parametrize("dimension", [33, 64, 258])
@pytest.mark.parametrize("share", [0.003, 0.3, 0.999])
def test_a_mask_changes_no_estimate_and_lets_nothing_else_through(dimension: int, share: float) -> None:
    index = index_of(1_011, dimension)
    rng = np.random.default_rng(1)
    mask, text = rng.random(len(index)) < share, rng.standard_normal(dimension).astype(np.float32)
    text /= np.linalg.norm(text)
    scores, numbers = index.nearest(text, len(index))
    some_scores, some = index.nearest(text, len(index), mask)
    assert sorted(some) == np.flatnonzero(mask).tolist()
    estimates = dict(zip(numbers.tolist(), scores.tolist(), strict=True))
    np.testing.assert_allclose(some_scores, [estimates[number] for number in some.tolist()], atol=1e-6)
