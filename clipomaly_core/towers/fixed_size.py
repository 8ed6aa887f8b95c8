"""Towers that accept images of one size only: frames go through in tiles of that size."""

from dataclasses import dataclass
from itertools import product

from torch import Tensor
from torch.nn.functional import interpolate, normalize, pad

from clipomaly_core.towers.protocol import ImageTower


@dataclass(frozen=True, slots=True)
class FixedSize:
    """An ``ImageTower`` around another one that takes images of (``side``, ``side``) pixels.

    Tiles overlap where the frame is no multiple of their side, and places in several tiles are averaged. A frame that
    is smaller than a tile is padded with its own edge.
    """

    tower: ImageTower
    side: int

    @property
    def patch(self) -> int:
        """See ``ImageTower``."""
        return self.tower.patch

    @property
    def embedding_dimension(self) -> int:
        """See ``ImageTower``."""
        return self.tower.embedding_dimension

    @property
    def attentions(self) -> tuple[str, ...]:
        """See ``ImageTower``."""
        return self.tower.attentions

    def dense(self, images: Tensor, attention: str) -> Tensor:
        """See ``ImageTower``."""
        side, patch = self.side, self.patch
        height, width = images.shape[-2:]
        padded = pad(images, (0, max(side - width, 0), 0, max(side - height, 0)), mode="replicate")
        rows, columns = padded.shape[-2] // patch, padded.shape[-1] // patch
        total = images.new_zeros(len(images), rows, columns, self.embedding_dimension)
        for top, left in product(_starts(padded.shape[-2], side, patch), _starts(padded.shape[-1], side, patch)):
            features = self.tower.dense(padded[..., top : top + side, left : left + side], attention)
            row, column = top // patch, left // patch
            total[:, row : row + side // patch, column : column + side // patch] += features
        return normalize(total[:, : height // patch, : width // patch], dim=-1)

    def embed(self, images: Tensor) -> Tensor:
        """See ``ImageTower``. Images of another size are resized first."""
        if images.shape[-2:] != (self.side, self.side):
            images = interpolate(images, size=(self.side, self.side), mode="bicubic", antialias=True)
        return self.tower.embed(images)


def _starts(length: int, side: int, patch: int) -> list[int]:
    """Where tiles start, in pixels: as few as cover the length, spread evenly, at multiples of the patch size."""
    last = (length - side) // patch
    count = -(-(length - side) // side)
    return sorted({round(last * step / count) * patch for step in range(count + 1)}) if count else [0]
