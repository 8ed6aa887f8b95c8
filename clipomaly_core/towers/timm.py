"""Towers of timm: ViTs, convolutional towers, and towers that accept images of one size only."""

import copy
from dataclasses import dataclass
from itertools import product
from typing import Any, cast

import torch
from open_clip.timm_model import TimmModel
from timm.layers.format import Format
from timm.layers.pos_embed_sincos import apply_rot_embed_cat
from timm.models.eva import Eva, EvaBlock, EvaBlockPostNorm
from timm.models.swin_transformer import SwinTransformer
from timm.models.vision_transformer import Block, VisionTransformer
from timm.models.vision_transformer_relpos import VisionTransformerRelPos
from torch import Tensor, nn
from torch.nn.functional import interpolate, linear, normalize, pad

from clipomaly_core.towers.attention import ATTENTIONS, KEEPS_RESIDUAL
from clipomaly_core.towers.protocol import ImageTower

_GRIDS = 16
"""Grids whose rotary embeddings are kept."""


def timm_tower(visual: TimmModel) -> ImageTower | None:
    """The ``ImageTower`` of a timm model that open_clip built; ``None`` for a trunk whose features have no places."""
    trunk = cast(Any, visual.trunk)
    dimension = _embedding_dimension(visual)
    if isinstance(visual.trunk, VisionTransformer | Eva):
        accept_any_size(trunk)
        return TimmViT(visual, int(trunk.patch_embed.feat_ratio()), dimension)
    if isinstance(visual.trunk, VisionTransformerRelPos):
        # Its relative positions are those of one grid.
        return FixedSize(TimmViT(visual, int(trunk.patch_embed.feat_ratio()), dimension), visual.image_size[0])
    stages = getattr(trunk, "feature_info", None)
    if not stages:
        return None
    stride = int(stages[-1]["reduction"])
    if isinstance(visual.trunk, SwinTransformer):
        return FixedSize(TimmConv(visual, stride, dimension, channels_last=True), visual.image_size[0])
    return TimmConv(visual, stride, dimension)


def _embedding_dimension(visual: TimmModel) -> int:
    for layer in reversed(visual.head):
        for module in reversed(list(layer.modules())):
            if hasattr(module, "out_features"):
                return int(module.out_features)
    return int(visual.trunk.num_classes or visual.trunk.num_features)


@dataclass(frozen=True, slots=True)
class TimmViT:
    """An ``ImageTower``. What each place gives depends on how the tower pools.

    With attention pooling it is the value that the pooling would take of the place, after the pooling's projection and
    MLP (as MaskCLIP does for CLIP, arXiv 2112.01071). With average pooling it is the place itself. Towers with a class
    token have all attention variants of the last block. The head of the tower follows in each case.
    """

    visual: TimmModel
    patch: int
    embedding_dimension: int

    @property
    def attentions(self) -> tuple[str, ...]:
        """All variants for a tower with a class token, none for the others."""
        trunk = self.visual.trunk
        plain = isinstance(trunk.blocks[-1], Block | EvaBlock | EvaBlockPostNorm)
        return tuple(ATTENTIONS) if plain and trunk.global_pool == "token" else ()

    def dense(self, images: Tensor, attention: str) -> Tensor:
        """See ``ImageTower``."""
        trunk = self.visual.trunk
        grid = (images.shape[-2] // self.patch, images.shape[-1] // self.patch)
        if self.attentions:
            tokens = _with_attention(trunk, images, grid, attention)
        else:
            tokens = trunk.forward_features(images)[:, trunk.num_prefix_tokens :]
        if getattr(trunk, "attn_pool", None) is not None:
            tokens = pooled_values(trunk.attn_pool, tokens)
        embedded = self.visual.head(trunk.head(trunk.fc_norm(tokens)))
        return normalize(embedded.float(), dim=-1).unflatten(1, grid)

    def embed(self, images: Tensor) -> Tensor:
        """See ``ImageTower``. At sizes other than the training's, the position embedding is resampled."""
        height, width = (side // self.patch * self.patch for side in images.shape[-2:])
        return normalize(self.visual(images[..., :height, :width]).float(), dim=-1)


def accept_any_size(trunk: Any) -> None:
    """Let a ViT or EVA of timm take images of any size that its patches divide. Nothing else changes."""
    trunk.dynamic_img_size = True
    trunk.patch_embed.strict_img_size = False
    trunk.patch_embed.flatten = False
    trunk.patch_embed.output_fmt = Format.NHWC
    rope = getattr(trunk, "rope", None)
    if rope is not None and not isinstance(rope, _RopeOfAnyGrid):
        trunk.rope = _RopeOfAnyGrid(rope)


class _RopeOfAnyGrid(nn.Module):
    """Rotary position embeddings of timm, which are made for one grid, for each grid that is asked for."""

    def __init__(self, rope: Any) -> None:
        super().__init__()
        self.rope = rope
        self._made: dict[tuple[int, int], Tensor] = {}

    def get_embed(self, shape: tuple[int, int]) -> Tensor:
        """The embedding of a grid of (rows, columns): (rows * columns, 2 * head_dim)."""
        grid = (shape[0], shape[1])
        if (made := self._made.get(grid)) is not None and made.device == self.rope.get_embed().device:
            return made
        if len(self._made) > _GRIDS:
            self._made.clear()
        own = copy.deepcopy(self.rope)
        own.update_feat_shape([*grid])
        self._made[grid] = embedding = own.get_embed()
        return embedding


def pooled_values(pool: Any, tokens: Tensor) -> Tensor:
    """What the attention pooling would give where all its attention is on one token: (B, N, D') → (B, N, D')."""
    values = linear(tokens, pool.kv.weight.chunk(2)[1], None if pool.kv.bias is None else pool.kv.bias.chunk(2)[1])
    projected = pool.proj(values)
    return projected if pool.mlp is None else projected + pool.mlp(pool.norm(projected))


def _with_attention(trunk: Any, images: Tensor, grid: tuple[int, int], attention: str) -> Tensor:
    """Patch tokens after the last norm, with another attention in the last block: (B, h * w, D')."""
    [(patches, prefix)] = trunk.forward_intermediates(
        images,
        indices=[len(trunk.blocks) - 2],
        return_prefix_tokens=True,
        stop_early=True,
        output_fmt="NLC",
        intermediates_only=True,
    )
    tokens = torch.cat([prefix, patches], dim=1)
    rope = trunk.rope.get_embed(shape=grid) if getattr(trunk, "rope", None) is not None else None
    return trunk.norm(_last_block(trunk.blocks[-1], tokens, rope, grid, attention))[:, 1:]


def _last_block(block: Any, tokens: Tensor, rope: Tensor | None, grid: tuple[int, int], attention: str) -> Tensor:
    norm_after = isinstance(block, EvaBlockPostNorm)
    q, k, v = _projections(block.attn, tokens if norm_after else block.norm1(tokens), rope)
    mixed = ATTENTIONS[attention](q, k, v, grid).transpose(1, 2).flatten(2)
    mixed = block.attn.proj(block.attn.norm(mixed))
    mixed = _scaled(block, "1", block.norm1(mixed) if norm_after else mixed)
    if attention not in KEEPS_RESIDUAL:
        return mixed
    tokens = tokens + mixed
    hidden = block.norm2(block.mlp(tokens)) if norm_after else block.mlp(block.norm2(tokens))
    return tokens + _scaled(block, "2", hidden)


def _scaled(block: Any, number: str, branch: Tensor) -> Tensor:
    """A branch of a block after its layer scale: ``ls1`` of a ViT, ``gamma_1`` of EVA, or none."""
    if (scale := getattr(block, f"ls{number}", None)) is not None:
        return scale(branch)
    gamma = getattr(block, f"gamma_{number}", None)
    return branch if gamma is None else gamma * branch


def _projections(attn: Any, tokens: Tensor, rope: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
    """Query, key and value of each token, (B, heads, N, d), the class token first."""
    if attn.qkv is None:
        parts = [attn.q_proj(tokens), attn.k_proj(tokens), attn.v_proj(tokens)]
    else:
        bias = attn.qkv.bias
        if getattr(attn, "q_bias", None) is not None:  # EVA has no bias of keys
            bias = torch.cat((attn.q_bias, attn.k_bias, attn.v_bias))
        parts = list(linear(tokens, attn.qkv.weight, bias).chunk(3, dim=-1))
    q, k, v = (part.unflatten(-1, (attn.num_heads, -1)).transpose(1, 2) for part in parts)
    q, k = attn.q_norm(q), attn.k_norm(k)
    if rope is not None:
        half = getattr(attn, "rotate_half", False)
        q, k = (
            torch.cat([part[:, :, :1], apply_rot_embed_cat(part[:, :, 1:], rope, half=half)], dim=2).type_as(v)
            for part in (q, k)
        )
    return q, k, v


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
