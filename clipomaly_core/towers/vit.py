"""The ViTs of open_clip, with a class token or attention pooling. Dense features need no training: only the last block
changes.
"""

from dataclasses import dataclass
from weakref import WeakKeyDictionary

import torch
from open_clip.transformer import AttentionalPooler, QuickGELU, ResidualAttentionBlock, VisionTransformer
from torch import Tensor
from torch.nn.functional import interpolate, linear, normalize, silu

from clipomaly_core.towers.attention import ATTENTIONS, KEEPS_RESIDUAL, attend

_QUICK = 1.702
"""The factor of OpenAI's quick GELU."""

_positions: WeakKeyDictionary[VisionTransformer, dict[tuple[int, int, int], Tensor]] = WeakKeyDictionary()


@dataclass(frozen=True, slots=True)
class OpenClipTower:
    """What the towers of open_clip's ``VisionTransformer`` have in common, see ``ImageTower``."""

    visual: VisionTransformer

    @property
    def patch(self) -> int:
        """See ``ImageTower``."""
        return int(self.visual.patch_size[0])

    @property
    def embedding_dimension(self) -> int:
        """See ``ImageTower``."""
        return int(self.visual.output_dim)

    def embed(self, images: Tensor) -> Tensor:
        """See ``ImageTower``. At sizes other than the training's, the position embedding is resampled."""
        return image_embedding(self.visual, images)


@dataclass(frozen=True, slots=True)
class OpenClipViT(OpenClipTower):
    """An ``ImageTower``: open_clip's ``VisionTransformer`` with a class token and no attention pooling."""

    @property
    def attentions(self) -> tuple[str, ...]:
        """See ``ImageTower``."""
        return tuple(ATTENTIONS)

    def dense(self, images: Tensor, attention: str) -> Tensor:
        """See ``ImageTower``."""
        grid = (images.shape[-2] // self.patch, images.shape[-1] // self.patch)
        return patch_features(self.visual, embed_patches(self.visual, images), grid, attention)


def patch_features(visual: VisionTransformer, tokens: Tensor, grid: tuple[int, int], attention: str) -> Tensor:
    """What the blocks make of tokens, the last one with another attention.

    Args:
        visual: image tower of width D' and embedding length D.
        tokens: (B, 1 + h * w, D'), class token first, as they enter the first block.
        grid: h, w.
        attention: a key of ``ATTENTIONS``.

    Returns:
        (B, h, w, D) float32, L2-normalised.
    """
    *blocks, last = visual.transformer.resblocks
    for block in blocks:
        tokens = run_block(block, tokens)
    mixed = _mix(last, tokens, grid, attention)
    if attention in KEEPS_RESIDUAL:
        tokens = tokens + last.ls_1(mixed)
        tokens = tokens + last.ls_2(_mlp(last, last.ln_2(tokens)))
    else:
        tokens = mixed
    features = visual.ln_post(tokens[:, 1:]) @ visual.proj
    return normalize(features.float(), dim=-1).unflatten(1, grid)


def run_block(block: ResidualAttentionBlock, tokens: Tensor) -> Tensor:
    """``block(tokens)``, a quarter faster on a CPU: torch's ``MultiheadAttention`` writes out the weight of every
    pair of tokens, which fused attention does not."""
    q, k, v = _projections(block, tokens)
    mixed = attend(q, k, v)
    tokens = tokens + block.ls_1(block.attn.out_proj(mixed.transpose(1, 2).flatten(2)))
    return tokens + block.ls_2(_mlp(block, block.ln_2(tokens)))


def _mlp(block: ResidualAttentionBlock, tokens: Tensor) -> Tensor:
    hidden = block.mlp.c_fc(tokens)
    if isinstance(block.mlp.gelu, QuickGELU) and not torch.is_grad_enabled():
        # x * sigmoid(1.702 x) = silu(1.702 x) / 1.702, in place in the widest tensor of the tower, and divided as part
        # of the product that follows.
        activated = silu(hidden.mul_(_QUICK), inplace=True)
        project = block.mlp.c_proj
        product = torch.addmm(project.bias, activated.flatten(0, 1), project.weight.T, alpha=1 / _QUICK)
        return product.unflatten(0, tokens.shape[:2])
    return block.mlp.c_proj(block.mlp.gelu(hidden))


def _projections(block: ResidualAttentionBlock, tokens: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Query, key and value of each token: (B, heads, N, D' / heads)."""
    heads = block.attn
    projected = linear(block.ln_1(tokens), heads.in_proj_weight, heads.in_proj_bias)
    q, k, v = (part.unflatten(-1, (heads.num_heads, -1)).transpose(1, 2) for part in projected.chunk(3, dim=-1))
    return q, k, v


def _mix(block: ResidualAttentionBlock, tokens: Tensor, grid: tuple[int, int], attention: str) -> Tensor:
    q, k, v = _projections(block, tokens)
    return block.attn.out_proj(ATTENTIONS[attention](q, k, v, grid).transpose(1, 2).flatten(2))


def embed_patches(visual: VisionTransformer, images: Tensor) -> Tensor:
    """CLS and patch tokens with position, as they enter the first block.

    Like ``visual._embeds`` for the tower's own size; for any other the position embedding is resampled
    bicubically, once a size.

    Args:
        visual: image tower of width D'.
        images: (B, 3, H, W), normalised, H and W multiples of the patch size.

    Returns:
        (B, 1 + N, D') tokens.
    """
    patches = visual.conv1(images)  # pixels that do not fill a patch are left out
    grid = (patches.shape[-2], patches.shape[-1])
    tokens = patches.flatten(2).transpose(1, 2)
    cls = visual.class_embedding.to(tokens.dtype).expand(len(tokens), 1, -1)
    position = position_embedding(visual, grid).to(tokens.dtype)
    return visual.ln_pre(torch.cat([cls, tokens], dim=1) + position)


def position_embedding(visual: VisionTransformer, grid: tuple[int, int]) -> Tensor:
    """The position embedding of CLS and of a grid of (rows, columns) patches: (1 + rows * columns, D')."""
    own = visual.positional_embedding
    if tuple(visual.grid_size) == grid:
        return own
    if own.requires_grad and torch.is_grad_enabled():  # training changes it at every step
        return resample_position(own, tuple(visual.grid_size), grid)
    cache = _positions.setdefault(visual, {})
    key = (*grid, own._version)
    if key not in cache or cache[key].device != own.device:
        cache[key] = resample_position(own.detach(), tuple(visual.grid_size), grid)
    return cache[key]


def image_embedding(visual: VisionTransformer, images: Tensor) -> Tensor:
    """The usual CLIP image embedding, at any size.

    Args:
        visual: image tower.
        images: (B, 3, H, W), normalised, H and W at least the patch size.

    Returns:
        (B, D) float32, L2-normalised.
    """
    tokens = embed_patches(visual, images)
    for block in visual.transformer.resblocks:
        tokens = run_block(block, tokens)
    pooled, _ = visual._pool(tokens)
    return normalize((pooled @ visual.proj).float(), dim=-1)


@dataclass(frozen=True, slots=True)
class CoCaViT(OpenClipTower):
    """An ``ImageTower``. Each place is the value that the pooling would take of it, see MaskCLIP (arXiv 2112.01071)."""

    @property
    def attentions(self) -> tuple[str, ...]:
        """None: the blocks stay as they are."""
        return ()

    def dense(self, images: Tensor, attention: str) -> Tensor:
        """See ``ImageTower``."""
        visual = self.visual
        grid = (images.shape[-2] // self.patch, images.shape[-1] // self.patch)
        tokens = embed_patches(visual, images)
        for block in visual.transformer.resblocks:
            tokens = run_block(block, tokens)
        pooled = visual.ln_post(pooled_values(visual.attn_pool, tokens[:, 1:]))
        return normalize((pooled @ visual.proj).float(), dim=-1).unflatten(1, grid)


def pooled_values(pool: AttentionalPooler, tokens: Tensor) -> Tensor:
    """What the pooling would give where all its attention is on one token: (B, N, D') → (B, N, D)."""
    attn = pool.attn
    weight = attn.v_proj_weight if attn.in_proj_weight is None else attn.in_proj_weight.chunk(3)[2]
    return attn.out_proj(linear(pool.ln_k(tokens), weight, attn.in_proj_bias.chunk(3)[2]))


def resample_position(position: Tensor, old: tuple[int, int], new: tuple[int, int]) -> Tensor:
    """Resample a position embedding bicubically.

    Args:
        position: (1 + rows * columns, D'), the class token or the mean of the image first.
        old: its (rows, columns).
        new: the wanted (rows, columns).

    Returns:
        (1 + rows * columns, D') float32 for the new grid; the first row is unchanged.
    """
    patches = position[1:].float().unflatten(0, old).permute(2, 0, 1)[None]
    patches = interpolate(patches, size=new, mode="bicubic", antialias=True, align_corners=False)
    return torch.cat([position[:1].float(), patches[0].flatten(1).T])
