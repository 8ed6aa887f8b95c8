"""The thresholds that a reference gives for a wished number of finds an hour, and whether it belongs to a model."""

import math
import statistics
from collections.abc import Sequence
from dataclasses import asdict, replace

from clipomaly_core.errors import UsageError
from clipomaly_core.options import Options
from clipomaly_core.reference.record import ORDINARY_LOGIT, ORDINARY_WIDTH, Reference
from clipomaly_core.regions import Region

CONTRAST = 0.5
"""``contrast`` with a reference: the one that the thresholds below are meant for."""
LOWER = ORDINARY_LOGIT + 4.85 * ORDINARY_WIDTH
"""The logit from which on a place belongs to a region, chosen on photos and clips as docs/calibration.md says."""
UPPER = ORDINARY_LOGIT + 5.8 * ORDINARY_WIDTH
"""The logit that a find reaches somewhere, where a reference saw too few regions to tell."""
SURVEYS = (3.0, 2.5, 2.0, 1.5, 1.0, 0.5, 0.0)
"""Standard deviations above the ordinary from which on a reference counts regions: the first, and the next ones where
too few stand out. An untrained model has hardly any at the first, and the number of finds an hour could not be met."""

_SCORING = (
    "attention",
    "window",
    "stride",
    "short_side",
    "scales",
    "templates",
    "score",
    "logit_scale",
    "min_area",
    "candidates",
    "fusion",
    "method_version",
)
"""Options that a reference depends on."""
_TAIL = 0.5
"""Share of the regions, the highest, to which the tail is fitted."""
_LEAST_REGIONS = 8
_ANCHOR = 15
"""The rank from which on thresholds are read off; the regions above it may be real objects."""


def check_reference(reference: Reference, weights_sha256: str, options: Options) -> None:
    """Raises UsageError where a reference was made with other weights, or with other options that change scores."""
    facts = reference.facts
    if facts.weights_sha256 != weights_sha256:
        raise UsageError(
            f"The reference was made with other weights ({facts.model}, {facts.weights_sha256[:8]}) than these "
            f"({weights_sha256[:8]}): make one with: clipomaly reference build"
        )
    mine = asdict(options)
    differing = [name for name in _SCORING if facts.options.get(name) != plain(mine[name])]
    if differing:
        name = differing[0]
        raise UsageError(
            f"The reference was made with {name}={facts.options.get(name)}, this is {name}={plain(mine[name])}: "
            "use the same, or make one with: clipomaly reference build"
        )


def thresholds_from(reference: Reference, options: Options) -> Options:
    """The options with thresholds for ``finds_per_hour`` on the footage of a reference; unchanged where it is ``None``,
    or the reference is built in."""
    if options.finds_per_hour is None or reference.facts.built_in:
        return options
    upper = peak_threshold(reference.facts.peaks, reference.hours, options.finds_per_hour)
    upper = UPPER if upper is None else max(upper, survey_logit(reference.facts.survey))
    return replace(
        options, threshold=_probability(min(LOWER, upper)), peak_threshold=_probability(upper), contrast=CONTRAST
    )


def found_up_to(region: Region) -> float:
    """The ``peak_threshold``, as a logit, up to which a scan with thresholds of a reference finds a region.

    That is its peak if enough of its places reach ``LOWER``, from which on a scan forms regions, else the value that
    enough of them reach.
    """
    return region.peak if region.sustained >= LOWER else region.sustained


def survey_logit(survey: float) -> float:
    """The logit that is so many standard deviations above the ordinary."""
    return ORDINARY_LOGIT + survey * ORDINARY_WIDTH


def survey_options(options: Options, survey: float) -> Options:
    """The options with which the regions of a reference are counted, ``survey`` being one of ``SURVEYS``."""
    threshold = _probability(survey_logit(survey))
    return replace(options, threshold=threshold, peak_threshold=None, contrast=CONTRAST, finds_per_hour=None)


def plain(value: object) -> str | float | int | bool | None:
    """An option as a reference file holds it."""
    if isinstance(value, tuple):
        return ",".join(f"{part:g}" for part in value)
    return value if value is None or isinstance(value, str | float | int | bool) else str(value)


def _probability(value: float) -> float:
    """The probability whose logit is ``value``, as an option holds it."""
    return 1 / (1 + math.exp(-value))


def finds_per_hour(peaks: Sequence[float], hours: float, threshold: float) -> float:
    """Regions an hour whose peak is above a threshold.

    Args:
        peaks: of the regions of a reference, in falling order.
        hours: of footage that the reference stands for.
        threshold: a logit with contrast.

    Example:
        >>> from clipomaly_core.reference.thresholds import finds_per_hour
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
