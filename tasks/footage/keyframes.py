"""Key frames of a video: decoded without those between them, several times as fast as every frame."""

import math
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import av
import numpy as np

from tasks.errors import SourceError
from tasks.footage.video import VideoFrame

_ROUNDING = 1e-6


@dataclass(frozen=True, slots=True)
class _Packets:
    """What the container tells without decoding, in ticks of ``base`` seconds: the times of all frames that are
    shown and those of key frames, in order; ``whole`` where as many are there as it promises."""

    times: list[int]
    keys: list[int]
    base: Fraction
    rate: float
    whole: bool

    def seconds(self, ticks: int) -> float:
        return float((ticks - self.times[0]) * self.base)


def sample_key_frames(path: str, duration: float, fps: float) -> Iterator[VideoFrame]:
    """Yield the last key frame up to t = 0, 1/fps, … below ``duration`` (seconds), each once, with its own time.

    Its index is its number among all frames of the video. A key frame that cannot be decoded comes without
    image, and so does each t behind the end of a video that is cut off. Rotation flags are honoured.

    Raises SourceError when the file cannot be opened as a video or has no key frames.
    """
    packets = _read_packets(path)
    moments = np.arange(math.ceil(duration * fps - _ROUNDING)) / fps
    end = packets.seconds(packets.times[-1]) + 2 / packets.rate
    told = [float(t) for t in moments if packets.whole or t < end]
    starts = [packets.seconds(key) - _ROUNDING for key in packets.keys]
    wanted = sorted({packets.keys[max(bisect_right(starts, t) - 1, 0)] for t in told})
    for ticks, image in _decode(path, wanted):
        index = bisect_left(packets.times, ticks)
        seconds = packets.seconds(ticks)
        yield VideoFrame(index, seconds, image, None if image is not None else "cannot be decoded")
    for number, t in enumerate(moments[len(told) :]):
        index = max(int(t * packets.rate + _ROUNDING), len(packets.times) + number)
        yield VideoFrame(index, float(t), None, "missing: the video ends before it")


def _read_packets(path: str) -> _Packets:
    times, keys = [], []
    try:
        with av.open(path) as container:
            stream = _video(container)
            promised, rate, base = stream.frames, stream.average_rate, stream.time_base
            for packet in _until_damage(container.demux(stream)):
                ticks = packet.dts if packet.pts is None else packet.pts
                if packet.size and ticks is not None and not packet.is_discard:  # hidden by an edit list
                    times.append(ticks)
                    if packet.is_keyframe:
                        keys.append(ticks)
    except av.FFmpegError as error:
        raise SourceError("cannot be opened as a video: damaged, or of an unknown format") from error
    if not keys or base is None:
        raise SourceError("the video has no key frames")
    times.sort()
    return _Packets(times, sorted(keys), base, float(rate or 1), len(times) >= promised)


def _decode(path: str, wanted: list[int]) -> Iterator[tuple[int, Any]]:
    """The time of each wanted key frame and its image, None where the decoder gave none."""
    left = list(reversed(wanted))
    with av.open(path) as container:
        stream = _video(container)
        stream.codec_context.skip_frame = "NONKEY"
        for packet in _until_damage(container.demux(stream)):
            if packet.size and not packet.is_keyframe:
                continue
            for frame in _frames(packet):
                ticks = frame.dts if frame.pts is None else frame.pts
                while left and ticks is not None and left[-1] < ticks:
                    yield left.pop(), None
                if left and left[-1] == ticks:
                    yield left.pop(), _upright(frame)
            if not left:
                return
    for ticks in reversed(left):
        yield ticks, None


def _video(container: Any) -> Any:
    if not container.streams.video:
        raise SourceError("no video in it")
    stream = container.streams.video[0]
    if stream.codec_context is None:
        raise SourceError("its video cannot be decoded: damaged, or of an unknown codec")
    return stream


def _until_damage(packets: Iterator[Any]) -> Iterator[Any]:
    while True:
        try:
            yield next(packets)
        except (StopIteration, av.FFmpegError):
            return


def _frames(packet: Any) -> list[Any]:
    try:
        return list(packet.decode())
    except av.FFmpegError:
        return []


def _upright(frame: Any) -> Any:
    image = frame.to_ndarray(format="rgb24")
    return np.ascontiguousarray(np.rot90(image, k=round(frame.rotation / 90)))
