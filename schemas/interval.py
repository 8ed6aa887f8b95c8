"""How sure a share is that few judged items show."""

from math import sqrt

_NINETY_FIVE = 1.959964  # quantile of the normal distribution for a two-sided 95 % interval


def wilson_interval(real: int, judged: int) -> tuple[float, float]:
    """The 95 % interval, within [0, 1], of the share of ``real`` among ``judged`` items, one or more.

    Source: Wilson, Journal of the American Statistical Association 22, 1927.
    """
    share, z = real / judged, _NINETY_FIVE
    middle = (share + z * z / (2 * judged)) / (1 + z * z / judged)
    reach = z / (1 + z * z / judged) * sqrt(share * (1 - share) / judged + z * z / (4 * judged**2))
    return max(0.0, middle - reach), min(1.0, middle + reach)
