"""Scores of a frame: how unknown each place is, from its similarities to the known classes (V) and candidate names (W).

Maps are on a grid finer than the patches. ``usual_excess`` is what a camera sees at the same place in most frames: it
is no find, but a bonnet, a reflection or a sticker.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn.functional import interpolate

from clipomaly_core.prompted_vocabulary import PromptedVocabulary
from clipomaly_core.text import Prompts
from clipomaly_core.types import Frame

_FINER = 4
"""Cells of a map for each patch. Similarities are enlarged before they are compared, so edges are not patch edges."""
_NO_CANDIDATE = -1e4
"""Logarithm for a frame without candidates; finite, so that it can be interpolated."""
Score = Literal["entropy", "msp", "max-logit", "variance", "candidate_probability", "word-msp"]
SCORES: tuple[str, ...] = get_args(Score)

_LEAST = 1e-7
"""Probabilities are kept so far from 0 and 1, for a finite logit."""
LEAST_FRAMES = 4
"""A source with fewer frames has no map: the object itself may be in most of them."""
_QUANTILE = 0.25
"""The quantile over frames. The median would remove an animal that stands in front of a waiting car."""


def finer(maps: Tensor) -> Tensor:
    """(B, h, w, C) on the patch grid → (B, C, 4h, 4w)."""
    maps = maps.permute(0, 3, 1, 2)
    if maps.shape[1] == 0:
        return maps.new_zeros(maps.shape[0], 0, maps.shape[2] * _FINER, maps.shape[3] * _FINER)
    return interpolate(maps, scale_factor=_FINER, mode="bilinear", align_corners=False)


def candidate_evidence(features: Tensor, candidates: Prompts, allowed: Tensor | None, logit_scale: float) -> Tensor:
    """Log-sum-exp of the scaled cosines to the candidates of each frame.

    Args:
        features: (B, h, w, D) float32, L2-normalised.
        candidates: N candidate names.
        allowed: (B, N) bool, the candidates of each frame; all where ``None``.
        logit_scale: factor of the cosines.

    Returns:
        (B, 1, 4h, 4w) float32.
    """
    # Frame by frame: the cosines of a batch to all names are more memory than a process is lent for long, and asking
    # for it again takes a CPU as long as the cosines.
    evidence = []
    for index, frame in enumerate(features):
        cosines = candidates.cosines(frame)
        if allowed is not None:
            cosines = cosines.masked_fill(~allowed[index], -torch.inf)
        evidence.append(torch.logsumexp(logit_scale * cosines, dim=-1, keepdim=True))
    return finer(torch.stack(evidence).clamp(min=_NO_CANDIDATE))


def label_map(known: Tensor, chosen: Prompts, features: Tensor) -> Tensor:
    """The most similar of the known classes and of the names chosen for one frame, at each place.

    Args:
        known: (C, 4h, 4w) float32 cosines to the known classes.
        chosen: the names found in the frame.
        features: (h, w, D) float32, L2-normalised.

    Returns:
        (4h, 4w) int64: a known class, or C and more for a chosen name.
    """
    best_known, known_labels = known.max(0)
    best, index = finer(chosen.cosines(features[None]))[0].max(0)
    return torch.where(best > best_known, index + len(known), known_labels)


def anomaly_score(score: Score, known: Tensor, unknown: Tensor | None, scale: float) -> Tensor:
    """Score each place from its cosines.

    Args:
        score: ``entropy`` of softmax(scale * known), divided by log C (the paper's); ``msp``, one minus the
            greatest probability; ``max-logit``, one minus the greatest cosine, halved; ``variance``, one
            minus the standard deviation of the cosines over its greatest possible value; ``candidate_probability``,
            the probability of the candidate names (W) together in softmax(scale * [known, unknown]); ``word-msp``, one
            minus the greatest probability of a word in the softmax over all words of all known classes, so that the
            synonyms of a class compete (NACLIP's recipe).
        known: (B, C, …) float32 cosines to the known classes (V).
        unknown: (B, 1, …) float32, log-sum-exp of scale * cosines: to the candidate names (W) for
            ``candidate_probability``, to all words of the known classes for ``word-msp``; other scores do not need it.
        scale: the logit scale (inverse temperature); it decides the ranking, not only the range.

    Returns:
        (B, …) float32 in [0, 1]. Computed in float32 whatever the autocast: normalised entropy at scale 1
        spans 0.9996 to 1, of which float16 leaves two values.
    """
    known = known.float()
    match score:
        case "entropy":
            log_p = torch.log_softmax(scale * known, dim=1)
            return (-(log_p.exp() * log_p).sum(1) / math.log(known.shape[1])).clamp(0, 1)
        case "msp":
            return 1 - torch.softmax(scale * known, dim=1).amax(1)
        case "max-logit":
            return ((1 - known.amax(1)) / 2).clamp(0, 1)
        case "variance":
            return (1 - known.std(1, correction=0)).clamp(0, 1)  # cosines lie in [-1, 1], so std <= 1
        case "candidate_probability":
            return torch.sigmoid(anomaly_logit(score, known, unknown, scale))
        case "word-msp":
            assert unknown is not None
            return (1 - torch.exp(scale * known.amax(1) - unknown.float()[:, 0])).clamp(0, 1)


def anomaly_logit(score: Score, known: Tensor, unknown: Tensor | None, scale: float) -> Tensor:
    """The logit of ``anomaly_score``, with the same arguments: (B, …) float32.

    Differences between places that are almost surely unknown are lost in a probability and kept in its logit.
    """
    if score == "candidate_probability":
        assert unknown is not None
        return unknown.float()[:, 0] - torch.logsumexp(scale * known.float(), dim=1)
    return torch.logit(anomaly_score(score, known, unknown, scale), eps=_LEAST)


def usual_excess(logits: Sequence[npt.NDArray[np.float32]], ordinary: float) -> npt.NDArray[np.float32] | None:
    """How far each place of a source is above the ordinary in three quarters of its frames.

    Subtracted from the logits of each frame, it leaves what changes.

    Args:
        logits: (h, w) float32 of frames of one source and camera, of one size.
        ordinary: the logit of ordinary places, below which nothing is subtracted.

    Returns:
        (h, w) float32, 0 and more; ``None`` for fewer than ``LEAST_FRAMES`` frames.

    Example:
        >>> import numpy as np
        >>> from clipomaly_core.scores import usual_excess
        >>> usual_excess([np.full((1, 2), value, np.float32) for value in (1, 1, 1, 9)], ordinary=0.5)
        array([[0.5, 0.5]], dtype=float32)
    """
    if len(logits) < LEAST_FRAMES:
        return None
    rank = int(_QUANTILE * (len(logits) - 1))
    quantile = np.partition(np.stack(logits), rank, axis=0)[rank]
    return np.asarray(np.maximum(quantile - ordinary, 0), np.float32)


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
