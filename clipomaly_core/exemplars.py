"""Names by pictures: what judged regions say of new ones, a cache beside the texts that needs no training.

A region is compared with every exemplar, as in Tip-Adapter (arXiv 2111.03930): near ones speak for their name, by how
far they are trusted. Tip-Adapter adds this to the logits of the texts. Here it takes a share of the probability, as the
neighbours of kNN-LM do (arXiv 1911.00172): how much a name gets does not depend on the scale of a model's logits, and
what looks like nothing that was judged keeps the probabilities of its texts.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import normalize

from clipomaly_core.errors import UsageError
from clipomaly_core.lemma import lemma
from clipomaly_core.names import Candidate, Exemplars


@dataclass(frozen=True, slots=True)
class Recall:
    """What exemplars say of R regions: ``names`` (R, N) and ``ordinary`` (R,), float32 shares of the probability.

    Together they are at most 1 for a region; the texts of the N candidates share the rest.
    """

    names: Tensor
    ordinary: Tensor

    @property
    def rest(self) -> Tensor:
        """(R,) float32: the share of the texts."""
        return 1 - self.names.sum(1) - self.ordinary

    @property
    def certain(self) -> Tensor:
        """(R,) bool: regions that exemplars name, whatever their texts say."""
        return self.names.amax(1) > 0.5


def nothing_recalled(regions: int, names: int, device: torch.device) -> Recall:
    """Where there are no exemplars: texts have all."""
    return Recall(torch.zeros(regions, names, device=device), torch.zeros(regions, device=device))


Recaller = Callable[[Tensor], Recall | None]


def make_recaller(
    exemplars: Sequence[Exemplars], candidates: Sequence[Candidate], model: str, dimension: int, device: torch.device
) -> Recaller:
    """What tells how much of the probability of regions exemplars take.

    Args:
        exemplars: of the vocabulary; those of other models than ``model`` (the weights' SHA-256) and of names that are
            no candidates are left alone.
        candidates: the N candidate names.
        model: the weights that embed the regions.
        dimension: the length of its embeddings.
        device: where they will be.

    Returns:
        (R, dimension) float32 L2-normalised region embeddings → their shares; ``None`` where there are no exemplars.

    Raises:
        UsageError: embeddings of another length though of this model, or exemplars whose file was not read.
    """
    places = {lemma(word): index for index, c in enumerate(candidates) for word in (c.name, *c.synonyms)}
    ordinary = len(candidates)
    own = [
        (ordinary if exemplar.name is None else places[lemma(exemplar.name)], exemplar)
        for exemplar in exemplars
        if exemplar.model == model and (exemplar.name is None or lemma(exemplar.name) in places)
    ]
    if not own:
        return lambda regions: None
    for _, one in own:
        if len(one.embeddings) != len(one.weights) // 2 * dimension or not one.weights:
            raise UsageError(
                f"Exemplars of the vocabulary ({one.name or 'no anomaly'}: {one.reason}) do not fit embeddings "
                f"of {dimension} numbers: remove them, or bring back the file that `vocabulary promote` wrote."
            )
    keys = normalize(_tensor([one.embeddings for _, one in own], "<f2", device).reshape(-1, dimension), dim=-1)
    weights = _tensor([one.weights for _, one in own], "<f4", device)
    widths = _tensor([one.widths for _, one in own], "<f4", device)
    counts = torch.tensor([len(one.weights) // 4 for _, one in own])
    labels = torch.tensor([place for place, _ in own]).repeat_interleave(counts).to(device)

    def recall(regions: Tensor) -> Recall:
        trust = weights * torch.exp(-(((1 - regions @ keys.T).clamp(min=0) / widths) ** 2))
        nearest = torch.zeros(len(regions), ordinary + 1, device=device)
        nearest = nearest.scatter_reduce(1, labels.expand(len(regions), -1), trust, "amax")
        # The nearest exemplar says how much is decided, those of several names share it.
        shares = nearest * (nearest.amax(1) / nearest.sum(1).clamp(min=1e-12))[:, None]
        return Recall(shares[:, :ordinary], shares[:, ordinary])

    return recall


def _tensor(parts: Sequence[bytes], kind: str, device: torch.device) -> Tensor:
    return torch.from_numpy(np.frombuffer(b"".join(parts), kind).astype(np.float32)).to(device)
