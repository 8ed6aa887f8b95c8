import math
from dataclasses import replace

import cv2
import numpy as np
import pytest

from clipomaly_core import default_options
from clipomaly_core.reference.thresholds import (
    CONTRAST,
    LOWER,
    SURVEYS,
    finds_per_hour,
    found_up_to,
    held_out_rate,
    peak_threshold,
    survey_logit,
    survey_options,
)
from clipomaly_core.regions import anomaly_regions

PEAKS = tuple(sorted(np.random.default_rng(0).exponential(2.0, 400) + 3, reverse=True))


@pytest.mark.parametrize("wished", [30, 100, 300, 1000])
def test_a_threshold_gives_about_the_wished_rate(wished):
    threshold = peak_threshold(PEAKS, hours=0.5, wished=wished)
    assert threshold is not None
    assert finds_per_hour(PEAKS, 0.5, threshold) == pytest.approx(wished, rel=0.5)


def test_fewer_finds_need_a_higher_threshold():
    thresholds = [peak_threshold(PEAKS, 0.5, wished) or 0 for wished in (1, 10, 100, 600)]
    assert thresholds == sorted(thresholds, reverse=True) and thresholds[-1] > 0


def test_rates_below_one_find_in_the_reference_follow_the_tail():
    assert peak_threshold(PEAKS, 0.5, 0.2) > PEAKS[3]


def test_a_few_real_objects_change_little():
    with_objects = tuple(sorted([*PEAKS, *[60.0] * 3], reverse=True))
    assert peak_threshold(with_objects, 0.5, 60) == pytest.approx(peak_threshold(PEAKS, 0.5, 60), abs=0.5)


def test_too_few_regions_give_none():
    assert peak_threshold((5.0, 4.0), 0.5, 30) is None


def test_the_rate_in_the_other_half_is_about_the_wished_one():
    rate = held_out_rate((PEAKS[::2], PEAKS[1::2]), hours=0.5, wished=100)
    assert rate == pytest.approx(100, rel=0.3)


def test_the_rate_in_the_other_half_shows_footage_that_differs():
    calm = tuple(peak - 2 for peak in PEAKS)  # one half of the drives is in another light
    rate = held_out_rate((PEAKS, calm), hours=0.5, wished=100)
    assert rate is not None and rate > 150


def test_the_rate_in_the_other_half_needs_regions_in_both():
    assert held_out_rate((PEAKS, PEAKS[:3]), hours=0.5, wished=30) is None


@pytest.mark.parametrize("threshold", np.linspace(survey_logit(SURVEYS[0]) + 0.05, LOWER + 3, 12))
def test_a_reference_counts_the_regions_that_a_scan_with_its_threshold_finds(threshold):
    rng = np.random.default_rng(3)
    smooth = cv2.GaussianBlur(rng.normal(size=(96, 160)).astype(np.float32), (0, 0), 3)
    logits = np.asarray(survey_logit(SURVEYS[0]) - 2 + 14 * smooth, np.float32)
    for row, column, height in ((20, 30, 9.0), (60, 90, 7.5), (70, 20, 5.0)):  # small and high
        logits[row : row + 2, column : column + 3] = height
    options = replace(default_options("nano"), min_area=0.0006, max_regions=1000)
    surveyed = anomaly_regions(logits, survey_options(options, SURVEYS[0]))
    assert len(surveyed) > 10

    def probability(value):
        return 1 / (1 + math.exp(-value))

    scan = replace(
        options,
        threshold=probability(min(LOWER, threshold)),
        peak_threshold=probability(threshold),
        contrast=CONTRAST,
    )
    found = anomaly_regions(logits, scan)
    predicted = [region for region in surveyed if found_up_to(region) > threshold]
    # A region of the survey may come in several parts, none of them large enough alone.
    met = [region for region in surveyed if any((region.mask & one.mask).any() for one in found)]
    assert len(met) == pytest.approx(len(predicted), abs=1)
