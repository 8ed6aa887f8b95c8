"""Taggers: choose the names that a frame is compared with, instead of the whole dictionary."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch

from clipomaly_core.crops import square_crop
from clipomaly_core.frame_encoder import FrameEncoder
from clipomaly_core.prompts import Prompts
from clipomaly_core.types import Frame, NameScore


class Tagger(Protocol):
    """Names the things in an image."""

    def __call__(self, frames: Sequence[Frame], /) -> list[tuple[NameScore, ...]]:
        """Names with scores.

        Args:
            frames: (H, W, 3) uint8 RGB each.

        Returns:
            For each frame, names with a score in [0, 1], best first; none where it knows nothing. Any words may be
            given: those that known classes cover are left out later.
        """


@dataclass(frozen=True, slots=True)
class ClipTagger:
    """The built-in tagger: names of the dictionary that win some square of the frame.

    A CLIP tells what an image shows as a whole, not what is in its corner. So it embeds overlapping squares as high as
    the frame and half as high, and a name's score is its best probability among known classes and dictionary over all
    of them. What is much smaller than a quarter of the frame's height is easily missed.

    ``encoder`` embeds the squares; ``scale`` is the inverse temperature; ``most`` names are given a frame.
    """

    encoder: FrameEncoder
    known: Prompts
    candidates: Prompts
    names: tuple[str, ...]
    scale: float
    most: int

    def __call__(self, frames: Sequence[Frame], /) -> list[tuple[NameScore, ...]]:
        """See Tagger."""
        return [self._tags(frame) for frame in frames]

    def _tags(self, frame: Frame) -> tuple[NameScore, ...]:
        if not self.names:
            return ()
        size, interpolation = self.encoder.crop_size, self.encoder.interpolation
        crops = [square_crop(frame, corner, size, interpolation) for corner in squares(*frame.shape[:2])]
        views = self.encoder.crops(crops)
        cosines = torch.cat([self.known.cosines(views), self.candidates.cosines(views)], dim=1)
        probability = torch.softmax(self.scale * cosines, dim=1)[:, -len(self.names) :].amax(0)
        best = probability.topk(min(self.most, len(self.names)))
        pairs = zip(best.indices.tolist(), best.values.tolist(), strict=True)
        return tuple(NameScore(self.names[index], score) for index, score in pairs)


def squares(height: int, width: int) -> list[tuple[int, int, int]]:
    """(left, top, side) of squares that cover a frame twice: as large as it allows, and half as large."""
    least = min(height, width)
    found = []
    for side in (least, max(least // 2, 1)):
        tops, lefts = (_starts(length, side) for length in (height, width))
        found += [(left, top, side) for top in tops for left in lefts]
    return found


def _starts(length: int, side: int) -> list[int]:
    count = 1 + -(-2 * (length - side) // side)  # neighbours share half of their side, or more
    return sorted({round(start) for start in np.linspace(0, length - side, count)})
