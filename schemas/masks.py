"""The one mask codec: COCO compressed run lengths, written by pycocotools and read with care.

pycocotools writes past its memory when run lengths are damaged, so what is read is checked here first.
Format: rleToString in cocoapi's maskApi.c, https://github.com/cocodataset/cocoapi.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from pycocotools import mask as coco_mask

Mask = npt.NDArray[np.bool_]
Rle = bytes | bytearray | memoryview | str

_MOST_GROUPS = 7  # of five bits: a run of 2**34 pixels is longer than any image


def encode_mask(mask: Mask) -> bytes:
    """The compressed run lengths of an (H, W) bool mask: the ``mask_rle`` of a row."""
    counts: bytes = coco_mask.encode(np.asfortranarray(mask, dtype=np.uint8))["counts"]
    return counts


def decode_mask(mask_rle: Rle | Mapping[str, Any], height: int | None = None, width: int | None = None) -> Mask:
    """The mask of run lengths as an (H, W) bool array.

    Args:
        mask_rle: compressed COCO run lengths, bytes or text: the ``mask_rle`` of a row. Or COCO's dictionary, with
            ``size`` and ``counts``, compressed or a list of numbers.
        height: the ``frame_height`` of the row; not needed beside a dictionary.
        width: its ``frame_width``.

    Raises:
        ValueError: run lengths that are damaged, do not fill the frame, or come without its size.

    Example:
        >>> import clipomaly
        >>> clipomaly.decode_mask({"size": [2, 2], "counts": [1, 2, 1]}).tolist()
        [[False, True], [True, False]]
    """
    counts: object = mask_rle
    if isinstance(mask_rle, Mapping):
        try:
            (height, width), counts = mask_rle["size"], mask_rle["counts"]
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError('a COCO run length has "size", [height, width], and "counts"') from error
    if height is None or width is None:
        raise ValueError("give the height and width of the frame with its run lengths")
    runs = _given_runs(counts, height, width) if isinstance(counts, list) else run_lengths(counts, height, width)
    ones = np.repeat(np.arange(len(runs)) % 2 == 1, runs)
    return np.ascontiguousarray(ones.reshape(width, height).T)


def mask_area(mask_rle: Rle, height: int, width: int) -> int:
    """How many pixels the mask of a row has, without decoding it. Raises ValueError as ``decode_mask``."""
    return int(run_lengths(mask_rle, height, width)[1::2].sum())


def run_lengths(mask_rle: object, height: int, width: int) -> npt.NDArray[np.int64]:
    """The runs of zeros and ones in turn, down the columns: int64, together ``height * width``.

    Each number is written in groups of five bits, low ones first, as characters from 48 on; from the fourth run on
    it is the difference to the run before last. Raises ValueError as ``decode_mask``.
    """
    if isinstance(mask_rle, str):
        if not mask_rle.isascii():
            raise ValueError("the run lengths hold a character that none has")
        mask_rle = mask_rle.encode()
    if not isinstance(mask_rle, bytes | bytearray | memoryview):
        raise ValueError(f"run lengths are bytes or text, not {type(mask_rle).__name__}")
    groups = np.frombuffer(bytes(mask_rle), np.uint8).astype(np.int64) - 48
    if ((groups < 0) | (groups >= 64)).any():
        raise ValueError("the run lengths hold a character that none has")
    last = (groups & 0x20) == 0
    if len(groups) and not last[-1]:
        raise ValueError("the run lengths are cut off")
    ends = np.flatnonzero(last)
    starts = np.concatenate(([0], ends + 1))[: len(ends)]
    lengths = ends - starts + 1
    if (lengths > _MOST_GROUPS).any():
        raise ValueError("the run lengths hold a number that no image is large enough for")
    place = np.arange(len(groups)) - np.repeat(starts, lengths)
    runs = np.add.reduceat((groups & 0x1F) << (5 * place), starts) if len(ends) else np.zeros(0, np.int64)
    runs -= np.where(groups[ends] & 0x10, np.int64(1) << (5 * lengths), 0)
    for first in (1, 2):
        runs[first::2] = np.cumsum(runs[first::2])
    return _checked(runs, height, width)


def _given_runs(counts: list[int], height: int, width: int) -> npt.NDArray[np.int64]:
    """Run lengths that are not compressed."""
    try:
        runs = np.array(counts, dtype=np.int64).reshape(-1)
    except (TypeError, ValueError, OverflowError) as error:
        raise ValueError("the run lengths hold something that is no number of pixels") from error
    return _checked(runs, height, width)


def _checked(runs: npt.NDArray[np.int64], height: int, width: int) -> npt.NDArray[np.int64]:
    if (runs < 0).any():
        raise ValueError("a run length is negative")
    if runs.sum() != height * width:
        raise ValueError(f"the run lengths fill {runs.sum():,} pixels of {height * width:,}")
    return runs
