"""What a user would take instead: dense CLIP as published code runs it, a window of 224 at a time, batch one.

Written for comparison from the papers' descriptions; it uses open_clip's own blocks and nothing of ours.
"""

import math
from functools import cache

import torch
from open_clip.transformer import VisionTransformer
from torch import Tensor
from torch.nn.functional import interpolate, normalize

WINDOW, STRIDE = 224, 112


def windows_one_by_one(visual: VisionTransformer, frame: Tensor, texts: Tensor) -> Tensor:
    """Cosines to C texts (C, D) of each pixel of a (1, 3, H, W) normalised frame, the mean over windows: (1, C, H, W).

    NACLIP's features a window; as published, cosines are enlarged to the window's pixels, which costs less than
    enlarging features.
    """
    height, width = frame.shape[-2:]
    total = frame.new_zeros(1, len(texts), height, width)
    count = frame.new_zeros(1, 1, height, width)
    for top in _starts(height):
        for left in _starts(width):
            window = frame[..., top : top + WINDOW, left : left + WINDOW]
            cosines = torch.einsum("bdhw,cd->bchw", _window_features(visual, window), texts)
            total[..., top : top + WINDOW, left : left + WINDOW] += interpolate(
                cosines, size=(WINDOW, WINDOW), mode="bilinear"
            )
            count[..., top : top + WINDOW, left : left + WINDOW] += 1
    return total / count


def _starts(length: int) -> list[int]:
    steps = max(0, math.ceil((length - WINDOW) / STRIDE))
    return [min(step * STRIDE, length - WINDOW) for step in range(steps + 1)]


def _window_features(visual: VisionTransformer, window: Tensor) -> Tensor:
    tokens = visual._embeds(window)
    *blocks, last = visual.transformer.resblocks
    for block in blocks:
        tokens = block(tokens)
    attention = last.attn
    heads, width = attention.num_heads, tokens.shape[-1]
    projected = last.ln_1(tokens) @ attention.in_proj_weight.T + attention.in_proj_bias
    _, k, v = (part.view(1, -1, heads, width // heads).transpose(1, 2) for part in projected.split(width, dim=-1))
    weights = k @ k.transpose(-2, -1) * (width // heads) ** -0.5 + _gaussian(WINDOW // visual.patch_size[0])
    mixed = (torch.softmax(weights, dim=-1) @ v).transpose(1, 2).reshape(1, -1, width)
    features = visual.ln_post(attention.out_proj(mixed))[:, 1:] @ visual.proj
    side = WINDOW // visual.patch_size[0]
    return normalize(features, dim=-1).view(1, side, side, -1).permute(0, 3, 1, 2)


@cache
def _gaussian(side: int) -> Tensor:
    place = torch.arange(side)
    squared = (place[:, None] - place[None]) ** 2
    grid = (squared[:, None, :, None] + squared[None, :, None, :]).reshape(side * side, side * side)
    bias = torch.zeros(side * side + 1, side * side + 1)
    bias[1:, 1:] = torch.exp(-grid / 50)
    return bias
