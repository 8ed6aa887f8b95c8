"""Ways in which the last block of a ViT can mix its values, so that each place describes itself.

Sources: MaskCLIP (arXiv 2112.01071), SCLIP (2312.01597), ClearCLIP (2407.12442), NACLIP (2404.08181).
"""

from collections.abc import Callable
from functools import lru_cache

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

KEEPS_RESIDUAL = frozenset({"vanilla", "sclip"})
"""These keep the residual and the MLP of the last block. The others drop both, which makes their features local."""
_NEIGHBOURHOOD = 5.0
"""Standard deviation of NACLIP's neighbourhood, in patches."""


def attend(q: Tensor, k: Tensor, v: Tensor, bias: Tensor | None = None) -> Tensor:
    """Softmax attention of (B, heads, N, d) queries, keys and values, with a bias (N, N) on the logits."""
    if q.dtype is torch.bfloat16 and q.device.type == "cpu":
        # Torch's fused attention computes in float32 here. A CPU with bfloat16 is twice as fast without it.
        with torch.autocast("cpu", enabled=False):
            logits = (q * q.shape[-1] ** -0.5) @ k.mT
            return torch.softmax(logits if bias is None else logits + bias, dim=-1) @ v
    return scaled_dot_product_attention(q, k, v, attn_mask=bias)


@lru_cache(maxsize=16)
@torch.inference_mode(False)  # the tensor is shared with training, which cannot use inference tensors
def _neighbourhood(grid: tuple[int, int], device: torch.device) -> Tensor:
    """Gaussian of the distance between patches, (1 + N, 1 + N), zero for the class token (NACLIP, equation 5)."""
    rows, columns = torch.meshgrid(*(torch.arange(n, device=device) for n in grid), indexing="ij")
    places = torch.stack([rows, columns], dim=-1).flatten(0, 1).float()
    squared = (places[:, None] - places[None]).square().sum(-1)
    bias = torch.zeros(len(places) + 1, len(places) + 1, device=device)
    bias[1:, 1:] = torch.exp(-squared / (2 * _NEIGHBOURHOOD**2))
    return bias


def _vanilla(q: Tensor, k: Tensor, v: Tensor, grid: tuple[int, int]) -> Tensor:
    return attend(q, k, v)


def _maskclip(q: Tensor, k: Tensor, v: Tensor, grid: tuple[int, int]) -> Tensor:
    return v


def _sclip(q: Tensor, k: Tensor, v: Tensor, grid: tuple[int, int]) -> Tensor:
    return attend(q, q, v) + attend(k, k, v)


def _clearclip(q: Tensor, k: Tensor, v: Tensor, grid: tuple[int, int]) -> Tensor:
    return attend(q, q, v)


def _kk(q: Tensor, k: Tensor, v: Tensor, grid: tuple[int, int]) -> Tensor:
    return attend(k, k, v)


def _naclip(q: Tensor, k: Tensor, v: Tensor, grid: tuple[int, int]) -> Tensor:
    bias = _neighbourhood(grid, k.device).to(k.dtype)
    without_class_token = k.shape[2] == len(bias) - 1
    return attend(k, k, v, bias[1:, 1:] if without_class_token else bias)


ATTENTIONS: dict[str, Callable[[Tensor, Tensor, Tensor, tuple[int, int]], Tensor]] = {
    "vanilla": _vanilla,
    "maskclip": _maskclip,
    "sclip": _sclip,
    "clearclip": _clearclip,
    "kk": _kk,
    "naclip": _naclip,
}
"""The one function in which the variants differ. It mixes the queries, keys and values of the last block, each
(B, heads, 1 + h * w, d) with the class token first, or (B, heads, h * w, d) in a tower that has no class token, on a
grid of (h, w) patches."""
