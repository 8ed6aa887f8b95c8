"""Choose the frames for a reference by a fixed rule, evenly over drives and hours."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count, islice

import numpy as np
import pyarrow.compute as pc

from schemas.records import Source
from tasks.errors import SourceError, UserError
from tasks.footage.archive import Sources
from tasks.footage.frames import Frame, Rgb, read_frame, read_frames

REFERENCE_FRAMES = 256
STRETCH = 8
"""Frames in a row of one source, so that what a camera always sees can be recognised, as in a scan."""


SETTLING_FRAMES = 64
"""About so many of them, evenly among the others, settle the spreads before regions are counted in all."""


@dataclass(frozen=True, slots=True, eq=False)
class DrawnFrame:
    """A frame that was drawn for a reference: ``number`` is its place among all that may be drawn."""

    number: int
    source: Source
    image: Rgb

    @property
    def stretch(self) -> int:
        """The number of its stretch."""
        return self.number // STRETCH


def reference_frames(
    sources: Sources, fps: float, most: int = REFERENCE_FRAMES, settling: bool = False
) -> Iterator[DrawnFrame]:
    """Frames drawn evenly over the footage, in stretches of 8 of one source.

    Sources are taken in order of drive, capture time and name. All frames are taken where there are no more than
    ``most``. The same archive gives the same frames; what cannot be read is left out.

    Args:
        sources: with ``footage_seconds``.
        fps: frames a second of video, as the scan takes them.
        most: frames at most.
        settling: only the stretches that settle the spreads, under the same numbers.
    """
    order = pc.sort_indices(sources.table, [(name, "ascending") for name in ("drive", "captured", "uri")])
    listed = sources.take(order.to_numpy())
    frames = np.maximum(np.floor(listed.column("footage_seconds") * fps), 1).astype(np.int64)
    ends = np.cumsum(frames)
    if not len(frames):
        return
    total = int(ends[-1])
    every = -(-min(total, most) // SETTLING_FRAMES) if settling else 1
    if total <= most:
        numbers = count()
        for source in listed:
            for frame in _from_start(source, fps):
                drawn = None if frame.image is None else DrawnFrame(next(numbers), source, frame.image)
                if drawn is not None and drawn.stretch % every == every // 2:
                    yield drawn
        return
    stretches = most // STRETCH
    for stretch in range(every // 2, stretches, every):
        place = int((stretch + 0.5) / stretches * total)
        index = int(np.searchsorted(ends, place, side="right"))
        offset = place - int(ends[index] - frames[index])
        start = max(0, min(offset, int(frames[index]) - STRETCH))
        for number, image in enumerate(_stretch(listed[index], fps, start), stretch * STRETCH):
            yield DrawnFrame(number, listed[index], image)


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
