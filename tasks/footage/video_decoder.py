"""Frames of a video by their numbers: decoded from the key frame before each, and no further than needed.

A frame has the same pixels whenever it is asked for, whatever else is. Only what FFmpeg puts in the place of damaged
parts may be another thing each time.
"""

import struct
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from contextvars import ContextVar
from itertools import chain, groupby
from typing import Any

import numpy as np
from av.sidedata.sidedata import SideDataContainer, Type
from av.stream import Discard
from av.video.reformatter import VideoReformatter

from tasks.footage.images import Rgb
from tasks.footage.video_file import GAP, RemoteVideo, Span, Video, decode, open_video, whole_packets
from tasks.footage.video_index import Ints, VideoTrack

_TRIES = 3
_TRIED_PACKETS = 300  # behind a jump, before one is met that is in the index
_LAYERS = 21  # byte of the header that counts temporal layers, ISO/IEC 14496-15
_KNOWS_UNREFERENCED = frozenset({"h264", "mpeg4", "mpeg2video"})


Decode = Callable[[Video, VideoTrack, Sequence[int]], Iterator[tuple[int, Rgb | None]]]
"""A function such as ``decode_frames``."""
chosen_decoder: ContextVar[Decode | None] = ContextVar("decoder", default=None)
"""Decodes the frames of samples in place of ``decode_frames``; ``accelerated.py`` sets it."""


def decode_frames(video: Video, track: VideoTrack, numbers: Sequence[int]) -> Iterator[tuple[int, Rgb | None]]:
    """The frames of these ascending numbers: (H, W, 3) uint8 RGB, upright, None where the decoder gives none."""
    return _counted(video, track, numbers) if track.counted else _Groups(video, track).frames(numbers)


def counted_key_frames(video: Video, track: VideoTrack) -> Ints:
    """The numbers of the key frames of a track that is counted: all of it is decoded."""
    if isinstance(video, RemoteVideo):
        video.copy()
    with _Packets(video, track) as packets:
        frames = zip(range(len(track)), packets.decoded(), strict=False)
        return np.array([number for number, frame in frames if frame.key_frame], np.int64)


class _Converter:
    def __init__(self) -> None:
        self._colours = VideoReformatter()

    def __call__(self, frame: Any) -> Rgb:
        return upright(frame, np.asarray(self._colours.reformat(frame, format="rgb24").to_ndarray(), np.uint8))


_Numbered = Iterator[tuple[int, Any]]


def _counted(video: Video, track: VideoTrack, numbers: Sequence[int]) -> _Numbered:
    """Decode from the beginning and count the frames."""
    if isinstance(video, RemoteVideo):
        video.copy()
    with _Packets(video, track) as packets:
        convert = _Converter()
        for number, frame in _pick(numbers, enumerate(packets.decoded())):
            yield number, frame and convert(frame)


def _pick(numbers: Sequence[int], frames: _Numbered) -> _Numbered:
    """The frames with these numbers, out of frames in ascending order. None for a missing one."""
    left = list(reversed(numbers))
    for number, frame in frames:
        while left and left[-1] < number:
            yield left.pop(), None
        if left and left[-1] == number:
            yield left.pop(), frame
        if not left:
            return
    yield from ((number, None) for number in reversed(left))


class _Groups:
    """Frames by their presentation times, a group of pictures after the other."""

    def __init__(self, video: Video, track: VideoTrack) -> None:
        self._video, self._track, self._convert = video, track, _Converter()
        self._numbers = {int(track.packets.pts[place]): number for number, place in enumerate(track.order)}

    def frames(self, numbers: Sequence[int]) -> _Numbered:
        """The frames of these ascending numbers."""
        groups = [(key, list(group)) for key, group in groupby(numbers, self._key_before)]
        if isinstance(self._video, RemoteVideo):
            self._video.plan([self._span(key, wanted) for key, wanted in groups])
        with _Packets(self._video, self._track) as packets:
            for key, wanted in groups:
                yield from self._group(packets, key, wanted)

    def _span(self, key: int, numbers: list[int]) -> Span:
        """The bytes of the packets that are decoded for these frames."""
        behind = int(self._track.order[numbers].max()) + 1
        first = self._track.packets.place[key:behind]
        return int(first.min()), int((first + self._track.packets.size[key:behind]).max())

    def _key_before(self, number: int) -> int:
        """The place of the key frame from which a frame is decoded: 0 where only the beginning is left."""
        keys, place, times = self._track.keys, self._track.order[number], self._track.packets.pts
        before = np.searchsorted(keys, place, "right") - 1
        # Pictures that are coded behind a key frame and shown before it build on what came before.
        while before >= 0 and times[keys[before]] > times[place]:
            before -= 1
        return int(keys[before]) if before >= 0 else 0

    def _group(self, packets: "_Packets", key: int, numbers: list[int]) -> _Numbered:
        lost: list[int] = []
        for number, frame in _pick(numbers, self._needed(packets, key, numbers)):
            if frame is None:
                lost.append(number)
                continue
            yield from self._once_more(key, lost)
            lost = []
            yield number, self._convert(frame)
        yield from self._once_more(key, lost)

    def _once_more(self, key: int, numbers: list[int]) -> _Numbered:
        """From the key frame before: some recorders refresh pictures bit by bit and mark where that begins;
        they are whole when the next one does."""
        before = np.searchsorted(self._track.keys, key) - 1
        if not numbers or before < 0:
            yield from ((number, None) for number in numbers)
            return
        with _Packets(self._video, self._track) as packets:
            for number, frame in _pick(numbers, self._needed(packets, int(self._track.keys[before]), numbers)):
                yield number, frame and self._convert(frame)

    def _needed(self, packets: "_Packets", key: int, numbers: list[int]) -> Iterator[tuple[int, Any]]:
        """The frames of these numbers, and others that must be decoded for them."""
        places = self._track.order[numbers]
        wanted, codec = set(places.tolist()), packets.codec
        skips = _knows_unreferenced(codec)
        codec.flush_buffers()
        for place, packet in packets.between(key, int(places.max())):
            if skips:
                codec.skip_frame = "DEFAULT" if place in wanted else "NONREF"
            yield from self._numbered(decode(codec, packet))
        codec.skip_frame = "DEFAULT"
        yield from self._numbered(decode(codec, None))

    def _numbered(self, frames: Sequence[Any]) -> Iterator[tuple[int, Any]]:
        return ((self._numbers[frame.pts], frame) for frame in frames if frame.pts in self._numbers)


def _knows_unreferenced(codec: Any) -> bool:
    """Whether a decoder knows what nothing refers to, which need not be decoded. In H.265 higher temporal layers may
    refer to such pictures: only where its header (hvcC) says that there is one layer, nothing does."""
    header = codec.extradata or b""
    one_layer = codec.name == "hevc" and len(header) > _LAYERS and header[:1] == b"\1"
    return codec.name in _KNOWS_UNREFERENCED or (one_layer and header[_LAYERS] >> 3 & 7 == 1)


class _Packets:
    """The packets of a track with their places in its index. Short gaps are read through, long ones are jumped over."""

    def __init__(self, video: Video, track: VideoTrack) -> None:
        self._file, self._table, self._stream = video, track.packets, track.stream
        self._coming: _Numbered = iter(())
        self._opened = ExitStack()
        self._open()

    def __enter__(self) -> "_Packets":
        return self

    def __exit__(self, *error: object) -> None:
        self._coming = iter(())  # the generator refers to this object: the decoder would wait for the garbage collector
        self._opened.close()

    def _open(self) -> None:
        self._opened.close()
        self._container = self._opened.enter_context(open_video(self._file))
        self._video = self._container.streams[self._stream]
        for other in self._container.streams:
            if other.index != self._stream:
                other.discard = Discard.all
        self.codec = self._video.codec_context
        self._continue(0, whole_packets(self._container, self._video))

    def decoded(self) -> Iterator[Any]:
        """Every frame that the decoder gives, of a file that was just opened."""
        for _, packet in self._coming:
            yield from decode(self.codec, packet)
        yield from decode(self.codec, None)

    def between(self, first: int, last: int) -> Iterator[tuple[int, Any]]:
        """The packets from one place to another."""
        if first < self._at or self._table.size[self._at : first].sum() > GAP:
            self._jump(first)
        for place, packet in self._coming:
            if place >= first:
                yield place, packet
            if place >= last:
                return

    def _jump(self, first: int) -> None:
        """Seek to a place, or to one before it."""
        times = self._table.pts
        back = 0
        for _ in range(_TRIES):
            self._container.seek(int(times[first]) - back, stream=self._video)
            found = self._found()
            if found is not None and found[0] <= first:
                self._continue(*found)
                return
            back = 2 * back + round(1 / self._video.time_base)
        self._open()  # this container cannot be searched: from the beginning

    def _found(self) -> tuple[int, Iterator[Any]] | None:
        """The place of the next packet, and the packets from it on."""
        packets = whole_packets(self._container, self._video)
        for _, packet in zip(range(_TRIED_PACKETS), packets, strict=False):
            places = np.flatnonzero(
                (self._table.pts == packet.pts)
                & (self._table.size == packet.size)
                & (self._table.place == (-1 if packet.pos is None else packet.pos))
            )
            if len(places) == 1:
                return int(places[0]), chain([packet], packets)
        return None

    def _continue(self, place: int, packets: Iterator[Any]) -> None:
        self._at = place
        self._coming = self._numbered(packets)

    def _numbered(self, packets: Iterator[Any]) -> Iterator[tuple[int, Any]]:
        for packet in packets:
            self._at += 1
            yield self._at - 1, packet


def upright(frame: Any, image: Rgb) -> Rgb:
    """The (H, W, 3) picture of a decoded frame as players show it: rotated by multiples of 90 degrees and mirrored."""
    # Not frame.side_data: the frame would keep it, and it the frame, so both would stay in memory until garbage is
    # collected, megabytes each.
    side_data: Any = SideDataContainer  # whose type hints lack the frame
    matrix = side_data(frame).get(Type.DISPLAYMATRIX)
    if matrix is None:
        return image
    a, b, _, c, d = struct.unpack_from("=5i", bytes(matrix))
    # A point (x, y) is shown at (a x + c y, b x + d y).
    if abs(a) + abs(d) < abs(b) + abs(c):
        image, a, d = image.transpose(1, 0, 2), c, b
    image = image[:, ::-1] if a < 0 else image
    image = image[::-1] if d < 0 else image
    return np.ascontiguousarray(image)
