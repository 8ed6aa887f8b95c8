"""Maps over the known classes (V) and the candidate names (W), on a grid finer than the patches."""

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from clipomaly_core.prompts import Prompts

_FINER = 4
"""Cells of a map for each patch. Similarities are enlarged before they are compared, so edges are not patch edges."""
_NO_CANDIDATE = -1e4
"""Logarithm for a frame without candidates; finite, so that it can be interpolated."""


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
