"""The index of a video file: facts from its packets without decoding, and the number and time of each frame.

The number and time of a frame are defined here and nowhere else:

- A frame counts where it is shown: an edit list does not hide it, the codec does not mark it as hidden, and a
  decoder that starts at the first key frame can show it.
- Its number is its place among these in order of presentation, from 0. Its time is its presentation time, in
  seconds from the first of them.
- Where packets have no presentation times of their own (raw streams, H.264 in AVI), or the same one twice, the
  frames are *counted* as the decoder gives them, and only decoding from the beginning tells which is which.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

NO_TIME = int(np.iinfo(np.int64).min)
"""Stands for a time that a packet does not have."""

# Containers count in ticks that are no round decimals of a second.
_ROUNDING = 1e-6


@dataclass(frozen=True, slots=True)
class PacketTable:
    """The packets of a track in decoding order: (N,) arrays.

    Times are in ticks, ``NO_TIME`` where there is none; ``place`` is where a packet begins in the file (-1: not told),
    ``size`` its bytes; ``shown`` is false where the frame is hidden.
    """

    pts: Ints
    dts: Ints
    place: Ints
    size: Ints
    duration: Ints
    key: npt.NDArray[np.bool_]
    shown: npt.NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.pts)


@dataclass(frozen=True)
class VideoTrack:
    """One video track of a file.

    ``stream`` is its number in the file; ``camera`` its title, None where it is the only one. ``order`` gives for the
    number of each frame its place in ``packets``; it is empty where frames are counted. ``seconds`` has the time of
    each frame from the first, ``start`` that of the first from the earliest of all tracks. ``length`` is how long it
    is in seconds, with what is missing at its end; ``whole`` says that nothing is. ``rate`` is the mean of frames a
    second. ``tick`` is the unit of the packets' times, in seconds. ``error`` says why it cannot be decoded.
    """

    stream: int
    packets: PacketTable
    order: Ints
    seconds: Floats
    length: float
    whole: bool
    rate: float
    start: float = 0.0
    camera: str | None = None
    error: str | None = None
    tick: float = 1.0

    def __len__(self) -> int:
        return len(self.seconds)

    @property
    def counted(self) -> bool:
        """Whether frames can be identified only by decoding from the beginning."""
        return not len(self.order)

    @cached_property
    def keys(self) -> Ints:
        """Places in ``packets`` of the key frames, hidden ones too: where decoding can begin."""
        return np.flatnonzero(self.packets.key)

    @cached_property
    def key_frames(self) -> Ints:
        """The numbers of the key frames that are shown; of no track that is counted."""
        return np.flatnonzero(self.packets.key[self.order])

    @property
    def gap(self) -> float:
        """The longest distance of two frames, in seconds."""
        return float(np.diff(self.seconds).max(initial=1 / self.rate))

    def shown_at(self, fps: float, numbers: Ints | None = None) -> Ints:
        """The numbers of the frames that are on screen at t = 0, 1/fps, … below the length, each once.

        On screen is the last one whose time is not after t; of ``numbers`` alone, where these are given.
        """
        candidates = np.arange(len(self)) if numbers is None else numbers
        first = np.ceil((self.seconds[candidates] - _ROUNDING) * fps)
        first[:1] = 0
        length = self.length if self.whole else self.seconds[-1] + self.gap
        behind = np.append(first[1:], np.ceil(length * fps - _ROUNDING))
        return candidates[first < behind]

    def missing_at(self, fps: float) -> list[tuple[int, float]]:
        """About which numbers, and seconds from the first frame, were on screen at t = 0, 1/fps, … behind the end of a
        video that is cut off."""
        if self.whole:
            return []
        end = self.seconds[-1] + self.gap
        moments = np.arange(np.ceil(end * fps - _ROUNDING), np.ceil(self.length * fps - _ROUNDING)) / fps
        return [
            (max(int(moment * self.rate + _ROUNDING), len(self) + number), float(moment))
            for number, moment in enumerate(moments)
        ]
