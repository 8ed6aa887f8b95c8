"""Masks that are cut out along colours."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clipomaly_core.edges import cut_out


@pytest.fixture
def box():
    """A red box on a grey, noisy road, and a round region around it with a score that falls off."""
    frame = np.random.default_rng(0).integers(90, 130, (360, 640, 3)).astype(np.uint8)
    truth = np.zeros((360, 640), bool)
    truth[140:220, 260:380] = True
    frame[truth] = (200, 30, 40)
    rows, columns = np.mgrid[:90, :160]
    score = np.exp(-((rows - 45) ** 2 + (columns - 80) ** 2) / 600).astype(np.float32)
    return frame, truth, score


def overlap(one, other):
    return np.count_nonzero(one & other) / np.count_nonzero(one | other)


def test_a_round_region_becomes_the_box_in_it(box):
    frame, truth, score = box
    region = score > 0.5
    enlarged = cv2.resize(region.astype(np.float32), (640, 360)) >= 0.5
    assert overlap(enlarged, truth) < 0.75
    assert overlap(cut_out(frame, region, score), truth) > 0.9


def test_the_same_frame_gives_the_same_mask(box):
    frame, _, score = box
    first = cut_out(frame, score > 0.5, score)
    np.random.default_rng(1).random(10)
    cv2.setRNGSeed(7)
    np.testing.assert_array_equal(first, cut_out(frame, score > 0.5, score))


def test_without_edges_the_region_stays_as_it_is(box):
    _, _, score = box
    mask = cut_out(np.full((360, 640, 3), 80, np.uint8), score > 0.5, score)
    assert overlap(mask, cv2.resize((score > 0.5).astype(np.float32), (640, 360)) >= 0.5) > 0.5


@settings(max_examples=20)
@given(st.sampled_from([(1, 1), (3, 900), (60, 720), (45, 80), (2, 3)]), st.integers(0, 2**32 - 1))
def test_any_frame_and_region_give_a_mask_that_is_not_empty(size, seed):
    rng = np.random.default_rng(seed)
    frame = rng.integers(0, 256, (*size, 3)).astype(np.uint8)
    mask = rng.random((6, 10)) > rng.random()
    mask[rng.integers(6), rng.integers(10)] = True
    found = cut_out(frame, mask, rng.random((6, 10)).astype(np.float32))
    assert found.shape == size and found.any()
