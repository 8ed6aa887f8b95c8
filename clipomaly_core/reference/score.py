"""The calibrated score of frames."""

from dataclasses import replace

import torch
from torch import Tensor

from clipomaly_core.look import Look
from clipomaly_core.reference.record import Reference
from clipomaly_core.segmentation import finer


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
