"""ViTs of timm: attention pooling (SigLIP, PE), average pooling (ViTamin), a class token (EVA-02, MobileCLIP-B)."""

import copy
from dataclasses import dataclass
from typing import Any

import torch
from open_clip.timm_model import TimmModel
from timm.layers.format import Format
from timm.layers.pos_embed_sincos import apply_rot_embed_cat
from timm.models.eva import EvaBlock, EvaBlockPostNorm
from timm.models.vision_transformer import Block
from torch import Tensor, nn
from torch.nn.functional import linear, normalize

from clipomaly_core.towers.attention import ATTENTIONS, KEEPS_RESIDUAL

_GRIDS = 16
"""Grids whose rotary embeddings are kept."""


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
