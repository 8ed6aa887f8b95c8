"""What an evaluation measured, as records and as JSON."""

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass

from clipomaly_core.metrics import PixelMetrics, SegmentMetrics, UnknownIoU
from tasks.evaluation.calibration import Calibration
from tasks.model_settings import Value


@dataclass(frozen=True, slots=True)
class DatasetFacts:
    """What was judged against: pixels by their truth; ``unlabelled`` frames have no public truth."""

    path: str
    format: str
    frames: int
    unlabelled: int
    normal_pixels: int
    anomalous_pixels: int
    void_pixels: int


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """The model and its weights, so that the run can be repeated."""

    name: str
    weights_sha256: str
    vocabulary_sha256: str
    device: str
    options: Mapping[str, Value]


@dataclass(frozen=True, slots=True)
class PixelReport:
    """Pixel metrics with every score as a threshold, and as the SegmentMeIfYouCan harness bins them."""

    exact: PixelMetrics
    smiyc: PixelMetrics


@dataclass(frozen=True, slots=True)
class SegmentReport:
    """Component metrics at the best F1's threshold (``smiyc``) with each track's least sizes.

    ``None`` where no true component is large enough for the track.
    """

    anomaly: SegmentMetrics | None
    obstacle: SegmentMetrics | None


@dataclass(frozen=True, slots=True)
class ClassIoU:
    """IoU of a known class in [0, 1]; ``None`` where it is neither true nor predicted."""

    name: str
    iou: float | None


@dataclass(frozen=True, slots=True)
class KnownReport:
    """Label maps against true classes. ``miou`` is the mean over ``classes``, the known classes that the dataset has.
    Its other classes (``not_covered``) count as void. A pixel that was called unknown is missed for its class."""

    miou: float
    classes: tuple[ClassIoU, ...]
    not_covered: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class NamingScore:
    """Of ``judged`` instances: the top name (``hit1``) or one of the top five (``hit5``) is accepted.

    ``exact``, ``synonym`` and ``hyponym`` add up to the hits at one; ``said_unknown`` were reported as
    "unknown object" whatever their top name; ``said_wrong`` were reported by a name that is not accepted.
    Rates are in [0, 1], ``None`` where nothing was judged.
    """

    category: str
    judged: int
    hit1: float | None
    hit5: float | None
    exact: int
    synonym: int
    hyponym: int
    said_unknown: int
    said_wrong: int


@dataclass(frozen=True, slots=True)
class NamingReport:
    """Names of the instances that overlap the truth, over all and by the category of the frame's truth."""

    instances: int
    frames_judged: int
    overall: NamingScore
    categories: tuple[NamingScore, ...]


@dataclass(frozen=True, slots=True)
class Speed:
    """``seconds`` in the model over all frames, reading and judging left out; memory at its peak."""

    frames_per_second: float
    seconds: float
    peak_memory_bytes: int
    peak_device_memory_bytes: int | None


@dataclass(frozen=True, slots=True)
class FrameReport:
    """One frame: exact AuPRC where it has anomalies, the share of its normal pixels that were called unknown
    (``None`` without a model), and what its instances were called."""

    name: str
    auprc: float | None
    flagged: float | None
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Everything that was measured. A part is ``None`` where the dataset or the scores do not allow it.

    ``unknown`` judges the model's label maps; ``unknown_at_best_f1`` the scores at the threshold of the
    best exact F1, which knows the truth. ``flagged`` is the share of normal pixels called unknown.
    """

    created: str
    dataset: DatasetFacts
    scores: str | None
    model: ModelFacts | None
    pixels: PixelReport | None = None
    segments: SegmentReport | None = None
    unknown: UnknownIoU | None = None
    unknown_at_best_f1: UnknownIoU | None = None
    flagged: float | None = None
    known: KnownReport | None = None
    naming: NamingReport | None = None
    calibration: Calibration | None = None
    speed: Speed | None = None
    frames: tuple[FrameReport, ...] = ()

    def to_json(self) -> str:
        """The report as JSON; what has no value is null."""
        return json.dumps(_plain(asdict(self)), indent=2, ensure_ascii=False, allow_nan=False)


def _plain(value: object) -> object:
    match value:
        case dict():
            return {key: _plain(inner) for key, inner in value.items()}
        case list() | tuple():
            return [_plain(inner) for inner in value]
        case float() if math.isnan(value):
            return None
    return value
