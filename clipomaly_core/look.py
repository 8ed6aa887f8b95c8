"""The features and scores of one frame, before any decision."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from torch import Tensor

from clipomaly_core.prompted_vocabulary import PromptedVocabulary
from clipomaly_core.types import Frame


@dataclass(frozen=True, slots=True, eq=False)
class Look:
    """Features and scores of one frame.

    ``words`` is the vocabulary that it was compared with. ``features`` are (h, w, D) float32, L2-normalised, and
    ``known`` (C, 4h, 4w) float32, the cosines to the known classes, both on the device. ``logits`` and ``language`` are
    (4h, 4w) float32 on the CPU: the logit of the anomaly score, and of the language score alone, uncalibrated.
    ``allowed`` is (N,) bool, the candidates of this frame; ``None`` where it may have all.
    """

    frame: Frame
    words: PromptedVocabulary
    features: Tensor
    known: Tensor
    logits: npt.NDArray[np.float32]
    language: npt.NDArray[np.float32]
    allowed: Tensor | None
