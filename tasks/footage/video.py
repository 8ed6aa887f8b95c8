"""Frames of a video file at regular times, decoded one by one."""

import math
import os
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from tasks.errors import SourceError
from tasks.footage.images import BadImage, Rgb

# FFmpeg and OpenCV report damaged videos on stderr themselves; here they are rows and outcomes.
os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)

# Containers count in ticks that are no round decimals of a second; Matroska in whole milliseconds.
_ROUNDING = 1e-6
_TICK = 2e-3
# In a row: OpenCV fails alike on a damaged packet, behind which more may follow, and at the end.
_MOST_DAMAGED_PACKETS = 1000


@dataclass(frozen=True, slots=True)
class VideoFrame:
    """One sampled frame: its number in the video from 0, its presentation time in seconds from the first,
    and the (H, W, 3) uint8 RGB image, or None with the reason why there is none."""

    index: int
    seconds: float
    image: Rgb | None
    error: str | None = None


def sample_video(path: str, duration: float, fps: float) -> Iterator[VideoFrame]:
    """Yield the frames that are on screen at t = 0, 1/fps, … below ``duration`` (seconds).

    On screen at t is the last frame whose presentation time is not after t; one on screen at several t comes
    once. Where the decoder gave nothing for a longer time than any two packets are apart, and behind the
    end of a video that is cut off, each t has a frame without image. Rotation flags are honoured.

    Raises SourceError when the file cannot be opened as a video or has no frames.
    """
    packets = _read_packets(path)
    # Where no packet is missing, the last frame stays until the end that the header states, give or take one.
    stays = 2 * packets.gap if packets.whole else packets.gap - _TICK
    moments = deque(np.arange(math.ceil(duration * fps - _ROUNDING)) / fps)
    on_screen: VideoFrame | None = None  # where it may be wanted: only such frames are converted
    told, index, end = -1, -1, 0.0
    for index, seconds, capture in _decode(path, packets):
        while moments and moments[0] + _ROUNDING < seconds:
            frame = on_screen or _lost(moments[0], packets, told, "cannot be decoded")
            moments.popleft()
            if frame.index > told:
                told = frame.index
                yield frame
        if not moments:
            return
        end = seconds + stays
        wanted = end + 2 * _TICK >= moments[0] or index == packets.count - 1
        on_screen = _convert(capture, index, seconds) if wanted else None
    whole = packets.whole and index == packets.count - 1
    for moment in moments:
        there = on_screen if whole or moment < end else None
        frame = there or _lost(moment, packets, told, "missing: the video ends before it")
        if frame.index > told:
            told = frame.index
            yield frame


def video_frames(path: str, indices: Sequence[int]) -> Iterator[Rgb | BadImage]:
    """The frames of these ascending numbers, (H, W, 3) uint8 RGB or why there is none, decoding the video once.

    A single one is sought where the times of the packets tell for certain which frame that is. Raises SourceError
    when the video cannot be opened.
    """
    packets = _read_packets(path)
    if len(indices) == 1 and (sought := _seek(path, indices[0], packets)) is not None:
        yield sought
        return
    decoded = _decode(path, packets)
    at = next(decoded, None)
    for index in indices:
        while at and at[0] < index:
            at = next(decoded, None)
        if at and at[0] == index:
            _, seconds, capture = at
            image = _convert(capture, index, seconds).image
            yield BadImage("it cannot be decoded any more") if image is None else image
        else:
            yield BadImage("the video does not show it any more")


@dataclass(frozen=True, slots=True)
class _Packets:
    """What the container tells without decoding: ``whole`` says that all packets it promises are there,
    ``rate`` is the mean frame rate, ``gap`` the longest time in seconds between two frames, ``times`` the
    presentation times in order of a video without damage (else empty)."""

    count: int
    whole: bool
    rate: float
    gap: float
    times: npt.NDArray[np.float64]


def _read_packets(path: str) -> _Packets:
    capture = cv2.VideoCapture(path, cv2.CAP_FFMPEG, [cv2.CAP_PROP_FORMAT, -1])
    try:
        if not capture.isOpened():
            raise SourceError("cannot be opened as a video: damaged, or of an unknown format")
        promised = int(capture.get(cv2.CAP_PROP_FRAME_COUNT))
        rate = capture.get(cv2.CAP_PROP_FPS)
        stretches: list[list[float]] = [[]]  # without damage
        while (skipped := _grab(capture)) is not None:
            if skipped:
                stretches.append([])
            stretches[-1].append(capture.get(cv2.CAP_PROP_POS_MSEC) / 1000)
    finally:
        capture.release()
    count = sum(map(len, stretches))
    if not count:
        raise SourceError("the video has no frames")
    if not (math.isfinite(rate) and rate > 0):
        rate = 1.0
    gap = max(float(np.diff(np.sort(stretch)).max(initial=1 / rate)) for stretch in stretches)
    times = np.sort(stretches[0]) if len(stretches) == 1 and count >= promised else np.empty(0)
    return _Packets(count, count >= promised, rate, gap, times)


def _seek(path: str, index: int, packets: _Packets) -> Rgb | None:
    """The frame of this number without decoding all before it; None where packets do not tell which it is."""
    times = packets.times
    if not 0 <= index < len(times) or np.diff(times).min(initial=1.0) < _TICK:
        return None
    capture = cv2.VideoCapture(path, cv2.CAP_FFMPEG)
    try:
        # Hidden by an edit list, or held back without presentation times: then numbers are not ranks of times.
        if not capture.grab() or abs(capture.get(cv2.CAP_PROP_POS_MSEC) / 1000 - times[0]) > _TICK:
            return None
        wanted = float(times[index])
        capture.set(cv2.CAP_PROP_POS_MSEC, 1000 * max(wanted - packets.gap - _TICK, float(times[0])))
        while capture.grab():
            seconds = capture.get(cv2.CAP_PROP_POS_MSEC) / 1000
            if seconds >= wanted - _TICK:
                return _convert(capture, index, seconds).image if seconds <= wanted + _TICK else None
        return None
    finally:
        capture.release()


def _decode(path: str, packets: _Packets) -> Iterator[tuple[int, float, cv2.VideoCapture]]:
    """Number and time of each frame, and the capture that holds it until the next is asked for."""
    capture = cv2.VideoCapture(path, cv2.CAP_FFMPEG)
    try:
        index, before, first = -1, 0.0, 0.0
        while _grab(capture) is not None:
            clock = capture.get(cv2.CAP_PROP_POS_MSEC) / 1000
            if index < 0:
                first = clock  # late where a container without presentation times holds frames back
            seconds, dropped = clock - first, 0
            if index >= 0 and seconds <= before:  # and its last frames have no time of their own
                seconds = before + 1 / packets.rate
            if seconds - before > packets.gap + _TICK:
                dropped = max(round((seconds - before) * packets.rate) - 1, 0)
            index, before = index + 1 + dropped, seconds
            yield index, seconds, capture
    finally:
        capture.release()


def _grab(capture: cv2.VideoCapture) -> int | None:
    """Go to the next frame: how many damaged packets were skipped, None when there is no frame any more."""
    return next((skipped for skipped in range(_MOST_DAMAGED_PACKETS) if capture.grab()), None)


def _convert(capture: cv2.VideoCapture, index: int, seconds: float) -> VideoFrame:
    image: npt.NDArray[Any] | None = capture.retrieve()[1]
    if image is None:
        return VideoFrame(index, seconds, None, "cannot be decoded")
    return VideoFrame(index, seconds, np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), dtype=np.uint8))


def _lost(moment: float, packets: _Packets, told: int, error: str) -> VideoFrame:
    """What stands for the frame of this moment, with about the number that it would have."""
    return VideoFrame(max(int(moment * packets.rate + _ROUNDING), told + 1), float(moment), None, error)
