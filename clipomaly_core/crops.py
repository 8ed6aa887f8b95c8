"""Square crops of a region, as the naming step and the training of the embedded model see them."""

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch.nn.functional import interpolate

from clipomaly_core.towers.protocol import Interpolation

GREY = 127
TIGHT = 0.1
"""Border around a region in its masked crop, as a share of its longer side."""


def masked_crop(
    frame: npt.NDArray[np.uint8],
    mask: npt.NDArray[np.bool_],
    bbox: tuple[int, int, int, int],
    size: int,
    interpolation: Interpolation = "area",
) -> npt.NDArray[np.uint8]:
    """The region alone, grey outside its mask.

    Args:
        frame: (H, W, 3) uint8 RGB.
        mask: (H, W) bool.
        bbox: (x, y, width, height) of the region in pixels.
        size: side of the crop in pixels.
        interpolation: how it is resized.

    Returns:
        (size, size, 3) uint8 RGB.
    """
    window = _square(bbox, TIGHT)
    pixels = _cut(frame, window, GREY)
    pixels[~_cut(mask.view(np.uint8), window, 0).astype(bool)] = GREY
    return _resize(pixels, size, interpolation)


def context_crop(
    frame: npt.NDArray[np.uint8],
    bbox: tuple[int, int, int, int],
    size: int,
    context: float,
    interpolation: Interpolation = "area",
) -> npt.NDArray[np.uint8]:
    """The region with its surroundings.

    Args:
        frame: (H, W, 3) uint8 RGB.
        bbox: (x, y, width, height) of the region in pixels.
        size: side of the crop in pixels.
        context: border around the region as a share of its longer side, >= 0; grey outside the frame.
        interpolation: how it is resized.

    Returns:
        (size, size, 3) uint8 RGB.
    """
    return _resize(_cut(frame, _square(bbox, context), GREY), size, interpolation)


def square_crop(
    frame: npt.NDArray[np.uint8], square: tuple[int, int, int], size: int, interpolation: Interpolation = "area"
) -> npt.NDArray[np.uint8]:
    """The square (left, top, side) of a frame, in pixels, as (size, size, 3) uint8 RGB; grey outside the frame."""
    return _resize(_cut(frame, square, GREY), size, interpolation)


def _square(bbox: tuple[int, int, int, int], border: float) -> tuple[int, int, int]:
    x, y, width, height = bbox
    side = max(2, round(max(width, height) * (1 + 2 * border)))
    return x + width // 2 - side // 2, y + height // 2 - side // 2, side


def _cut(pixels: npt.NDArray[np.uint8], window: tuple[int, int, int], fill: int) -> npt.NDArray[np.uint8]:
    left, top, side = window
    height, width = pixels.shape[:2]
    cut = np.full((side, side, *pixels.shape[2:]), fill, np.uint8)
    y0, y1, x0, x1 = max(top, 0), min(top + side, height), max(left, 0), min(left + side, width)
    if y0 < y1 and x0 < x1:
        cut[y0 - top : y1 - top, x0 - left : x1 - left] = pixels[y0:y1, x0:x1]
    return cut


def _resize(pixels: npt.NDArray[np.uint8], size: int, interpolation: Interpolation) -> npt.NDArray[np.uint8]:
    if interpolation != "area":
        channels_first = torch.from_numpy(pixels).permute(2, 0, 1)[None]
        enlarged = interpolate(channels_first, size=(size, size), mode=interpolation, antialias=True)
        return np.ascontiguousarray(enlarged[0].permute(1, 2, 0).numpy())
    shrinks = pixels.shape[0] > size
    resized = cv2.resize(pixels, (size, size), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
    return np.asarray(resized, np.uint8)
