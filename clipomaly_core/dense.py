"""Dense features of whole frames or of sliding windows, from any image tower."""

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from clipomaly_core.errors import UserError
from clipomaly_core.towers.attention import ATTENTIONS
from clipomaly_core.towers.families import image_tower
from clipomaly_core.towers.protocol import ImageTower


def dense_features(
    visual: nn.Module | ImageTower,
    images: Tensor,
    attention: str = "naclip",
    window: int | None = None,
    stride: int | None = None,
) -> Tensor:
    """Patch embeddings in the space of the text embeddings.

    Args:
        visual: an image tower, or the module ``visual`` of an open_clip model, with patch size p and embedding
            length D.
        images: (B, 3, H, W) float, normalised with the model's mean and standard deviation. H and W are multiples
            of p, of any aspect ratio.
        attention: how the last block mixes values, see ``clipomaly_core.towers.attention``.
        window: side in pixels (a multiple of p) of square sliding windows; the whole frame when ``None``. All
            windows of all images go through in one forward pass, and overlaps are averaged.
        stride: pixels between windows, half a window when ``None``.

    Returns:
        (B, H/p, W/p, D) float32, L2-normalised.

    Raises:
        UserError: a size, window or stride that is no multiple of p, an unknown attention, or a tower that has no
            dense features.

    Example:
        >>> import open_clip, torch
        >>> visual = open_clip.create_model("ViT-B-32").visual.eval()
        >>> with torch.inference_mode():
        ...     dense_features(visual, torch.zeros(1, 3, 64, 128)).shape
        torch.Size([1, 2, 4, 512])
    """
    tower = image_tower(visual) if isinstance(visual, nn.Module) else visual
    patch = tower.patch
    if attention not in ATTENTIONS:
        raise UserError(f"Unknown attention {attention!r}: use one of {', '.join(ATTENTIONS)}.")
    height, width = images.shape[-2:]
    if height % patch or width % patch or min(height, width) < patch:
        raise UserError(f"Images of {width}x{height} pixels do not divide into patches of {patch}.")
    if window is None or (window >= height and window >= width):
        return tower.dense(images, attention)
    stride = stride or window // 2 // patch * patch
    if window % patch or stride % patch or not 0 < stride <= window:
        raise UserError(
            f"Window {window} and stride {stride} must be multiples of the patch size {patch}, stride <= window."
        )
    return _windows(tower, images, attention, window, stride)


def _windows(tower: ImageTower, images: Tensor, attention: str, window: int, stride: int) -> Tensor:
    patch = tower.patch
    height, width = images.shape[-2:]
    size = (min(window, height), min(window, width))
    corners = [(top, left) for top in _starts(height, size[0], stride) for left in _starts(width, size[1], stride)]
    crops = torch.cat([images[:, :, top : top + size[0], left : left + size[1]] for top, left in corners])
    features = tower.dense(crops, attention).unflatten(0, (len(corners), len(images)))
    total = features.new_zeros(len(images), height // patch, width // patch, features.shape[-1])
    for (top, left), part in zip(corners, features, strict=True):
        rows = slice(top // patch, (top + size[0]) // patch)
        columns = slice(left // patch, (left + size[1]) // patch)
        total[:, rows, columns] += part
    # The mean and the sum of unit vectors have the same direction.
    return normalize(total, dim=-1)


def _starts(length: int, window: int, stride: int) -> list[int]:
    starts = list(range(0, length - window + 1, stride))
    # The last window ends with the image, so that every patch is covered.
    return starts if starts[-1] + window == length else [*starts, length - window]
