"""Finds an hour on ordinary footage, and the threshold that gives a wished number of them."""

import math
import statistics
from collections.abc import Sequence

_TAIL = 0.5
"""Share of the regions, the highest, to which the tail is fitted."""
_LEAST_REGIONS = 8
_ANCHOR = 15
"""The rank from which on thresholds are read off; the regions above it may be real objects."""


def finds_per_hour(peaks: Sequence[float], hours: float, threshold: float) -> float:
    """Regions an hour whose peak is above a threshold.

    Args:
        peaks: of the regions of a reference, in falling order.
        hours: of footage that the reference stands for.
        threshold: a logit with contrast.

    Example:
        >>> from clipomaly_core.reference.rate import finds_per_hour
        >>> finds_per_hour([9.0, 8.0, 7.0, 6.0], hours=0.5, threshold=7.5)
        4.0
    """
    return sum(peak > threshold for peak in peaks) / hours


def peak_threshold(peaks: Sequence[float], hours: float, wished: float) -> float | None:
    """The peak from which on a region is a find, so that ordinary footage gives ``wished`` finds an hour.

    Down to the 16th highest region it is read off. Beyond, it follows an exponential tail, whose scale is a median over
    the upper half, so that a few real objects in the reference change little.

    Args:
        peaks: of the regions of a reference, in falling order.
        hours: of footage that the reference stands for.
        wished: finds an hour, above 0.

    Returns:
        A logit with contrast; ``None`` where too few regions were seen to tell.
    """
    if len(peaks) < _LEAST_REGIONS:
        return None
    number = wished * hours
    anchor = min(_ANCHOR, len(peaks) - 1)
    if number >= anchor:
        return peaks[min(int(number), len(peaks) - 1)]
    upper = peaks[: max(_LEAST_REGIONS, round(_TAIL * len(peaks)))]
    scale = statistics.median(peak - upper[-1] for peak in upper) / math.log(2)
    return peaks[anchor] + scale * math.log((anchor + 1) / number)


def held_out_rate(halves: tuple[Sequence[float], Sequence[float]], hours: float, wished: float) -> float | None:
    """Finds an hour in footage that the threshold does not know: taken from one half, counted in the other, both ways.

    Args:
        halves: the peaks of the regions of each half of a reference, in falling order.
        hours: of footage that both halves together stand for.
        wished: finds an hour, above 0.

    Returns:
        The mean of both ways; ``None`` where too few regions were seen to tell.
    """
    first, second = halves
    thresholds = [peak_threshold(half, hours / 2, wished) for half in halves]
    rates = [
        finds_per_hour(half, hours / 2, threshold)
        for half, threshold in zip((second, first), thresholds, strict=True)
        if threshold is not None
    ]
    return statistics.mean(rates) if len(rates) == len(halves) else None
