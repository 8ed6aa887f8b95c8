"""What a reference holds, and how it turns scores and distances into one calibrated score."""

import hashlib
import json
import math
from dataclasses import asdict, dataclass

import torch
from torch import Tensor

from clipomaly_core.reference.bank import Bank

ORDINARY_LOGIT = -3.2
"""The logit of the anomaly score at ordinary places, after calibration."""
ORDINARY_WIDTH = 1.75
"""Its standard deviation there. With both, one threshold means the same for every calibrated model."""
_SURVEY = 3.0
"""Of references that do not name it."""


@dataclass(frozen=True, slots=True)
class Spread:
    """Where the values of ordinary places lie, robust to a few that are not ordinary: the median, and the standard
    deviation of a normal distribution with the same 95th percentile."""

    centre: float
    width: float

    def standardised(self, values: Tensor) -> Tensor:
        """Standard deviations above the ordinary."""
        return (values - self.centre) / self.width


@dataclass(frozen=True, slots=True)
class ReferenceFacts:
    """What a reference rests on.

    ``options`` are those of the method. ``frames`` were looked at, of ``sources``, at ``fps`` frames a second: each
    stands for 1 / ``fps`` seconds. ``peaks`` are the logits (with contrast) up to which a
    scan finds the regions that stood out in them with a low threshold and that no known class took, in falling order;
    ``second_half`` are the places in ``peaks`` of those of every second stretch of footage. ``built_in`` is the one
    that a model brings along: it calibrates scores, and the thresholds are the model's own. ``survey`` is that low
    threshold, the lowest, in standard deviations above the ordinary.
    """

    model: str
    weights_sha256: str
    vocabulary_sha256: str
    options: dict[str, str | float | int | bool | None]
    frames: int
    sources: tuple[str, ...]
    fps: float
    created: str
    peaks: tuple[float, ...]
    built_in: bool = False
    second_half: tuple[int, ...] = ()
    survey: float = _SURVEY

    @property
    def halves(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """The peaks of either half of the stretches; references of older versions have all in the first."""
        second = frozenset(self.second_half)
        return (
            tuple(peak for place, peak in enumerate(self.peaks) if place not in second),
            tuple(peak for place, peak in enumerate(self.peaks) if place in second),
        )


@dataclass(frozen=True, slots=True, eq=False)
class Reference:
    """The ordinary: spreads of the language score's logit and of the distance to ``bank``."""

    facts: ReferenceFacts
    language: Spread
    distance: Spread
    bank: Bank

    @property
    def reference_id(self) -> str:
        """12 hex digits over everything that changes a score or a threshold."""
        facts = {**asdict(self.facts), "created": None, "spreads": [asdict(self.language), asdict(self.distance)]}
        del facts["second_half"]
        if self.facts.survey == _SURVEY:  # ids of older references stay as they were
            del facts["survey"]
        digest = hashlib.sha256(json.dumps(facts, sort_keys=True).encode())
        digest.update(self.bank.vectors.cpu().numpy().tobytes())
        return "r" + digest.hexdigest()[:11]

    def on(self, device: torch.device) -> "Reference":
        """The same reference with its bank on a device."""
        bank = Bank(self.bank.directions.to(device), self.bank.vectors.to(device))
        return Reference(self.facts, self.language, self.distance, bank)

    @property
    def hours(self) -> float:
        """Hours of footage that its frames stand for."""
        return self.facts.frames / self.facts.fps / 3600

    def calibrated(self, logits: Tensor, distances: Tensor | None, weight: float) -> Tensor:
        """The logit of the calibrated anomaly score.

        Args:
            logits: (…) float32, of the language score.
            distances: (…) float32, to the bank; ``None`` leaves them out.
            weight: of the distance, beside 1 for the language score.
        """
        standard = self.language.standardised(logits)
        if distances is not None and weight:
            standard = (standard + weight * self.distance.standardised(distances)) / math.hypot(1, weight)
        return ORDINARY_LOGIT + ORDINARY_WIDTH * standard


def spread_of(values: Tensor) -> Spread:
    """The spread of values of ordinary places: (n,) float32."""
    median, high = torch.quantile(values, torch.tensor([0.5, 0.95], dtype=values.dtype)).tolist()
    return Spread(median, max((high - median) / _NORMAL_95, 1e-3))


_NORMAL_95 = 1.645
