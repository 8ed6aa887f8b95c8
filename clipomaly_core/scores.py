"""How unknown a pixel is: one number in [0, 1] from its similarities to the names."""

import math
from typing import Literal, get_args

import torch
from torch import Tensor

Score = Literal["entropy", "msp", "max-logit", "variance", "candidate_probability", "word-msp"]
SCORES: tuple[str, ...] = get_args(Score)

_LEAST = 1e-7
"""Probabilities are kept so far from 0 and 1, for a finite logit."""


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
