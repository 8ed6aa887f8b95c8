"""Suppress regions that look like what people rejected: by embedding, and by name if one is given."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import normalize

from clipomaly_core.errors import UsageError
from clipomaly_core.lemma import lemma
from clipomaly_core.names import Suppression

Suppressor = Callable[[Tensor, Sequence[str]], list[bool]]


def make_suppressor(suppressed: Sequence[Suppression], model: str, dimension: int, device: torch.device) -> Suppressor:
    """What tells which regions are suppressed.

    Args:
        suppressed: of the vocabulary; those of other models than ``model`` (the weights' SHA-256) mean nothing here.
        model: the weights that embed the regions.
        dimension: the length of its embeddings.
        device: where they will be.

    Returns:
        (R, dimension) float32 L2-normalised region embeddings and the best name of each → whether it is suppressed.

    Raises:
        UsageError: an embedding of another length, though of this model.
    """
    own = [suppression for suppression in suppressed if suppression.model == model]
    if not own:
        return lambda regions, names: [False] * len(regions)
    for suppression in own:
        if len(suppression.embedding) != 2 * dimension:
            raise UsageError(
                f"A suppression of the vocabulary ({suppression.reason}) has {len(suppression.embedding) // 2} numbers "
                f"and the model's embeddings {dimension}: remove it, or copy it from the file that "
                "`vocabulary promote` wrote."
            )
    vectors = np.stack([np.frombuffer(suppression.embedding, "<f2").astype(np.float32) for suppression in own])
    centres = normalize(torch.from_numpy(vectors).to(device), dim=-1)
    least = torch.tensor([suppression.cosine for suppression in own], device=device)
    words = [None if suppression.name is None else lemma(suppression.name) for suppression in own]

    def suppress(regions: Tensor, names: Sequence[str]) -> list[bool]:
        meant = torch.tensor([[word in (None, lemma(name)) for word in words] for name in names], device=device)
        return ((regions @ centres.T >= least) & meant).any(dim=-1).tolist()

    return suppress
