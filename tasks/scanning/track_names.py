"""One name for an object that is seen several times: its instances vote."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from clipomaly_core.types import UNKNOWN_NAME, NameScore

_LEFT_OUT = 0.5
"""Probability of a name that is not among the five of a sighting, as a share of the least of them."""
_SHARP = 100.0
"""Variance of the Laplacian at which a sighting counts half as much as a perfectly sharp one."""
_NAMELESS = ("distance", "known")
"""Reasons of sightings that say that no name is right."""


@dataclass(frozen=True, slots=True)
class Vote:
    """One sighting: its best names with their probabilities, how much it counts (above 0), and why it has no clear
    name (``None`` where it has one)."""

    names: tuple[NameScore, ...]
    weight: float
    reason: str | None


@dataclass(frozen=True, slots=True)
class TrackName:
    """The name of a track, "unknown object" if none is clear, and the probability of the best name."""

    name: str
    score: float


def track_name(votes: Sequence[Vote], margin: float) -> TrackName | None:
    """Mean of the log-probabilities of each name over the sightings of a track, by weight.

    Args:
        votes: of all sightings.
        margin: least difference between the probabilities of the best two names.

    Returns:
        ``None`` where no sighting has a name to vote for. "unknown object" where the best two are too close, or where
        sightings with half of the weight are far from every name, or nearer to a known class.
    """
    voting = [vote for vote in votes if vote.names]
    names = sorted({name.name for vote in voting for name in vote.names})
    if not names:
        return None
    weights = np.array([vote.weight for vote in voting])
    logs = np.array([_log_probabilities(vote, names) for vote in voting])
    mean = (weights[:, None] * logs).sum(0) / weights.sum()
    probability = np.exp(mean - mean.max())
    probability /= probability.sum()
    order = np.argsort(-probability, kind="stable")
    best = float(probability[order[0]])
    second = float(probability[order[1]]) if len(order) > 1 else 0.0
    far = sum(vote.weight for vote in voting if vote.reason in _NAMELESS)
    clear = best - second >= margin and far < weights.sum() / 2
    # Names that no sighting had among its five had a share, too: the best name gets no more than it had on average.
    score = min(best, float(np.exp(mean[order[0]])))
    return TrackName(names[order[0]] if clear else UNKNOWN_NAME, score)


def sighting_weight(image: npt.NDArray[np.uint8], bbox: tuple[int, int, int, int], area: int) -> float:
    """How much a sighting counts: the root of its area, less where it is blurred.

    Args:
        image: (H, W, 3) uint8 RGB, the frame.
        bbox: (x, y, width, height) in pixels.
        area: of the mask, in pixels.
    """
    x, y, width, height = bbox
    grey = cv2.cvtColor(image[y : y + height, x : x + width], cv2.COLOR_RGB2GRAY)
    sharpness = float(cv2.Laplacian(grey, cv2.CV_32F).var())
    return math.sqrt(area) * (0.1 + sharpness / (sharpness + _SHARP))


def _log_probabilities(vote: Vote, names: Sequence[str]) -> list[float]:
    given = {name.name: name.score for name in vote.names}
    rest = _LEFT_OUT * min(given.values())
    return [math.log(max(given.get(name, rest), 1e-6)) for name in names]
