from dataclasses import replace

import numpy as np
import pytest

from clipomaly_core.options import Options
from clipomaly_core.regions import anomaly_regions, local_contrast, logit, probability

PLAIN = Options(threshold=0.7, min_area=0.0)


def ground(height=40, width=70):
    return np.full((height, width), -3.0, np.float32)


def test_a_region_has_the_extent_of_the_lower_threshold_and_needs_the_upper_one_somewhere():
    logits = ground()
    logits[5:15, 5:15] = 1.5
    logits[9, 9] = 4.0  # reaches the upper threshold
    logits[5:15, 40:50] = 1.5  # does not
    [region] = anomaly_regions(logits, replace(PLAIN, peak_threshold=0.95))
    assert region.bbox == (5, 5, 10, 10) and region.area == 100
    assert region.peak == pytest.approx(4.0)


def test_without_an_upper_threshold_every_region_stays():
    logits = ground()
    logits[5:15, 5:15] = logits[5:15, 40:50] = 1.5
    assert len(anomaly_regions(logits, PLAIN)) == 2


def test_contrast_parts_an_object_from_a_road_that_is_a_little_unusual_too():
    logits = ground(72, 128)
    logits[36:] = 1.0  # the whole road
    logits[45:55, 60:70] = 4.0
    [joined] = anomaly_regions(logits, PLAIN)
    [alone] = anomaly_regions(logits, replace(PLAIN, contrast=1.0, threshold=probability_of(3.5)))
    assert joined.area > 4000
    assert alone.bbox == (60, 45, 10, 10)


def test_contrast_leaves_an_even_map_as_it_is():
    assert np.allclose(local_contrast(ground(), 0.5), ground(), atol=1e-5)


@pytest.mark.parametrize("size", [(1, 1), (1, 600), (600, 1), (3, 900)])
def test_maps_of_any_shape_have_a_contrast(size):
    assert local_contrast(np.zeros(size, np.float32), 0.5).shape == size


def test_small_regions_are_left_out():
    logits = ground()
    logits[0, 0] = 9.0
    assert not anomaly_regions(logits, replace(PLAIN, min_area=0.01))


@pytest.mark.parametrize("value", [0.001, 0.5, 0.9976])
def test_logit_and_probability_are_inverse(value):
    assert probability(np.array([[logit(value)]], np.float32))[0, 0] == pytest.approx(value, abs=1e-6)


def test_nothing_is_above_a_threshold_of_one_and_everything_above_zero():
    assert not anomaly_regions(np.full((9, 9), 30, np.float32), replace(PLAIN, threshold=1.0))
    assert len(anomaly_regions(np.full((9, 9), -30, np.float32), replace(PLAIN, threshold=0.0))) == 1


def probability_of(value):
    return float(probability(np.array([[value]], np.float32))[0, 0])
