"""Video in the messages of a recording: each holds one coded picture, decoded from the key frame before it.

H.264 and H.265 with start codes (Annex B), AV1 and VP9, as foxglove.CompressedVideo defines them.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import av
import numpy as np
from av.video.reformatter import VideoReformatter

from tasks.footage.images import BadImage, Rgb
from tasks.footage.video_file import decode

_CODECS = {
    "h264": re.compile(r"(?i)h\.?264|x264|avc"),
    "hevc": re.compile(r"(?i)h\.?265|x265|hevc"),
    "av1": re.compile(r"(?i)av1"),
    "vp9": re.compile(r"(?i)vp9"),
}
_DECODERS = {"av1": "libdav1d"}  # FFmpeg's own needs hardware
_START = re.compile(rb"\x00\x00\x01(..)", re.DOTALL)
# Coded pictures up to a key frame that are kept, to begin again there. Some streams have one key frame for all.
_LARGEST_GROUP = 64 * 1024 * 1024
_KEPT_FRAMES = 4


def codec_in(text: str) -> str | None:
    """FFmpeg's name of the codec that the format of a message names, None for pictures of their own (JPEG, PNG)."""
    return next((codec for codec, names in _CODECS.items() if names.search(text)), None)


@dataclass(frozen=True, slots=True)
class CodedPicture:
    """The picture of a message, which is decoded when it is wanted."""

    group: "_Group"
    place: int

    def image(self) -> Rgb:
        """(H, W, 3) uint8 RGB. Raises BadImage when that is not possible."""
        return self.group.image(self.place)


class CodedTopic:
    """The coded pictures of one topic in the order of its messages."""

    def __init__(self) -> None:
        self._group: _Group | None = None
        self._parameters: dict[int, bytes] = {}  # by their kind, as they came last: they may come but once
        self._before = 0

    def add(self, codec: str, data: bytes) -> CodedPicture | None:
        """The picture of the next message. None where it holds none, or none that can be decoded: those before the
        first key frame do not count, as in video files."""
        message = _looked_at(codec, data)
        self._parameters |= message.parameters
        if not message.has_picture:
            return None
        if message.begins_group:
            self._group = _Group(codec)
            data = (
                b"".join(self._parameters[kind] for kind in sorted(self._parameters.keys() - message.parameters)) + data
            )
        if self._group is None:
            self._before += 1
            return None
        return CodedPicture(self._group, self._group.add(data))

    @property
    def lost(self) -> str | None:
        """The error of a camera of which no message could be decoded."""
        if self._group is not None or not self._before:
            return None
        return f"{self._before} pictures of a video without a key frame"


@dataclass(frozen=True, slots=True)
class _Message:
    has_picture: bool
    begins_group: bool
    parameters: Mapping[int, bytes] = field(default_factory=dict)


def _looked_at(codec: str, data: bytes) -> _Message:
    match codec:
        case "h264":
            units = [_Unit(start, first & 31, second) for start, first, second in _units(data)]
            # Streams that refresh their pictures bit by bit have no key frames: a note says where one may begin.
            begins = any(unit.kind == 5 or (unit.kind == 6 and unit.second == 6) for unit in units)
            return _of_units(data, units, range(1, 6), begins, (7, 8))
        case "hevc":
            units = [_Unit(start, first >> 1 & 63, second) for start, first, second in _units(data)]
            begins = any(16 <= unit.kind < 24 for unit in units)
            return _of_units(data, units, range(32), begins, (32, 33, 34))
        case "av1":  # a sequence header comes with each key frame
            return _Message(bool(data), _has_sequence_header(data))
        case _:  # VP9: two bits, two of the profile; then neither "shown again" nor "not a key frame"
            first = data[0] if data else 255
            at = 1 if first >> 4 & 3 == 3 else 2
            return _Message(bool(data), first >> 6 == 2 and not first >> at & 3)


@dataclass(frozen=True, slots=True)
class _Unit:
    """A unit of H.264 or H.265: where it begins, what it is, and its second byte."""

    start: int
    kind: int
    second: int


def _units(data: bytes) -> Iterator[tuple[int, int, int]]:
    return ((match.start(), match[1][0], match[1][1]) for match in _START.finditer(data))


def _of_units(data: bytes, units: list[_Unit], coded: range, begins: bool, parameters: tuple[int, ...]) -> _Message:
    starts = [*(unit.start for unit in units), len(data)]
    told: dict[int, bytes] = {}
    for unit, end in zip(units, starts[1:], strict=True):
        if unit.kind in parameters:
            told[unit.kind] = told.get(unit.kind, b"") + data[unit.start : end]
    # Bytes without a start code are a damaged picture, and nothing that can be left out.
    return _Message(not units or any(unit.kind in coded for unit in units), begins, told)


def _has_sequence_header(data: bytes) -> bool:
    at = 0
    while at < len(data):
        header = data[at]
        if header >> 3 & 15 == 1:
            return True
        at += 2 if header & 4 else 1
        if not header & 2:  # without a size: the last one
            return False
        size, shift = 0, 0
        while at < len(data):
            byte = data[at]
            size |= (byte & 127) << shift
            at, shift = at + 1, shift + 7
            if not byte & 128:
                break
        at += size
    return False


class _Group:
    """The coded pictures from one key frame to before the next."""

    def __init__(self, codec: str) -> None:
        self._codec = codec
        self._packets: list[bytes] = []
        self._size = 0
        self._is_long = False
        self._colours = VideoReformatter()
        self._begin()

    def add(self, data: bytes) -> int:
        """Take in the next picture; its place in the group."""
        self._packets.append(data)
        self._size += len(data)
        if self._size > _LARGEST_GROUP:  # too much to keep: decoded as it comes
            self._is_long = True
            self._decode(len(self._packets) - 1)
            self._packets[:-1] = [b""] * (len(self._packets) - 1)
            self._size = len(data)
        return len(self._packets) - 1

    def image(self, place: int) -> Rgb:
        frame = self._frame(place)
        if frame is None:
            raise BadImage(f"the {self._codec} picture cannot be decoded")
        return np.asarray(self._colours.reformat(frame, format="rgb24").to_ndarray(), np.uint8)

    def _frame(self, place: int) -> Any | None:
        if place not in self._frames and place < self._decoded and not self._is_long:
            self._begin()
        self._decode(place + 1)
        if place not in self._frames and not self._is_long:  # the decoder waits for those that are shown before it
            self._keep(decode(self._decoder, None))
            frame = self._frames.get(place)
            self._begin()
            return frame
        return self._frames.get(place)

    def _begin(self) -> None:
        self._decoder: Any = av.CodecContext.create(_DECODERS.get(self._codec, self._codec), "r")
        self._decoder.thread_count = 1
        self._decoded = 0
        self._frames: dict[int, Any] = {}

    def _decode(self, end: int) -> None:
        """Decode the pictures up to before a place."""
        for place in range(self._decoded, end):
            packet = av.Packet(self._packets[place])
            packet.pts = packet.dts = place
            self._keep(decode(self._decoder, packet) if packet.size else [])
        self._decoded = max(self._decoded, end)

    def _keep(self, frames: list[Any]) -> None:
        self._frames |= {frame.pts: frame for frame in frames}
        for place in list(self._frames)[:-_KEPT_FRAMES]:
            del self._frames[place]
