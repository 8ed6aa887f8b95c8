"""Connected regions of a map of values."""

import numpy as np

from clipomaly_core.regions import connected_regions


def test_a_region_knows_its_peak_and_what_enough_of_it_reaches():
    values = np.zeros((8, 8), np.float32)
    values[2:5, 2:5] = np.arange(1, 10).reshape(3, 3)
    [region] = connected_regions(values > 0.5, 4, 64, values)
    assert (region.peak, region.sustained, region.area) == (9.0, 6.0, 9)
    [whole] = connected_regions(values > 0.5, 0, 64, values)
    assert whole.sustained == 9.0
