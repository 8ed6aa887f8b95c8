"""The ResNet of CLIP with attention pooling."""

from dataclasses import dataclass

import torch
from open_clip.modified_resnet import AttentionPool2d, ModifiedResNet
from torch import Tensor
from torch.nn.functional import normalize

from clipomaly_core.towers.attention import attend
from clipomaly_core.towers.vit import resample_position


@dataclass(frozen=True, slots=True)
class ClipResNet:
    """An ``ImageTower``. Dense features as in MaskCLIP (arXiv 2112.01071): the pooling's value and output projections
    at each place, without its position embedding."""

    visual: ModifiedResNet

    @property
    def patch(self) -> int:
        """The stride of the last stage."""
        return 32

    @property
    def embedding_dimension(self) -> int:
        """See ``ImageTower``."""
        return int(self.visual.output_dim)

    @property
    def attentions(self) -> tuple[str, ...]:
        """None: there are no attention blocks."""
        return ()

    def dense(self, images: Tensor, attention: str) -> Tensor:
        """See ``ImageTower``."""
        pool = self.visual.attnpool
        places = _stages(self.visual, images).permute(0, 2, 3, 1)
        return normalize(pool.c_proj(pool.v_proj(places)).float(), dim=-1)

    def embed(self, images: Tensor) -> Tensor:
        """See ``ImageTower``. At sizes other than the training's, the position embedding is resampled."""
        return normalize(_pool(self.visual.attnpool, _stages(self.visual, images)).float(), dim=-1)


def _stages(visual: ModifiedResNet, images: Tensor) -> Tensor:
    x = visual.stem(images)
    for stage in (visual.layer1, visual.layer2, visual.layer3, visual.layer4):
        x = stage(x)
    return x


def _pool(pool: AttentionPool2d, places: Tensor) -> Tensor:
    """``pool(places)`` for a grid of any size: (B, C, h, w) → (B, D)."""
    grid = (places.shape[-2], places.shape[-1])
    side = round((len(pool.positional_embedding) - 1) ** 0.5)
    position = pool.positional_embedding
    if grid != (side, side):
        position = resample_position(position, (side, side), grid)
    tokens = places.flatten(2).mT
    tokens = torch.cat([tokens.mean(1, keepdim=True), tokens], dim=1) + position.to(tokens.dtype)
    projected = (pool.q_proj(tokens[:, :1]), pool.k_proj(tokens), pool.v_proj(tokens))
    q, k, v = (part.unflatten(-1, (pool.num_heads, -1)).transpose(1, 2) for part in projected)
    return pool.c_proj(attend(q, k, v).transpose(1, 2).flatten(2))[:, 0]
