import numpy as np
import pytest

from clipomaly_core.reference.rate import finds_per_hour, held_out_rate, peak_threshold

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
