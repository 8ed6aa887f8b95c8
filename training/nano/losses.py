"""What the image tower is trained for: V, planted objects outside V, regions and crops by name."""

import math

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, normalize

from training.nano.concepts import Concepts
from training.nano.data import NAMELESS

SCALE = 20.0
"""The logit scale: of training, and of the checkpoint."""
OUTLIER, REGION, CROP = 0.15, 1.0, 1.5
_SMOOTHING = 0.05


def prior(shares: Tensor) -> Tensor:
    """How frequent the 19 classes and planted are in (…, 20) shares."""
    frequency = shares.flatten(0, -2).mean(0) + 1e-4
    return frequency / frequency.sum()


def dense_loss(known: Tensor, unknown: Tensor, shares: Tensor, words: int, frequency: Tensor, told: float) -> Tensor:
    """Cross-entropy of V and W with the share of each patch; rare classes count more, by the root.

    Args:
        known, unknown: what ``masses`` gives.
        shares: (B, h, w, 20).
        words: how many names W has.
        frequency: (20,) of the classes and planted.
        told: in [0, 1]; so much of what is frequent is told instead of learned. Without that help features
            become the same everywhere at first: opposite to all that is rare.
    """
    weights = frequency.rsqrt()
    weights = weights / (weights * frequency).sum()
    usual = 0.5 * frequency.log()
    usual[-1] -= math.log(words)
    log_p = torch.log_softmax(torch.cat([known, unknown], dim=-1) + told * usual, dim=-1)
    share = shares * weights
    dense = -(share * log_p).sum() / share.sum().clamp(min=1)
    # Outlier exposure (Hendrycks et al., arXiv 1812.04606): over V alone, a planted object is anything.
    planted = shares[..., -1]
    uniform = torch.logsumexp(known, dim=-1) - known.mean(-1) - math.log(known.shape[-1])
    return dense + OUTLIER * (planted * uniform).sum() / planted.sum().clamp(min=1)


def masses(features: Tensor, concepts: Concepts) -> tuple[Tensor, Tensor]:
    """Scaled cosines of (…, D) L2-normalised features to V, (…, 19), and their log-sum-exp over W, (…, 1)."""
    known = SCALE * features @ concepts.known.T
    words = torch.cat([concepts.kinds, concepts.others])
    return known, torch.logsumexp(SCALE * features @ words.T, dim=-1, keepdim=True)


@torch.no_grad()
def accuracy(known: Tensor, unknown: Tensor, shares: Tensor) -> tuple[float, float]:
    """Of patches that are mostly of V the share whose best class of V is right, and of those mostly planted the share
    that is called unknown; ``known`` and ``unknown`` are what ``masses`` gives."""
    truth = torch.where(shares.sum(-1) > 0.5, shares.argmax(-1), -1)
    inside = (truth >= 0) & (truth < shares.shape[-1] - 1)
    planted = truth == shares.shape[-1] - 1
    right = (known.argmax(-1) == truth)[inside].float().mean()
    found = (unknown[..., 0] > known.logsumexp(-1))[planted].float().mean()
    return float(right), float(found) if planted.any() else math.nan


def region_embeddings(features: Tensor, regions: Tensor, windows: Tensor) -> Tensor:
    """Mean feature under each (R, h, w) coverage: (R, D), L2-normalised."""
    return normalize(torch.einsum("rhw,rhwd->rd", regions, features[windows]), dim=-1)


def naming_loss(embeddings: Tensor, labels: Tensor, concepts: Concepts) -> Tensor:
    """Cross-entropy of names.

    Args:
        embeddings: (R, D) L2-normalised.
        labels: (R,) a class of V, 19 + kind, or ``NAMELESS``, which must be equally far from every kind.
        concepts: targets.
    """
    if not len(labels):
        return embeddings.sum()
    logits = SCALE * embeddings @ torch.cat([concepts.known, concepts.kinds, concepts.others]).T
    losses = cross_entropy(logits, labels.clamp(min=0), reduction="none", label_smoothing=_SMOOTHING)
    first = len(concepts.known)
    kinds = logits[:, first : first + len(concepts.kinds)]
    spread = torch.logsumexp(kinds, dim=1) - kinds.mean(1) - math.log(kinds.shape[1])
    return torch.where(labels != NAMELESS, losses, 0.5 * spread).mean()


def region_labels(kinds: Tensor, classes: int) -> Tensor:
    """(R,) kinds → labels as ``naming_loss`` wants them."""
    return torch.where(kinds == NAMELESS, NAMELESS, kinds + classes)
