"""What ordinary frames look like to a model: the spread of its scores, and a bank of its features.

The bank is a coreset by greedy k-centre search, as in PatchCore (arXiv 2106.08265): each vector added is the one
farthest from those chosen so far, so that rare but ordinary places are kept and repeated ones are not. Vectors are
projected to their principal directions, which makes the distance many times faster. What a place has outside of these
directions makes it farther from all of them, since its projection is not normalised again.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, interpolate, normalize

BANK_SIZE = 4_096
_DIRECTIONS = 192
_MOST_PLACES = 2048
"""Places of a frame whose distance is computed; finer grids are averaged down to about as many."""
_CHUNK = 2048
_PLACES = 40_000
"""Places of all frames that the coreset is chosen from at most."""
_EVERY = 7
"""Of the places of a score map, one in so many is kept for its spread."""
_NORMAL_95 = 1.645
"""The 95th percentile of a normal distribution, in standard deviations."""


@dataclass(frozen=True, slots=True)
class Spread:
    """Where the values of ordinary places lie, robust to a few that are not ordinary: the median, and the standard
    deviation of a normal distribution with the same 95th percentile."""

    centre: float
    width: float

    def standardised(self, values: Tensor) -> Tensor:
        """Standard deviations above the ordinary."""
        return (values - self.centre) / self.width


def spread_of(values: Tensor) -> Spread:
    """The spread of values of ordinary places: (n,) float32."""
    median, high = torch.quantile(values, torch.tensor([0.5, 0.95], dtype=values.dtype)).tolist()
    return Spread(median, max((high - median) / _NORMAL_95, 1e-3))


@dataclass(frozen=True, slots=True, eq=False)
class Bank:
    """Ordinary features.

    ``directions`` is (D, K) float32, orthonormal, ``vectors`` (N, K) float32: ordinary features, L2-normalised and then
    projected. K is at most 192.
    """

    directions: Tensor
    vectors: Tensor

    def features(self) -> Tensor:
        """The ordinary features again, as far as the directions hold them: (N, D) float32, L2-normalised."""
        return normalize(self.vectors @ self.directions.T, dim=-1)

    def distance(self, features: Tensor) -> Tensor:
        """Cosine distance of each place to the nearest vector.

        Args:
            features: (B, h, w, D) float32, L2-normalised.

        Returns:
            (B, h, w) float32 in [0, 2].
        """
        coarse = coarse_places(features)
        batch, height, width, _ = coarse.shape
        places = coarse.flatten(0, 2) @ self.directions
        found = [(part @ self.vectors.T).amax(1) for part in places.split(_CHUNK)]
        distance = 1 - torch.cat(found).view(batch, 1, height, width)
        return interpolate(distance, size=features.shape[1:3], mode="bilinear")[:, 0]


def coarse_places(features: Tensor) -> Tensor:
    """(B, h, w, D) features, averaged over squares of places so that about 2,000 are left of a frame."""
    step = 1
    while features.shape[1] * features.shape[2] > _MOST_PLACES * 1.5 * step * step:
        step += 1
    step = min(step, features.shape[1], features.shape[2])
    if step == 1:
        return features
    pooled = avg_pool2d(features.permute(0, 3, 1, 2), step)
    return normalize(pooled.permute(0, 2, 3, 1), dim=-1)


def make_bank(features: npt.NDArray[np.float32], size: int = BANK_SIZE) -> Bank:
    """Choose a coreset of features.

    Args:
        features: (M, D), L2-normalised, M of at least 1.
        size: vectors to keep at most.

    Returns:
        The same bank for the same features.
    """
    wide = features.astype(np.float64)
    _, directions = np.linalg.eigh(wide.T @ wide)
    kept = np.ascontiguousarray(directions[:, ::-1][:, :_DIRECTIONS]).astype(np.float32)
    projected = torch.from_numpy(features @ kept)
    lengths = (projected * projected).sum(1)
    chosen = [0]
    nearest = _squared_distances(projected, lengths, 0)
    for _ in range(min(size, len(projected)) - 1):
        farthest = int(nearest.argmax())
        chosen.append(farthest)
        nearest = torch.minimum(nearest, _squared_distances(projected, lengths, farthest))
    return Bank(torch.from_numpy(kept), projected[chosen].half().float())


def _squared_distances(vectors: Tensor, lengths: Tensor, index: int) -> Tensor:
    return lengths - 2 * (vectors @ vectors[index]) + lengths[index]


class Ordinary:
    """Collects what ordinary frames look like to a model. A fixed seed draws the places, so reruns agree."""

    def __init__(self, frames: int, known: Bank | None = None, seed: int = 0) -> None:
        """``frames``: how many will come. ``known``: what was ordinary before, and is so still."""
        self._known = [] if known is None else [known.features().cpu().numpy()]
        self._most = max(1, _PLACES // max(frames, 1))
        self._rng = np.random.default_rng(seed)
        self._features: list[npt.NDArray[np.float32]] = []
        self._logits: list[npt.NDArray[np.float32]] = []

    def add(self, features: torch.Tensor, logits: npt.NDArray[np.float32]) -> None:
        """Take in a frame: its (h, w, D) features, L2-normalised, and the (4h, 4w) logits of its language score."""
        places = coarse_places(features[None])[0].flatten(0, 1).float().cpu().numpy()
        chosen = self._rng.permutation(len(places))[: self._most]
        self._features.append(places[np.sort(chosen)])
        self._logits.append(logits.ravel()[::_EVERY])

    def spreads(self) -> tuple[Spread, Spread, Bank]:
        """The spreads of logits and distances, and the bank.

        Distances are those of every other frame to a bank of the frames between them: of a frame to itself it is 0.
        """
        language = spread_of(_sample(self._logits, self._rng))
        half = make_bank(np.concatenate([*self._known, *self._features[::2]]), BANK_SIZE // 2)
        others = torch.from_numpy(np.concatenate(self._features[1::2] or self._features))
        distances = half.distance(others[None, :, None])[0, :, 0]
        return language, spread_of(distances[:_PLACES]), self.bank()

    def bank(self) -> Bank:
        """The bank of all places."""
        return make_bank(np.concatenate([*self._known, *self._features]), BANK_SIZE)


def _sample(values: Sequence[npt.NDArray[np.float32]], rng: np.random.Generator) -> torch.Tensor:
    pooled = np.concatenate(values)
    return torch.from_numpy(rng.choice(pooled, min(len(pooled), 1_000_000), replace=False))
