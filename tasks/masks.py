"""Masks in the tables: COCO compressed run lengths."""

import numpy as np
import numpy.typing as npt
from pycocotools import mask as coco_mask


def encode_mask(mask: npt.NDArray[np.bool_]) -> bytes:
    """(H, W) bool → the ``mask_rle`` of a row: compressed run lengths over the whole frame."""
    counts: bytes = coco_mask.encode(np.asfortranarray(mask, dtype=np.uint8))["counts"]
    return counts


def decode_mask(mask_rle: bytes, height: int, width: int) -> npt.NDArray[np.bool_]:
    """The (height, width) bool mask of a row, of its ``mask_rle``, ``frame_height`` and ``frame_width``."""
    decoded: npt.NDArray[np.uint8] = coco_mask.decode({"size": [height, width], "counts": bytes(mask_rle)})
    return decoded.astype(np.bool_)


def mask_area(mask_rle: bytes, height: int, width: int) -> int:
    """How many pixels the mask of a row has, without decoding it."""
    return int(coco_mask.area({"size": [height, width], "counts": bytes(mask_rle)}))
