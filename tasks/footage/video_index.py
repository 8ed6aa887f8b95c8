"""The index of a video file: the number and time of each frame, made by one pass over its packets.

None is decoded but a few where a recording begins in the middle of a group of pictures.
"""

import re
from array import array
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import cached_property, partial
from typing import Any

import numpy as np
import numpy.typing as npt

from tasks.errors import SourceError
from tasks.footage.video_file import RemoteVideo, Video, camera_streams, decode, open_video, whole_packets

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

NO_TIME = int(np.iinfo(np.int64).min)
"""Stands for a time that a packet does not have."""

# Containers count in ticks that are no round decimals of a second.
_ROUNDING = 1e-6
UNKNOWN_CODEC = "its video cannot be decoded: damaged, or of an unknown codec"

_LONGEST = 30 * 24 * 3600.0  # seconds: a longer video has damaged times
# H.264 and the like in these: presentation times are those of decoding, which is wrong where frames are reordered.
_WITHOUT_PRESENTATION_TIMES = frozenset({"avi", "h264", "hevc"})
_REORDERED = frozenset({"h264", "hevc", "vvc"})
# What is to be known of these packets is in the index of an MP4, but for which are key frames, which it lists.
_TOLD_OUTSIDE = frozenset({"h264", "hevc", "libdav1d", "av1"})
_PROGRESSIVE = 1  # of the field orders of FFmpeg: 0 is unknown, all others interlaced
_PROBED = 32  # packets
_NOT_CODED = 8  # bytes: so small an MPEG-4 packet says that the picture before it stays
_VP8_SHOWN = 0x10  # of its first byte
_GUESSED_RATE = 25.0
# Titles that programs write by default.
_NO_TITLE = re.compile(r"(?i)\W*|.*(video|handler|media).*")


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


def read_index(video: Video) -> list[VideoTrack]:
    """The video tracks of a file, cover art left out, in the order of the file.

    Raises SourceError when it is no video or none of them has frames.
    """
    with open_video(video) as container, _payload_left_out(video, container) as left_out:
        gathered = {stream.index: _Gathered.of(stream, left_out) for stream in camera_streams(container)}
        if not gathered:
            raise SourceError("no video in it")
        ends = [0] * len(container.streams)
        for packet in whole_packets(container):
            stream, ticks = packet.stream_index, packet.dts if packet.pts is None else packet.pts
            if ticks is not None:
                ends[stream] = max(ends[stream], ticks + (packet.duration or 0))
            if stream in gathered:
                gathered[stream].add(packet)
        bases = [stream.time_base or 0 for stream in container.streams]
        end = max(float(ticks * base) for ticks, base in zip(ends, bases, strict=True))
        promised = _container_seconds(container)
    # If another stream fills the duration in the container, nothing of this stream is missing.
    promised = promised if promised > end + 1 else 0.0
    tracks = [_track(video, told, promised) for told in gathered.values() if told.pts]
    tracks = [track for track in tracks if len(track)]
    if not tracks:
        raise SourceError("the video has no frames")
    return tracks if len(tracks) == 1 else _as_cameras(tracks, gathered)


@contextmanager
def _payload_left_out(video: Video, container: Any) -> Iterator[bool]:
    """Meanwhile nothing is fetched of the pictures of a remote video, where its packets tell as much without: whether
    that is so."""
    if not isinstance(video, RemoteVideo) or video.copied:
        yield False
    elif {stream.codec_context and stream.codec_context.name for stream in camera_streams(container)} <= _TOLD_OUTSIDE:
        with video.payload_left_out():
            yield True
    else:
        video.copy()
        yield False


def told_seconds(container: Any) -> list[float]:
    """The length of each camera by the header, in seconds. 0 if the header does not have it."""
    whole = _container_seconds(container)
    return [_from_start(stream, _told(stream) or whole) for stream in camera_streams(container)]


def _from_start(stream: Any, seconds: float) -> float:
    """The length without the time before the first picture, which FFmpeg counts in Matroska."""
    begin = float((stream.start_time or 0) * stream.time_base) if "matroska" in stream.container.format.name else 0.0
    return seconds - begin if 0 < begin < seconds else seconds


@dataclass(slots=True)
class _Gathered:
    """A stream: what the header tells of it, and its packets, as they come. ``listed_keys`` are where the key frames
    begin that the header lists, None where the packets themselves tell."""

    stream: int
    codec: str
    base: Fraction
    rate: float
    promised: int
    told: float
    title: str
    timed: bool
    interlaced: bool
    listed_keys: frozenset[int] | None
    pts: "array[int]" = field(default_factory=partial(array, "q"))
    dts: "array[int]" = field(default_factory=partial(array, "q"))
    place: "array[int]" = field(default_factory=partial(array, "q"))
    size: "array[int]" = field(default_factory=partial(array, "q"))
    duration: "array[int]" = field(default_factory=partial(array, "q"))
    flags: "array[int]" = field(default_factory=partial(array, "b"))

    @classmethod
    def of(cls, stream: Any, payload_left_out: bool) -> "_Gathered":
        codec = stream.codec_context
        name = codec.name if codec else ""
        without = stream.container.format.name in _WITHOUT_PRESENTATION_TIMES
        rates = [stream.average_rate]
        if without and stream.duration is None and codec:  # no times at all: only the codec may tell
            rates.insert(0, codec.framerate)
        return cls(
            stream.index,
            name,
            stream.time_base or Fraction(1, 1_000_000),
            float(next((rate for rate in rates if rate and 0 < rate < 1000), 0)),
            stream.frames,
            _told(stream),
            _title(stream),
            timed=not (without and name in _REORDERED and codec.has_b_frames),
            interlaced=bool(codec) and int(codec.field_order) > _PROGRESSIVE,
            listed_keys=frozenset(entry.pos for entry in stream.index_entries if entry.is_keyframe)
            if payload_left_out
            else None,
        )

    def add(self, packet: Any) -> None:
        self.pts.append(NO_TIME if packet.pts is None else packet.pts)
        self.dts.append(NO_TIME if packet.dts is None else packet.dts)
        self.place.append(-1 if packet.pos is None else packet.pos)
        self.size.append(packet.size)
        self.duration.append(packet.duration or 0)
        key = packet.is_keyframe if self.listed_keys is None else packet.pos in self.listed_keys
        self.flags.append(bool(key) + 2 * self._is_shown(packet))

    def _is_shown(self, packet: Any) -> bool:
        if packet.is_discard:
            return False
        if self.codec == "mpeg4":
            return bool(packet.size > _NOT_CODED)
        return self.codec != "vp8" or bool(memoryview(packet)[0] & _VP8_SHOWN)

    def table(self) -> PacketTable:
        """The packets; those before the first key frame cannot be shown."""
        pts, dts, place, size, duration, flags = (
            np.asarray(column, np.int64)
            for column in (self.pts, self.dts, self.place, self.size, self.duration, self.flags)
        )
        key, shown = flags % 2 == 1, flags >= 2
        if key.any():
            shown[: int(key.argmax())] = False
        return PacketTable(pts, dts, place, size, duration, key, shown)


def _track(video: Video, gathered: _Gathered, promised: float) -> VideoTrack:
    table, base = gathered.table(), float(gathered.base)
    timed = gathered.timed and bool(table.key.any()) and gathered.codec != ""
    if timed:
        _hide_lost_leading(video, gathered, table)
        timed = not (gathered.interlaced and _fields_are_packets(video, gathered, table))
    order = _order(table, base) if timed else np.empty(0, np.int64)
    if len(order):
        seconds = (table.pts[order] - table.pts[order[0]]) * base
        last = float(table.duration[order[-1]]) * base
    else:
        seconds, last = _counted_seconds(table, base, gathered.rate or _GUESSED_RATE), 0.0
    rate = gathered.rate
    if not rate:
        rate = (len(seconds) - 1) / float(seconds[-1]) if len(seconds) > 1 and seconds[-1] > 0 else 1.0
    end = float(seconds[-1]) + (last or 1 / rate) if len(seconds) else 0.0
    missing = max((gathered.told or promised) - _reached(table, base, end), 0.0)
    if gathered.promised:
        whole = len(table) >= gathered.promised
    else:
        whole = missing <= 2 * float(np.diff(seconds).max(initial=1 / rate))
    error = None if gathered.codec else UNKNOWN_CODEC
    return VideoTrack(gathered.stream, table, order, seconds, end + missing, whole, rate, error=error, tick=base)


def _reached(table: PacketTable, base: float, shown: float) -> float:
    """The end of the last packet in seconds: from the first shown one or, as in Matroska, from zero."""
    timed = table.pts != NO_TIME
    return max(shown, float((table.pts + table.duration)[timed].max(initial=0)) * base)


def _order(table: PacketTable, base: float) -> Ints:
    """The places of the packets that are shown, in order of presentation; none where their times do not tell."""
    shown = np.flatnonzero(table.shown)
    times = table.pts[shown]
    if (times == NO_TIME).any():
        return np.empty(0, np.int64)
    order = shown[np.argsort(times, kind="stable")]
    steps = np.diff(table.pts[order])
    believable = bool((steps > 0).all()) and float(steps.sum()) * base < _LONGEST
    return order if believable else np.empty(0, np.int64)


def _counted_seconds(table: PacketTable, base: float, rate: float) -> Floats:
    """Times of frames that are counted: those of decoding, in order, where they can be believed, else by the rate."""
    times = table.dts[table.shown]
    if len(times) and (times != NO_TIME).all():
        steps = np.diff(times)
        if (steps > 0).all() and float(steps.sum()) * base < _LONGEST:
            return np.asarray((times - times[0]) * base, np.float64)
    return np.arange(len(times)) / rate


def _hide_lost_leading(video: Video, gathered: _Gathered, table: PacketTable) -> None:
    """Hide the frames before the first key frame that are coded behind it and build on what was cut away."""
    first = int(table.key.argmax())
    leading = np.flatnonzero(table.shown & (table.pts < table.pts[first]) & (table.pts != NO_TIME))
    if len(leading):
        given = _times_given(video, gathered.stream, int(leading.max()) + 1)
        table.shown[leading] = np.isin(table.pts[leading], given)


def _fields_are_packets(video: Video, gathered: _Gathered, table: PacketTable) -> bool:
    """Whether each frame has two packets (fields), so that the time of every second packet has no meaning."""
    probed = table.shown[:_PROBED].sum()
    given = _times_given(video, gathered.stream, _PROBED)
    return bool(np.isin(table.pts[:_PROBED][table.shown[:_PROBED]], given).sum() < 0.75 * probed)


def _times_given(video: Video, stream: int, packets: int) -> list[int]:
    """The times of the frames that a decoder gives for the first packets of a stream."""
    with open_video(video) as container:
        codec, times = container.streams[stream].codec_context, []
        for number, packet in enumerate(whole_packets(container, container.streams[stream])):
            if number >= packets:
                break
            times += [frame.pts for frame in decode(codec, packet)]
        times += [frame.pts for frame in decode(codec, None)]
    return [ticks for ticks in times if ticks is not None]


def _as_cameras(tracks: Sequence[VideoTrack], gathered: dict[int, _Gathered]) -> list[VideoTrack]:
    """Several tracks, each with its camera's name and when it begins."""
    begins = []
    for track in tracks:
        first = track.packets.pts[track.order[0]] if len(track.order) else track.packets.pts[track.packets.shown][0]
        begins.append(0.0 if first == NO_TIME else float(first * gathered[track.stream].base))
    titles = [gathered[track.stream].title for track in tracks]
    often = Counter(titles)
    names = [title if title and often[title] == 1 else f"track {n}" for n, title in enumerate(titles, 1)]
    return [
        replace(track, start=begin - min(begins), camera=name)
        for track, begin, name in zip(tracks, begins, names, strict=True)
    ]


def _title(stream: Any) -> str:
    told = (str(stream.metadata.get(name, "")).strip() for name in ("title", "handler_name"))
    return next((text for text in told if not _NO_TITLE.fullmatch(text)), "")


def _told(stream: Any) -> float:
    """The length of a stream by its header, in seconds. 0 if the header does not have it."""
    if stream.container.format.name == "avi" and stream.average_rate and stream.frames > 0:
        return float(stream.frames / stream.average_rate)  # its duration shrinks where the file is cut off
    if stream.duration and stream.duration > 0 and stream.time_base:
        return float(stream.duration * stream.time_base)
    text = next((value for name, value in stream.metadata.items() if name.upper().startswith("DURATION")), "")
    match = re.fullmatch(r"(\d+):(\d\d):(\d\d(?:\.\d+)?)", text)
    return int(match[1]) * 3600 + int(match[2]) * 60 + float(match[3]) if match else 0.0


def _container_seconds(container: Any) -> float:
    """The length of the whole file by its header, in seconds."""
    return float(container.duration or 0) / 1_000_000 if (container.duration or 0) > 0 else 0.0
