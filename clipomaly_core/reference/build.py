"""Make a reference from frames, batch by batch."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch

from clipomaly_core.reference.bank import BANK_SIZE, Bank, coarse_places, make_bank
from clipomaly_core.reference.record import Spread, spread_of

_PLACES = 40_000
"""Places of all frames that the coreset is chosen from at most."""
_EVERY = 7
"""Of the places of a score map, one in so many is kept for its spread."""


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
