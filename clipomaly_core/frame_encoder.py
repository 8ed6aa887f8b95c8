"""From frames and crops in pixels to embeddings."""

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import interpolate, normalize

from clipomaly_core.dense import dense_features
from clipomaly_core.device import autocast
from clipomaly_core.options import Options
from clipomaly_core.towers.protocol import Interpolation, Tower
from clipomaly_core.types import Frame

_LONGEST = 6
"""The longer side of a frame is at most so many times the shorter one. Narrower frames are squeezed."""
_CROPS = 64
"""Crops in one forward pass."""


class FrameEncoder:
    """Resizes and normalises images, and runs the image tower on them."""

    def __init__(self, tower: Tower, options: Options, device: torch.device) -> None:
        """``options``: attention, window, stride, short_side, scales, crop_size and precision are read."""
        self._tower = tower
        self._options = options
        self._device = device
        self._mean = torch.tensor(tower.preprocessing.mean, device=device)[:, None, None]
        self._std = torch.tensor(tower.preprocessing.std, device=device)[:, None, None]

    @property
    def crop_size(self) -> int:
        """Side of the crops in pixels: the option, or else the size of the training's images."""
        return self._options.crop_size or max(self._tower.preprocessing.image_size)

    @property
    def interpolation(self) -> Interpolation:
        """How the model wants its images resized."""
        return self._tower.preprocessing.interpolation

    def dense(self, frames: Sequence[Frame]) -> Tensor:
        """Dense features, averaged over the scales.

        Args:
            frames: (H, W, 3) uint8 RGB, all of one size.

        Returns:
            (B, h, w, D) float32, L2-normalised, on the grid of the largest scale; gradients flow through.
        """
        pixels = self.pixels(frames)
        if pixels.device.type != "cpu":  # only the CPU's kernels of interpolate take bytes
            pixels = pixels.float()
        scaled = [self._at_scale(pixels, scale) for scale in self._options.scales]
        finest = max(scaled, key=lambda features: features.shape[1])
        if len(scaled) == 1:
            return finest
        total = finest
        for features in scaled:
            if features is not finest:
                channels_first = features.permute(0, 3, 1, 2)
                enlarged = interpolate(channels_first, size=finest.shape[1:3], mode="bilinear")
                total = total + enlarged.permute(0, 2, 3, 1)
        return normalize(total, dim=-1)

    def crops(self, crops: Sequence[Frame]) -> Tensor:
        """Embeddings of (S, S, 3) uint8 RGB crops of one size: (n, D) float32, L2-normalised."""
        parts = []
        with autocast(self._options.precision, self._device):
            for start in range(0, len(crops), _CROPS):
                pixels = self.normalise(self.pixels(crops[start : start + _CROPS]))
                parts.append(self._tower.image.embed(pixels))
        return torch.cat(parts)

    def working_size(self, height: int, width: int, scale: float = 1.0) -> tuple[int, int]:
        """The (height, width) in pixels, multiples of the patch size, at which frames of a size are encoded."""
        patch = self._tower.image.patch
        short_side = scale * self._options.short_side
        shrink = short_side / min(height, width)
        most = int(_LONGEST * short_side) // patch
        rows, columns = (max(1, min(most, round(side * shrink / patch))) for side in (height, width))
        return rows * patch, columns * patch

    def frame_pixels(self, height: int, width: int) -> int:
        """How many pixels go into the network for a frame of a size, all scales together."""
        return sum(math.prod(self.working_size(height, width, scale)) for scale in self._options.scales)

    def pixels(self, images: Sequence[Frame]) -> Tensor:
        """Images of one size on the device: (B, 3, H, W) uint8."""
        pixels = torch.from_numpy(np.stack(images))
        if self._device.type == "cuda":  # from pinned memory the copy runs while this thread goes on
            pixels = pixels.pin_memory()
        return pixels.to(self._device, non_blocking=True).permute(0, 3, 1, 2)

    def normalise(self, pixels: Tensor) -> Tensor:
        """(B, 3, H, W) in 0 to 255 → float32 as the tower takes it."""
        return (pixels.float() / 255 - self._mean) / self._std

    def _at_scale(self, pixels: Tensor, scale: float) -> Tensor:
        options = self._options
        size = self.working_size(pixels.shape[-2], pixels.shape[-1], scale)
        mode = "bicubic" if self.interpolation == "bicubic" else "bilinear"
        resized = self.normalise(interpolate(pixels, size=size, mode=mode, antialias=True).clamp(0, 255))
        with autocast(options.precision, self._device):
            return dense_features(self._tower.image, resized, options.attention, options.window, options.stride)
