"""COCO's compressed run lengths, read with care: pycocotools writes past its memory when they are damaged."""

import numpy as np
import numpy.typing as npt

Mask = npt.NDArray[np.bool_]


def decode_rle(counts: bytes, height: int, width: int) -> Mask:
    """The (height, width) bool mask of compressed run lengths, which go down the columns.

    Format: the runs of zeros and ones in turn; from the fourth on as the difference to the run before last; each
    in groups of five bits, low ones first, as characters from 48 on (rleToString in cocoapi's maskApi.c).

    Raises ValueError when they are damaged or do not fill the frame.
    """
    runs = run_lengths(counts, height, width)
    ones = np.repeat(np.arange(len(runs)) % 2 == 1, runs)
    return np.ascontiguousarray(ones.reshape(width, height).T)


def run_lengths(counts: bytes, height: int, width: int) -> list[int]:
    """The runs of zeros and ones in turn, which fill the frame. Raises ValueError as ``decode_rle``."""
    runs: list[int] = []
    value = shift = 0
    for character in counts:
        group = character - 48
        if not 0 <= group < 64 or shift > 60:
            raise ValueError("the run lengths hold a character that none has")
        value |= (group & 0x1F) << shift
        shift += 5
        if group & 0x20:
            continue
        if group & 0x10:
            value -= 1 << shift
        if len(runs) > 2:
            value += runs[-2]
        if value < 0:
            raise ValueError("a run length is negative")
        runs.append(value)
        value = shift = 0
    if shift:
        raise ValueError("the run lengths are cut off")
    if sum(runs) != height * width:
        raise ValueError(f"the run lengths fill {sum(runs):,} pixels of {height * width:,}")
    return runs
