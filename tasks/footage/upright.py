"""Rotates and mirrors a picture by the display matrix of its video."""

import struct
from typing import Any

import numpy as np
from av.sidedata.sidedata import Type

from tasks.footage.images import Rgb


def upright(frame: Any, image: Rgb) -> Rgb:
    """The (H, W, 3) picture of a decoded frame as players show it: rotated by multiples of 90 degrees and mirrored."""
    matrix = frame.side_data.get(Type.DISPLAYMATRIX)
    if matrix is None:
        return image
    a, b, _, c, d = struct.unpack_from("=5i", bytes(matrix))
    # A point (x, y) is shown at (a x + c y, b x + d y).
    if abs(a) + abs(d) < abs(b) + abs(c):
        image, a, d = image.transpose(1, 0, 2), c, b
    image = image[:, ::-1] if a < 0 else image
    image = image[::-1] if d < 0 else image
    return np.ascontiguousarray(image)
