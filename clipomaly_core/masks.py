"""Masks of the working grid at the size of the frame."""

import cv2
import numpy as np
import numpy.typing as npt

Mask = npt.NDArray[np.bool_]


def mask_at_frame_size(mask: Mask, size: tuple[int, int]) -> Mask:
    """A mask enlarged to (height, width), with smooth edges and never empty."""
    scaled = cv2.resize(mask.astype(np.float32), (size[1], size[0]), interpolation=cv2.INTER_LINEAR)
    full = scaled >= 0.5
    return full if full.any() else scaled >= scaled.max()


def bounding_box(mask: Mask) -> tuple[int, int, int, int]:
    """(x, y, width, height) of what is true in a mask, in pixels."""
    x, y, width, height = cv2.boundingRect(mask.view(np.uint8))
    return int(x), int(y), int(width), int(height)
