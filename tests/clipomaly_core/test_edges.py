"""Scores that follow edges."""

import cv2
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from clipomaly_core.edges import follow_edges
from clipomaly_core.metrics import pixel_metrics


def test_a_blurred_score_breaks_where_the_frame_does():
    frame = np.full((180, 320, 3), 60, np.uint8)
    frame[60:120, 100:200] = 220
    truth = (frame[..., 0] == 220).astype(np.uint8)

    blurred = cv2.GaussianBlur(truth.astype(np.float32), (0, 0), 4)
    followed = follow_edges(blurred, frame)
    assert followed.dtype == np.float32 and followed.shape == (180, 320)
    assert followed[90, 100] - followed[90, 99] > 4 * (blurred[90, 100] - blurred[90, 99])
    shifted = np.roll(blurred, 4, axis=1)
    before, after = (pixel_metrics([score], [truth])["auprc"] for score in (shifted, follow_edges(shifted, frame)))
    assert after > before


@settings(max_examples=30)
@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 2**32 - 1))
def test_any_size_stays_in_range(height, width, seed):
    rng = np.random.default_rng(seed)
    followed = follow_edges(rng.random((height, width), np.float32), rng.integers(0, 256, (height, width, 3), np.uint8))
    assert np.isfinite(followed).all() and followed.min() >= 0 and followed.max() <= 1


def test_a_flat_score_stays_flat():
    noise = np.random.default_rng(0).integers(0, 256, (90, 160, 3), np.uint8)
    np.testing.assert_allclose(follow_edges(np.full((90, 160), 0.3, np.float32), noise), 0.3, atol=1e-5)
