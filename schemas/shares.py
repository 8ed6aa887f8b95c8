"""Shares: how sure they are; and shares and ranks in words for people."""

from math import sqrt

_MOST_PLACES = 100  # up to this place a rank is told as a place, beyond as a share


def in_percent(share: float) -> str:
    """A share in [0, 1] in per cent: never 0 or 100 where it is neither."""
    if 0 < share < 0.01:
        return "<1 %"
    return ">99 %" if 0.99 < share < 1 else f"{100 * share:.0f} %"


def unusualness(percentile: float | None, of: int | None) -> str:
    """How unusual a find is: ``percentile`` is the share of ``of`` finds, itself included, that are not more unusual.

    Both may be None: older queues do not record of how many.

    >>> unusualness(1.0, 32), unusualness(0.9375, 32), unusualness(0.5, 1200)
    ('the most unusual of 32 finds', '3rd most unusual of 32 finds', 'at least as unusual as 50 % of 1,200 finds')
    """
    if percentile is None:
        return "not ranked"
    if of == 1:
        return "the only find"
    finds = f"{of:,} finds" if of else "the finds"
    if percentile >= 1:
        return f"the most unusual of {finds}"
    place = _place(percentile, of) if of else None
    if place is not None and place <= _MOST_PLACES:
        return f"{_ordinal(place)} most unusual of {finds}"
    return f"at least as unusual as {in_percent(percentile)} of {finds}"


def place_of(percentile: float | None, of: int | None) -> str:
    """The same for a column: ``1 of 32``; where it is not recorded of how many, the percentile."""
    if percentile is None:
        return "-"
    if of:
        return f"{_place(percentile, of):,} of {of:,}"
    return "highest" if percentile >= 1 else in_percent(percentile)


def _place(percentile: float, of: int) -> int:
    """1 for the most unusual; equals share a place."""
    return of - round(percentile * of) + 1


def _ordinal(number: int) -> str:
    last = {1: "st", 2: "nd", 3: "rd"}
    return f"{number}{'th' if 10 <= number % 100 <= 20 else last.get(number % 10, 'th')}"


_NINETY_FIVE = 1.959964  # quantile of the normal distribution for a two-sided 95 % interval


def wilson_interval(real: int, judged: int) -> tuple[float, float]:
    """The 95 % interval, within [0, 1], of the share of ``real`` among ``judged`` items, one or more.

    Source: Wilson, Journal of the American Statistical Association 22, 1927.
    """
    share, z = real / judged, _NINETY_FIVE
    middle = (share + z * z / (2 * judged)) / (1 + z * z / judged)
    reach = z / (1 + z * z / judged) * sqrt(share * (1 - share) / judged + z * z / (4 * judged**2))
    return max(0.0, middle - reach), min(1.0, middle + reach)
