"""Names by pictures: what judged regions say of new ones, a cache beside the texts that needs no training.

A region is compared with every exemplar, as in Tip-Adapter (arXiv 2111.03930): near ones speak for their name, by how
far they are trusted. Tip-Adapter adds this to the logits of the texts. Here it takes a share of the probability, as the
neighbours of kNN-LM do (arXiv 1911.00172): how much a name gets does not depend on the scale of a model's logits, and
what looks like nothing that was judged keeps the probabilities of its texts.

The nearest exemplar of each name counts, and names compete: what lies between two of them belongs to neither.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import normalize

from clipomaly_core.errors import UsageError
from clipomaly_core.names import Candidate, Exemplars, lemma

_CLEAR = 0.5
"""Where the texts have a clear name, exemplars reach so many times as far as elsewhere: that name may be right."""
_CLEAR_MOST = 0.3
"""The most that they reach there, in widths of the widest: about what is the same object."""
_UNCLEAR = 0.25
"""What the texts count beside exemplars where none of them is clear."""
_RIVALRY = 0.1
"""How much farther an exemplar of another name must be to be e times less likely, in widths of the widest."""


@dataclass(frozen=True, slots=True)
class Shares:
    """The probability that exemplars take of R regions: ``names`` (R, N) and ``ordinary`` (R,), float32.

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


def nothing_recalled(regions: int, names: int, device: torch.device) -> Shares:
    """Where there are no exemplars: texts have all."""
    return Shares(torch.zeros(regions, names, device=device), torch.zeros(regions, device=device))


@dataclass(frozen=True, slots=True)
class Recall:
    """The nearest exemplar of each name, for R regions and M names: (R, M) float32 each.

    ``likely`` is the probability of each name by nearness alone, ``distance`` is 1 - cosine, ``weight`` and ``width``
    are the exemplar's. ``places`` (M,) are the columns that ``Shares`` has for them: N is what is no anomaly.
    ``widest`` is the largest width of all exemplars. ``replaced`` (M, N) bool are the candidates that people replaced
    by each name.
    """

    likely: Tensor
    distance: Tensor
    weight: Tensor
    width: Tensor
    places: Tensor
    names: int
    widest: float
    replaced: Tensor

    def shares(self, clear: Tensor, best: Tensor) -> Shares:
        """What exemplars take of the probability.

        Args:
            clear: (R,) bool, regions that have a clear name by their texts, or are known by them.
            best: (R,) the number of that name. Where people replaced it by the name of an exemplar, it is not clear.
        """
        firm = clear[:, None] & ~self.replaced.T[best]
        beside_text = (_CLEAR * self.width).clamp(max=_CLEAR_MOST * self.widest)
        reach = torch.where(firm, beside_text, self.width)
        trust = self.likely * self.weight * torch.exp(-((self.distance / reach) ** 2))
        taken = trust.sum(1)
        is_firm = firm.gather(1, trust.argmax(1, keepdim=True))[:, 0]
        trust = trust / (taken + torch.where(is_firm, 1.0, _UNCLEAR) * (1 - taken))[:, None]
        placed = torch.zeros(len(trust), self.names + 1, device=trust.device).index_copy(1, self.places, trust)
        return Shares(placed[:, : self.names], placed[:, self.names])


Recaller = Callable[[Tensor], Recall | None]


def make_recaller(
    exemplars: Sequence[Exemplars], candidates: Sequence[Candidate], model: str, dimension: int, device: torch.device
) -> Recaller:
    """What finds the nearest exemplars of regions.

    Args:
        exemplars: of the vocabulary; those of other models than ``model`` (the weights' SHA-256) and of names that are
            no candidates are left alone.
        candidates: the N candidate names.
        model: the weights that embed the regions.
        dimension: the length of its embeddings.
        device: where they will be.

    Returns:
        (R, dimension) float32 L2-normalised region embeddings → their nearest exemplars; ``None`` where there are none.

    Raises:
        UsageError: embeddings of another length though of this model, or exemplars whose file was not read.
    """
    places = {lemma(word): index for index, c in enumerate(candidates) for word in (c.name, *c.synonyms)}
    ordinary = len(candidates)
    own = [
        (ordinary if exemplar.name is None else places[lemma(exemplar.name)], exemplar)
        for exemplar in exemplars
        if exemplar.model == model and (lemma(exemplar.name) in places if exemplar.name else exemplar.weights)
    ]
    if not own:
        return lambda regions: None
    for _, one in own:
        if len(one.embeddings) != len(one.weights) // 2 * dimension or not one.weights:
            raise UsageError(
                f"Exemplars of the vocabulary ({one.name or 'no anomaly'}: {one.reason}) do not fit embeddings "
                f"of {dimension} numbers: remove them, or bring back the file that `vocabulary promote` wrote."
            )
    own.sort(key=lambda pair: pair[0])
    keys = normalize(_tensor([one.embeddings for _, one in own], "<f2", device).reshape(-1, dimension), dim=-1)
    weights = _tensor([one.weights for _, one in own], "<f4", device)
    widths = _tensor([one.widths for _, one in own], "<f4", device)
    counts: Counter[int] = Counter()
    replaced = defaultdict[int, set[int]](set)
    for place, one in own:
        counts[place] += len(one.weights) // 4
        replaced[place] |= {places[lemma(name)] for name in one.instead_of if lemma(name) in places}
    corrections = torch.zeros(len(counts), len(candidates), dtype=torch.bool)
    for row, place in enumerate(counts):
        corrections[row, sorted(replaced[place])] = True
    corrections = corrections.to(device)
    columns = torch.tensor([*counts], device=device)
    starts = torch.tensor([0, *counts.values()], device=device).cumsum(0)[:-1]
    widest = float(widths.max())

    def recall(regions: Tensor) -> Recall:
        distances = (1 - regions @ keys.T).clamp(min=0)
        nearest = [part.min(1) for part in distances.split([*counts.values()], dim=1)]
        distance = torch.stack([of_name.values for of_name in nearest], 1)
        which = torch.stack([of_name.indices for of_name in nearest], 1) + starts
        likely = torch.softmax(-distance / (_RIVALRY * widest), dim=1)
        return Recall(likely, distance, weights[which], widths[which], columns, ordinary, widest, corrections)

    return recall


def _tensor(parts: Sequence[bytes], kind: str, device: torch.device) -> Tensor:
    return torch.from_numpy(np.frombuffer(b"".join(parts), kind).astype(np.float32)).to(device)
