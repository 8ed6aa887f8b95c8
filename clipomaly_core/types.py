"""What the method returns: the named instances of one frame, with masks and scores."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

UNKNOWN_NAME = "unknown object"

Frame = npt.NDArray[np.uint8]
"""An image: (H, W, 3) uint8 RGB."""


@dataclass(frozen=True, slots=True)
class NameScore:
    """A name and its probability in [0, 1] among the candidates that it was compared with."""

    name: str
    score: float


@dataclass(frozen=True, slots=True)
class Instance:
    """One connected anomalous region.

    ``name`` is ``"unknown object"`` where the candidates are too close to call; ``names`` still holds the
    best five then. ``name_source`` tells where the name came from (``dictionary``, ``user``, …) or ``none``.
    ``mask`` is (H, W) bool over the whole frame; ``bbox`` is (x, y, width, height) in pixels; ``area`` in
    pixels; ``score`` and ``score_max`` are the mean and greatest anomaly score in the mask, in [0, 1];
    ``embedding`` is (D,) float32, L2-normalised, in the space of the text embeddings. ``evidence`` is the
    peak threshold up to which a calibrated scan finds its region: a logit of the anomaly score with the contrast to its
    surroundings, the greatest, or the one that enough places of the region reach.
    ``name_reason`` says why the name is "unknown object": ``margin``, ``distance``, ``candidates`` or ``known``.
    """

    name: str
    name_score: float
    names: tuple[NameScore, ...]
    name_source: str
    mask: npt.NDArray[np.bool_]
    bbox: tuple[int, int, int, int]
    area: int
    score: float
    score_max: float
    embedding: npt.NDArray[np.float32]
    evidence: float = 0.0
    name_reason: str | None = None


@dataclass(frozen=True, slots=True)
class FrameResult:
    """What was found in one frame.

    ``anomaly_score`` is (H, W) float32 in [0, 1]; ``labels`` is (H, W) int16 into ``vocabulary``, whose
    first ``known_classes`` entries are V and the rest the names W of this frame; ``threshold`` is the
    score above which a pixel was taken for unknown.
    """

    anomaly_score: npt.NDArray[np.float32]
    labels: npt.NDArray[np.int16]
    vocabulary: tuple[str, ...]
    known_classes: int
    threshold: float
    instances: tuple[Instance, ...]


Finish = Callable[[], FrameResult]
"""Makes the result of a frame of which all that the network and its device have to do is done."""
