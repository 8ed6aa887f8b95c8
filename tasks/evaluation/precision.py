"""How often a score is right, from the items that were drawn at random: what may be trusted, and from which score on.

Only the random share counts: items that rank chose say how good the best are, not how good a score is.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from schemas.review import QueuedItem, Verdict
from schemas.shares import wilson_interval
from tasks.errors import UsageError


@dataclass(frozen=True, slots=True)
class Band:
    """Items whose anomaly score is in [``low``, ``high``): ``share`` of ``judged`` were real unknown objects, with
    its 95 % Wilson interval from ``least`` to ``most``; None where none were judged."""

    low: float
    high: float
    judged: int
    real: int
    share: float | None
    least: float | None
    most: float | None


@dataclass(frozen=True, slots=True)
class Threshold:
    """The lowest score from which on the precision is as wished: ``share`` of the ``judged`` items at or above
    ``score``, and it is at least ``least`` with 97.5 % confidence. ``kept`` is the share of the real objects among
    the judged that such a threshold keeps."""

    score: float
    judged: int
    share: float
    least: float
    kept: float


@dataclass(frozen=True, slots=True)
class Calibration:
    """Precision by band of score, and the threshold for ``wished``: None where the judged items do not show one."""

    bands: tuple[Band, ...]
    judged: int
    wished: float
    threshold: Threshold | None


def calibrate(items: Iterable[QueuedItem], wished: float = 0.9, bands: int = 5) -> Calibration:
    """Precision by score from judged items; those not drawn at random and the unsure ones are left aside.

    Args:
        items: judged items of the queue.
        wished: the precision that a threshold is looked for, in (0, 1).
        bands: into how many bands of equally many items the scores are cut.

    Raises:
        UsageError: a wish outside (0, 1) or no band.
    """
    if not 0 < wished < 1:
        raise UsageError(f"--precision {wished}: give a share between 0 and 1, such as 0.9.")
    if bands < 1:
        raise UsageError(f"--bands {bands}: give at least one.")
    judged = sorted(
        (item.item.score, item.status.verdict.is_real)
        for item in items
        if item.item.drawn_at_random and item.status.verdict and item.status.verdict is not Verdict.UNSURE
    )
    return Calibration(tuple(_bands(judged, bands)), len(judged), wished, _threshold(judged, wished))


def _bands(judged: Sequence[tuple[float, bool]], bands: int) -> Iterable[Band]:
    if not judged:
        return
    # Equal scores stay together, so a cut may be missing where many items share one.
    cuts = sorted({judged[len(judged) * place // bands][0] for place in range(1, bands)} - {0.0})
    edges = [0.0, *cuts, 1.0]
    for low, high in pairwise(edges):
        inside = [real for score, real in judged if low <= score < high or (high == 1.0 and score >= low)]
        if inside:
            least, most = wilson_interval(sum(inside), len(inside))
            yield Band(low, high, len(inside), sum(inside), sum(inside) / len(inside), least, most)
        else:
            yield Band(low, high, 0, 0, None, None, None)


def _threshold(judged: Sequence[tuple[float, bool]], wished: float) -> Threshold | None:
    every = sum(real for _, real in judged)
    real = count = 0
    best: Threshold | None = None
    for place in range(len(judged) - 1, -1, -1):
        score, is_real = judged[place]
        real += is_real
        count += 1
        if place and judged[place - 1][0] == score:
            continue  # a threshold cannot cut between equal scores
        least = wilson_interval(real, count)[0]
        if least >= wished:
            best = Threshold(score, count, real / count, least, real / every)
    return best
