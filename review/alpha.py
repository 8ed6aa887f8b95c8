"""Krippendorff's alpha: how far reviewers agree beyond chance."""

from collections import Counter
from collections.abc import Collection, Iterable


def nominal_alpha(labels: Iterable[Collection[str]]) -> float | None:
    """Krippendorff's alpha of nominal labels; 1 is full agreement, 0 is that of chance, below 0 is worse than chance.

    ``labels`` are the labels that each item got from its reviewers, in any order. Items with a single label count for
    nothing. None with fewer than two other items, or if all their labels are alike, because chance then agrees too.

    Source: K. Krippendorff, "Computing Krippendorff's Alpha-Reliability", 2011. (The library of this name is under the
    GPL, which this project cannot ask of its users.)
    """
    all_labels: Counter[str] = Counter()
    observed, items = 0.0, 0
    for item in labels:
        if len(item) > 1:
            counts = Counter(item)
            all_labels += counts
            items += 1
            observed += _unlike_pairs(counts) / (len(item) - 1)
    expected = _unlike_pairs(all_labels) / max(all_labels.total() - 1, 1)
    return 1 - observed / expected if items > 1 and expected else None


def _unlike_pairs(counts: Counter[str]) -> int:
    return counts.total() ** 2 - sum(count**2 for count in counts.values())
