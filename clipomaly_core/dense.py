"""Dense features of a CLIP ViT, without training: only the last block's attention changes.

Sources: MaskCLIP (arXiv 2112.01071), SCLIP (2312.01597), ClearCLIP (2407.12442), NACLIP (2404.08181).
"""

from collections.abc import Callable
from functools import lru_cache
from weakref import WeakKeyDictionary

import torch
from open_clip.transformer import QuickGELU, ResidualAttentionBlock, VisionTransformer
from torch import Tensor
from torch.nn.functional import interpolate, linear, normalize, scaled_dot_product_attention, silu

from clipomaly_core.errors import UserError

# These keep the last block's residual and MLP; the others drop both, which is what makes them local.
_KEEPS_RESIDUAL = frozenset({"vanilla", "sclip"})
# NACLIP's standard deviation of the neighbourhood, in patches.
_NEIGHBOURHOOD = 5.0
# The factor of OpenAI's quick GELU.
_QUICK = 1.702

_positions: WeakKeyDictionary[VisionTransformer, dict[tuple[int, int, int], Tensor]] = WeakKeyDictionary()


def dense_features(
    visual: VisionTransformer,
    images: Tensor,
    attention: str = "naclip",
    window: int | None = None,
    stride: int | None = None,
) -> Tensor:
    """Patch embeddings in the space of the text embeddings.

    Args:
        visual: the image tower of an open_clip ViT with patch size p and embedding length D.
        images: (B, 3, H, W) float, normalised with the model's mean and standard deviation; H and W are
            multiples of p, of any aspect ratio.
        attention: how the last block mixes values; see the module's sources.
        window: side in pixels (a multiple of p) of square sliding windows; the whole frame when ``None``.
            All windows of all images go through in one forward pass, overlaps are averaged.
        stride: pixels between windows, half a window when ``None``.

    Returns:
        (B, H/p, W/p, D) float32, L2-normalised.

    Raises:
        UserError: a size, window or stride that is no multiple of p, an unknown attention, or a tower that
            is not a plain ViT.
    """
    patch = _patch_size(visual)
    if attention not in ATTENTIONS:
        raise UserError(f"Unknown attention {attention!r}: use one of {', '.join(ATTENTIONS)}.")
    height, width = images.shape[-2:]
    if height % patch or width % patch or min(height, width) < patch:
        raise UserError(f"Images of {width}x{height} pixels do not divide into patches of {patch}.")
    if window is None or (window >= height and window >= width):
        return _whole(visual, images, attention)
    stride = stride or window // 2 // patch * patch
    if window % patch or stride % patch or not 0 < stride <= window:
        raise UserError(
            f"Window {window} and stride {stride} must be multiples of the patch size {patch}, stride <= window."
        )
    return _windows(visual, images, attention, window, stride)


def _windows(visual: VisionTransformer, images: Tensor, attention: str, window: int, stride: int) -> Tensor:
    patch = _patch_size(visual)
    height, width = images.shape[-2:]
    size = (min(window, height), min(window, width))
    corners = [(top, left) for top in _starts(height, size[0], stride) for left in _starts(width, size[1], stride)]
    crops = torch.cat([images[:, :, top : top + size[0], left : left + size[1]] for top, left in corners])
    features = _whole(visual, crops, attention).unflatten(0, (len(corners), len(images)))
    total = features.new_zeros(len(images), height // patch, width // patch, features.shape[-1])
    for (top, left), part in zip(corners, features, strict=True):
        rows = slice(top // patch, (top + size[0]) // patch)
        columns = slice(left // patch, (left + size[1]) // patch)
        total[:, rows, columns] += part
    # The mean and the sum of unit vectors have the same direction.
    return normalize(total, dim=-1)


def _starts(length: int, window: int, stride: int) -> list[int]:
    starts = list(range(0, length - window + 1, stride))
    # The last window ends with the image, so that every patch is seen.
    return starts if starts[-1] + window == length else [*starts, length - window]


def _whole(visual: VisionTransformer, images: Tensor, attention: str) -> Tensor:
    patch = _patch_size(visual)
    grid = (images.shape[-2] // patch, images.shape[-1] // patch)
    return patch_features(visual, embed_patches(visual, images), grid, attention)


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
        tokens = _block(block, tokens)
    mixed = _mix(last, tokens, grid, attention)
    if attention in _KEEPS_RESIDUAL:
        tokens = tokens + last.ls_1(mixed)
        tokens = tokens + last.ls_2(_mlp(last, last.ln_2(tokens)))
    else:
        tokens = mixed
    features = visual.ln_post(tokens[:, 1:]) @ visual.proj
    return normalize(features.float(), dim=-1).unflatten(1, grid)


def _block(block: ResidualAttentionBlock, tokens: Tensor) -> Tensor:
    """``block(tokens)``, a quarter faster on a CPU: torch's ``MultiheadAttention`` writes out the weight of every
    pair of tokens, which fused attention does not."""
    q, k, v = _projections(block, tokens)
    mixed = _attend(q, k, v)
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


def _attend(q: Tensor, k: Tensor, v: Tensor, bias: Tensor | None = None) -> Tensor:
    """Softmax attention of (B, heads, N, d) with a bias of (N, N) on the logits."""
    if q.dtype is torch.bfloat16 and q.device.type == "cpu":
        # Torch's fused attention works in float32 here: written out, a CPU that has bfloat16 is twice as fast.
        with torch.autocast("cpu", enabled=False):
            logits = (q * q.shape[-1] ** -0.5) @ k.mT
            return torch.softmax(logits if bias is None else logits + bias, dim=-1) @ v
    return scaled_dot_product_attention(q, k, v, attn_mask=bias)


def _mix(block: ResidualAttentionBlock, tokens: Tensor, grid: tuple[int, int], attention: str) -> Tensor:
    q, k, v = _projections(block, tokens)
    return block.attn.out_proj(ATTENTIONS[attention](q, k, v, grid).transpose(1, 2).flatten(2))


@lru_cache(maxsize=16)
@torch.inference_mode(False)  # training uses it too, and whoever asks first makes it
def _neighbourhood(grid: tuple[int, int], device: torch.device) -> Tensor:
    """Gaussian of the distance between patches, (1 + N, 1 + N), zero for CLS (NACLIP, equation 5)."""
    rows, columns = torch.meshgrid(*(torch.arange(n, device=device) for n in grid), indexing="ij")
    places = torch.stack([rows, columns], dim=-1).flatten(0, 1).float()
    squared = (places[:, None] - places[None]).square().sum(-1)
    bias = torch.zeros(len(places) + 1, len(places) + 1, device=device)
    bias[1:, 1:] = torch.exp(-squared / (2 * _NEIGHBOURHOOD**2))
    return bias


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
    patches = visual.conv1(images)
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
        return _resample(own, tuple(visual.grid_size), grid)
    cache = _positions.setdefault(visual, {})
    key = (*grid, own._version)
    if key not in cache or cache[key].device != own.device:
        cache[key] = _resample(own.detach(), tuple(visual.grid_size), grid)
    return cache[key]


def _resample(position: Tensor, old: tuple[int, ...], new: tuple[int, int]) -> Tensor:
    patches = position[1:].float().unflatten(0, old).permute(2, 0, 1)[None]
    patches = interpolate(patches, size=new, mode="bicubic", antialias=True, align_corners=False)
    return torch.cat([position[:1].float(), patches[0].flatten(1).T])


def image_embedding(visual: VisionTransformer, images: Tensor) -> Tensor:
    """The usual CLIP image embedding (CLS), at any size.

    Args:
        visual: image tower.
        images: (B, 3, H, W), normalised, H and W multiples of the patch size.

    Returns:
        (B, D) float32, L2-normalised.
    """
    tokens = embed_patches(visual, images)
    for block in visual.transformer.resblocks:
        tokens = _block(block, tokens)
    pooled, _ = visual._pool(tokens)
    return normalize((pooled @ visual.proj).float(), dim=-1)


def _patch_size(visual: VisionTransformer) -> int:
    if not isinstance(visual, VisionTransformer) or visual.attn_pool is not None:
        raise UserError("Dense features need a CLIP whose image tower is a plain ViT, such as ViT-B-16.")
    return int(visual.patch_size[0])


def _vanilla(q: Tensor, k: Tensor, v: Tensor, grid: tuple[int, int]) -> Tensor:
    return _attend(q, k, v)


def _maskclip(q: Tensor, k: Tensor, v: Tensor, grid: tuple[int, int]) -> Tensor:
    return v


def _sclip(q: Tensor, k: Tensor, v: Tensor, grid: tuple[int, int]) -> Tensor:
    return _attend(q, q, v) + _attend(k, k, v)


def _clearclip(q: Tensor, k: Tensor, v: Tensor, grid: tuple[int, int]) -> Tensor:
    return _attend(q, q, v)


def _kk(q: Tensor, k: Tensor, v: Tensor, grid: tuple[int, int]) -> Tensor:
    return _attend(k, k, v)


def _naclip(q: Tensor, k: Tensor, v: Tensor, grid: tuple[int, int]) -> Tensor:
    return _attend(k, k, v, _neighbourhood(grid, k.device).to(k.dtype))


ATTENTIONS: dict[str, Callable[[Tensor, Tensor, Tensor, tuple[int, int]], Tensor]] = {
    "vanilla": _vanilla,
    "maskclip": _maskclip,
    "sclip": _sclip,
    "clearclip": _clearclip,
    "kk": _kk,
    "naclip": _naclip,
}
"""The one thing in which the variants differ: what the last block makes of its queries, keys and values, each
(B, heads, 1 + h * w, d) with the class token first, on a grid of (h, w) patches."""
