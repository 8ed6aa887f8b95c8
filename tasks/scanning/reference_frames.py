"""Choose the frames for a reference by a fixed rule, evenly over drives and hours."""

from collections.abc import Iterator
from itertools import islice

import numpy as np
import pyarrow.compute as pc

from schemas.records import Source
from tasks.errors import SourceError, UserError
from tasks.footage.frames import Frame, Rgb, read_frame, read_frames
from tasks.footage.sources import Sources

REFERENCE_FRAMES = 256
STRETCH = 8
"""Frames in a row of one source, so that what a camera always sees can be recognised, as in a scan."""


def reference_frames(sources: Sources, fps: float, most: int = REFERENCE_FRAMES) -> Iterator[tuple[Source, Rgb]]:
    """Frames drawn evenly over the footage, in stretches of 8 of one source.

    Sources are taken in order of drive, capture time and name. All frames are taken where there are no more than
    ``most``. The same archive gives the same frames; what cannot be read is left out.

    Args:
        sources: with ``footage_seconds``.
        fps: frames a second of video, as the scan takes them.
        most: frames at most.
    """
    order = pc.sort_indices(sources.table, [(name, "ascending") for name in ("drive", "captured", "uri")])
    listed = sources.take(order.to_numpy())
    frames = np.maximum(np.floor(listed.column("footage_seconds") * fps), 1).astype(np.int64)
    ends = np.cumsum(frames)
    if not len(frames):
        return
    if ends[-1] <= most:
        for source in listed:
            yield from ((source, frame.image) for frame in _from_start(source, fps) if frame.image is not None)
        return
    stretches = most // STRETCH
    for number in range(stretches):
        place = int((number + 0.5) / stretches * ends[-1])
        index = int(np.searchsorted(ends, place, side="right"))
        offset = place - int(ends[index] - frames[index])
        start = max(0, min(offset, int(frames[index]) - STRETCH))
        yield from ((listed[index], image) for image in _stretch(listed[index], fps, start))


def _stretch(source: Source, fps: float, start: int) -> Iterator[Rgb]:
    """``STRETCH`` frames from the ``start``-th on. Later ones are read by their index, without those before."""
    first = list(islice(_from_start(source, fps), STRETCH if start == 0 else 2))
    if start == 0 or len(first) < 2:
        yield from (frame.image for frame in first if frame.image is not None)
        return
    step = first[1].index - first[0].index
    for number in range(start, start + STRETCH):
        try:
            yield read_frame(source.uri, first[0].index + number * step)
        except UserError:
            return  # the footage is shorter than its header says


def _from_start(source: Source, fps: float) -> Iterator[Frame]:
    try:
        yield from read_frames(source, fps)
    except SourceError:
        return  # the scan reports it
