"""A reference: how it turns scores and distances into one calibrated score, and its file.

The file is one of safetensors, its facts as JSON in the header. Nothing in it is ever executed.
"""

import hashlib
import json
import math
from dataclasses import asdict, dataclass, replace
from importlib.resources import files
from typing import Any

import fsspec
import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from clipomaly_core.errors import UsageError
from clipomaly_core.reference.ordinary import Bank, Spread
from clipomaly_core.scores import Look, finer

ORDINARY_LOGIT = -3.2
"""The logit of the anomaly score at ordinary places, after calibration."""
ORDINARY_WIDTH = 1.75
"""Its standard deviation there. With both, one threshold means the same for every calibrated model."""
_SURVEY = 3.0
"""Of references that do not name it."""
SUFFIX = ".safetensors"
_FORMAT = "clipomaly.reference.1"


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


def calibrated_logits(reference: Reference | None, logits: Tensor, features: Tensor, fusion: float) -> Tensor:
    """Logits of the anomaly score from those of the language score.

    Args:
        reference: of the ordinary; without one the logits stay as they are.
        logits: (B, 4h, 4w) float32, of the language score.
        features: (B, h, w, D) float32, L2-normalised.
        fusion: weight of the distance from ordinary features; at 0 it is not computed.
    """
    if reference is None:
        return logits
    distances = finer(reference.bank.distance(features)[..., None])[:, 0] if fusion else None
    return reference.calibrated(logits, distances, fusion)


def calibrated_look(look: Look, reference: Reference | None, fusion: float) -> Look:
    """A look with the logits that another reference, or none, gives."""
    language = torch.from_numpy(look.language).to(look.features.device)
    logits = calibrated_logits(reference, language[None], look.features[None], fusion)
    return replace(look, logits=logits[0].cpu().numpy())


def reference_bytes(reference: Reference) -> bytes:
    """The content of a reference file; the same for the same reference."""
    told = {
        "format": _FORMAT,
        "facts": asdict(reference.facts),
        "language": asdict(reference.language),
        "distance": asdict(reference.distance),
    }
    tensors = {"directions": reference.bank.directions, "vectors": reference.bank.vectors.half()}
    return save(tensors, {"reference": json.dumps(told, sort_keys=True)})


def read_reference(url: str) -> Reference:
    """The reference in a file.

    Args:
        url: path or any fsspec URL.

    Raises:
        UsageError: the file is missing, out of reach, or no reference.
    """
    try:
        with fsspec.open(url, "rb") as file:
            content = file.read()
    except (OSError, ValueError, ImportError) as error:
        raise UsageError(f"Reference {url} cannot be read ({error or type(error).__name__}).") from error
    try:
        tensors = load(content)
        told = _header(content)
        facts: dict[str, Any] = {
            name: tuple(fact) if isinstance(fact, list) else fact for name, fact in told["facts"].items()
        }
        return Reference(
            ReferenceFacts(**facts),
            Spread(**told["language"]),
            Spread(**told["distance"]),
            Bank(tensors["directions"].float(), tensors["vectors"].float()),
        )
    except (SafetensorError, KeyError, TypeError, ValueError) as error:
        raise UsageError(
            f"{url} is not a reference of Clipomaly; make one with: clipomaly reference build ARCHIVE --out {url}"
        ) from error


def built_in_reference(model: str, weights_sha256: str) -> Reference | None:
    """The reference that a model brings along; ``None`` where it brings none, or has other weights than its own."""
    path = files("clipomaly_core") / "data" / f"{model}.reference{SUFFIX}"
    if "/" in model or not path.is_file():
        return None
    reference = read_reference(str(path))
    return reference if reference.facts.weights_sha256 == weights_sha256 else None


def _header(content: bytes) -> dict[str, Any]:
    length = int.from_bytes(content[:8], "little")
    told: dict[str, Any] = json.loads(json.loads(content[8 : 8 + length])["__metadata__"]["reference"])
    if told["format"] != _FORMAT:
        raise ValueError(told["format"])
    return told
