"""Convolutional towers of timm, such as ConvNeXt and FastViT (MobileCLIP), and towers of windowed attention (Swin)."""

from dataclasses import dataclass

from open_clip.timm_model import TimmModel
from torch import Tensor
from torch.nn.functional import normalize


@dataclass(frozen=True, slots=True)
class TimmConv:
    """An ``ImageTower``. The tower's own head (norm and projection) at each place, as FC-CLIP does (arXiv 2308.02487).

    ``channels_last``: whether the trunk gives (B, h, w, C) instead of (B, C, h, w).
    """

    visual: TimmModel
    patch: int
    embedding_dimension: int
    channels_last: bool = False

    @property
    def attentions(self) -> tuple[str, ...]:
        """None: there is no last block whose attention could change."""
        return ()

    def dense(self, images: Tensor, attention: str) -> Tensor:
        """See ``ImageTower``."""
        places = self.visual.trunk.forward_features(images)
        if not self.channels_last:
            places = places.permute(0, 2, 3, 1)
        batch, height, width, channels = places.shape
        # Each place becomes an image of 1x1, of which the head pools nothing.
        alone = places.reshape(-1, 1, 1, channels)
        if not self.channels_last:
            alone = alone.permute(0, 3, 1, 2)
        embedded = self.visual.head(self.visual.trunk.forward_head(alone))
        return normalize(embedded.float(), dim=-1).unflatten(0, (batch, height, width))

    def embed(self, images: Tensor) -> Tensor:
        """See ``ImageTower``."""
        return normalize(self.visual(images).float(), dim=-1)
