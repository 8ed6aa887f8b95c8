"""Position embeddings at sizes other than those of the training."""

import torch
from torch import Tensor
from torch.nn.functional import interpolate


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
