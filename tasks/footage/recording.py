"""Recordings (MCAP) of robots and cars: the pictures of their camera topics, and where the car was.

A recording is read from its beginning, a chunk at a time, as far as it is whole: chunks whose checksum is wrong are
left out, and what lies behind the place where it breaks off is lost. Pictures are counted in the order of the file.
"""

import math
import struct
import zlib
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import IO, Any

import zstandard
from mcap.exceptions import EndOfFile, InvalidMagic, McapError
from mcap.reader import SeekingReader
from mcap.records import Channel, Chunk, DataEnd, McapRecord, Message, Schema
from mcap.stream_reader import StreamReader, breakup_chunk

from schemas.records import Source
from tasks.errors import SourceError
from tasks.footage.capture_time import is_ahead, plausible
from tasks.footage.images import BadImage
from tasks.footage.recording_messages import FIXES, IMAGES, BadMessage, Decoders, Picture, type_of
from tasks.footage.source_kind import Fix, Frame, Inside, Stored
from tasks.storage import Entry, reason

_LARGEST_CHUNK = 2**30
_CLOCK_PICTURES = 32
_CLOCK_ERROR = 5_000_000_000  # nanoseconds: messages may be logged late
_ROUNDING = 1e-6
# The end of the file: opcode, length, where the summary and its index begin, its checksum; the magic bytes.
_FOOTER = 1 + 8 + 8 + 8 + 4 + 8
_BEHIND_CHECKSUM = 4 + 8
# What a damaged file makes the reader raise, beside what the storage does.
_DAMAGE = (McapError, struct.error, ValueError, zstandard.ZstdError, RuntimeError, KeyError, OverflowError)

# Beside `image_raw`, ROS records `image_raw/compressed`, the same pictures, and of depth cameras `…/compressedDepth`.
_COMPRESSED = "/compressed"
_DISTANCES = "/compressedDepth"


@dataclass(frozen=True, slots=True)
class _Shot:
    """A picture that is not decoded yet, None with the reason where its message is none."""

    index: int
    camera: str
    nanoseconds: int
    picture: Picture | None
    error: str | None = None

    def frame(self, source: Source, first: int) -> Frame:
        image, error = None, self.error
        try:
            image = self.picture.image() if self.picture else None
        except BadImage as bad:
            error = f"{self.camera}: {bad}"
        moment = source.captured + _after(first, self.nanoseconds)
        return Frame(self.index, moment, source.captured_from, image, error, self.camera)


def look_into(file: IO[bytes], now: Entry) -> Inside:
    """Tell how long a recording is, all cameras together, and the time of its first picture, if it can be believed.

    From the summary at its end, or by reading it where that is gone. Raises SourceError when it is no recording, or
    has no pictures.
    """
    content = _content(file, now.size)
    shot = next(_shots(file, now.size, content, []), None)
    if shot is None:
        raise SourceError("no pictures in it: only camera topics of ROS and Foxglove are read")
    return Inside(now.modified, content.seconds * len(content.cameras), _moment(shot.nanoseconds))


def sample_recording(file: IO[bytes], source: Source, fps: float) -> Iterator[Frame]:
    """Yield the pictures that each camera shows at t = 0, 1/fps, … after its first, each once.

    Shown at t is the camera's last picture not after t, by the time in its header, or that of its logging where none
    is set. The last picture stays for as long as the one before it.

    Raises SourceError when it is no recording, and behind the last picture when something of it is lost.
    """
    damage: list[str] = []
    first: int | None = None
    cameras: dict[str, _Camera] = {}
    for shot in _shots(file, source.size, _content(file, source.size), damage):
        first = shot.nanoseconds if first is None else first
        camera = cameras.setdefault(shot.camera, _Camera(shot.nanoseconds, fps))
        if shown := camera.show(shot):
            yield shown.frame(source, first)
    left = [shown for camera in cameras.values() if (shown := camera.end())]
    for shown in sorted(left, key=lambda shot: shot.index):
        assert first is not None
        yield shown.frame(source, first)
    if damage:
        raise SourceError(_told(damage))


def recorded_pictures(file: IO[bytes], size: int, indices: Sequence[int]) -> Iterator[Stored]:
    """The pictures of these ascending numbers, reading the recording once. Raises SourceError when it is none."""
    shots = _shots(file, size, _content(file, size), [])
    for index in indices:
        picture = next((shot.picture for shot in shots if shot.index == index), None)
        if picture is None:
            yield BadImage("the recording does not hold it any more")
            continue
        try:
            yield picture.data if picture.encoding is None else picture.image()
        except BadImage as bad:
            yield bad


def recorded_fixes(file: IO[bytes], source: Source) -> list[Fix]:
    """Where the car was, in the order of the file: empty where no topic tells. Of several topics that which tells most
    often, and by name among equals: two receivers are never mixed.

    Raises SourceError when it is no recording.
    """
    size, decoders = source.size, Decoders()
    fixes: defaultdict[str, list[Fix]] = defaultdict(list)
    content = _content(file, size)
    first = next(_shots(file, size, content, []), None) if content.fixes else None
    if first is None:
        return []
    offset = _clock_offset(file, size, content)
    for schema, channel, message in _messages(file, size, content, []):
        if channel.topic not in content.fixes:
            continue
        try:
            place = decoders.place(channel, schema, message.data)
        except BadMessage:  # the position is only missing then
            continue
        if place:
            moment = source.captured + _after(first.nanoseconds, _time(place.stamp, message, offset))
            fixes[channel.topic].append(Fix(moment, place.latitude, place.longitude))
    return max((fixes[topic] for topic in sorted(fixes)), key=len, default=[])


@dataclass(slots=True)
class _Camera:
    """The pictures of one camera, of which those are shown that are on screen at the moments of sampling.

    Moments are counted from its first picture, backwards too: parts of a recording may come in any order.
    """

    start: int
    fps: float
    sampled: list[tuple[int, int]] = field(default_factory=list)  # moments that are over, from one to before another
    on_screen: _Shot | None = None
    stays: float = 0.0

    def show(self, shot: _Shot) -> _Shot | None:
        """Put the next picture on screen: the one before it, where it was there at a moment of sampling."""
        before, self.on_screen = self.on_screen, shot
        if before is None:
            return None
        seconds = self._seconds(shot) - self._seconds(before)
        if seconds >= 0:
            self.stays = seconds
        return before if self._is_due(before, self.stays) else None

    def end(self) -> _Shot | None:
        """The last picture, where it was there at a moment of sampling."""
        assert self.on_screen is not None
        return self.on_screen if self._is_due(self.on_screen, self.stays) else None

    def _seconds(self, shot: _Shot) -> float:
        return (shot.nanoseconds - self.start) / 1e9

    def _is_due(self, shot: _Shot, stays: float) -> bool:
        """Whether it is on screen at a moment of sampling at which no picture was taken yet."""
        begin = self._seconds(shot)
        first = math.ceil((begin - _ROUNDING) * self.fps)
        end = math.ceil((begin + max(stays, 2 * _ROUNDING) - _ROUNDING) * self.fps)
        if end <= first or any(a <= first and end <= b for a, b in self.sampled):
            return False
        apart = [(a, b) for a, b in self.sampled if b < first or end < a]
        touching = [(a, b) for a, b in self.sampled if not (b < first or end < a)]
        merged = (min([first, *(a for a, _ in touching)]), max([end, *(b for _, b in touching)]))
        self.sampled = [*apart, merged]
        return True


@dataclass(slots=True)
class _Content:
    """The topics of a recording, how long it is in seconds, and what its summary tells of channels."""

    images: set[str] = field(default_factory=set)
    fixes: set[str] = field(default_factory=set)
    seconds: float = 0.0
    channels: dict[int, Channel] = field(default_factory=dict)
    schemas: dict[int, Schema] = field(default_factory=dict)

    def add(self, channel: Channel, schema: Schema | None) -> None:
        if type_of(schema) in IMAGES and not channel.topic.endswith(_DISTANCES):
            self.images.add(channel.topic)
        elif type_of(schema) in FIXES:
            self.fixes.add(channel.topic)

    @property
    def cameras(self) -> tuple[str, ...]:
        """The camera topics, by name, each camera once."""
        return tuple(sorted(topic for topic in self.images if topic + _COMPRESSED not in self.images))


def _content(file: IO[bytes], size: int) -> _Content:
    return _summarised(file, size) or _gathered(file, size)


def _summarised(file: IO[bytes], size: int) -> _Content | None:
    """As the summary at the end of the file has it; None where there is none that is whole."""
    if size < _FOOTER:
        return None
    try:
        file.seek(size - _FOOTER)
        start, _, checksum = struct.unpack_from("<QQI", file.read(_FOOTER), 9)
        if not 0 < start < size:
            return None
        file.seek(start)
        if checksum and zlib.crc32(file.read(size - _BEHIND_CHECKSUM - start)) != checksum:
            return None
        file.seek(0)
        summary = SeekingReader(file, record_size_limit=size).get_summary()
        if summary is None or summary.statistics is None or not summary.channels:
            return None
        content = _Content(channels=summary.channels, schemas=summary.schemas)
        for channel in summary.channels.values():
            content.add(channel, summary.schemas.get(channel.schema_id))
    except _DAMAGE:
        return None
    statistics = summary.statistics
    content.seconds = max(statistics.message_end_time - statistics.message_start_time, 0) / 1e9
    return content


def _gathered(file: IO[bytes], size: int) -> _Content:
    content, damage = _Content(), list[str]()
    start = end = None
    for schema, channel, message in _messages(file, size, content, damage):
        content.add(channel, schema)
        start = message.log_time if start is None else min(start, message.log_time)
        end = message.log_time if end is None else max(end, message.log_time)
    if start is None or end is None:
        raise SourceError(f"not a recording that can be read: {damage[0] if damage else 'no messages in it'}")
    content.seconds = (end - start) / 1e9
    return content


def _shots(file: IO[bytes], size: int, content: _Content, damage: list[str]) -> Iterator[_Shot]:
    offset, before = _clock_offset(file, size, content), dict[str, tuple[int, int]]()
    for index, (topic, picture, stamp, message) in enumerate(_pictures(file, size, content, damage)):
        nanoseconds = _time(stamp, message, offset)
        logged, taken = before.get(topic, (message.log_time, nanoseconds))
        if nanoseconds < taken and message.log_time > logged:  # the camera's clock was set back
            nanoseconds = message.log_time + offset
        before[topic] = message.log_time, nanoseconds
        error = picture if isinstance(picture, str) else None
        yield _Shot(index, topic, nanoseconds, None if isinstance(picture, str) else picture, error)


def _pictures(
    file: IO[bytes], size: int, content: _Content, damage: list[str]
) -> Iterator[tuple[str, Picture | str, int, Message]]:
    """The topic of each picture, itself or why there is none, its stamp (0: none) and its message."""
    decoders, cameras = Decoders(), set(content.cameras)
    for schema, channel, message in _messages(file, size, content, damage):
        if channel.topic not in cameras:
            continue
        try:
            picture = decoders.picture(channel, schema, message.data)
        except BadMessage as bad:
            yield channel.topic, f"{channel.topic}: {bad}", 0, message
            continue
        if not picture.is_depth:
            yield channel.topic, picture, picture.stamp, message


def _clock_offset(file: IO[bytes], size: int, content: _Content) -> int:
    """How far the cameras' clock is ahead of the recorder's, in nanoseconds: the median of the first pictures."""
    first = islice(_pictures(file, size, content, []), _CLOCK_PICTURES)
    offsets = sorted(stamp - message.log_time for _, _, stamp, message in first if _believed(stamp, message))
    return offsets[len(offsets) // 2] if offsets else 0


def _messages(
    file: IO[bytes], size: int, content: _Content, damage: list[str]
) -> Iterator[tuple[Schema | None, Channel, Message]]:
    """Every message that is whole, in the order of the file; what is lost, and why, comes into ``damage``."""
    schemas, channels = dict(content.schemas), dict(content.channels)
    for record in _records(file, size, damage):
        match record:
            case Schema():
                schemas[record.id] = record
            case Channel():
                channels[record.id] = record
            case Message() if record.channel_id in channels:
                channel = channels[record.channel_id]
                yield schemas.get(channel.schema_id), channel, record


def _records(file: IO[bytes], size: int, damage: list[str]) -> Iterator[McapRecord]:
    file.seek(0)
    whole: Any = _WholeReads(file, size)
    records = StreamReader(whole, emit_chunks=True, record_size_limit=size).records
    while True:
        try:
            record = next(records)
        except _DAMAGE as error:
            damage.append(_spoken(error))
            return
        if isinstance(record, DataEnd):  # a summary follows
            return
        if not isinstance(record, Chunk):
            yield record
            continue
        try:
            if record.uncompressed_size > _LARGEST_CHUNK:
                raise ValueError(f"a chunk larger than {_LARGEST_CHUNK // 2**20} MB")
            yield from breakup_chunk(record, validate_crc=True)
        except _DAMAGE as error:
            damage.append(f"a chunk is damaged ({_spoken(error)})")


class _WholeReads:
    """A file of ``size`` bytes of which a read gives all that was asked for, or the file ends there: the reader takes
    less for more, and asks for what damaged lengths say."""

    def __init__(self, file: IO[bytes], size: int) -> None:
        self._file, self._size = file, size

    def read(self, length: int) -> bytes:
        data = self._file.read(length) if length <= self._size else b""
        if len(data) < length:
            raise EndOfFile
        return data


def _spoken(error: Exception) -> str:
    match error:
        case EndOfFile():
            return "it breaks off"
        case InvalidMagic():
            return "it does not begin as MCAP does"
        case _:
            return reason(error)


def _told(damage: list[str]) -> str:
    more = f", and {len(damage) - 1} more" if len(damage) > 1 else ""
    return f"the recording is cut off or damaged: {damage[0]}{more}"


def _time(stamp: int, message: Message, offset: int) -> int:
    """When a picture was taken, in nanoseconds, by the camera's clock where that can be believed: it is there, not a
    day ahead, and as far from the recorder's clock as at first."""
    if not _believed(stamp, message):
        return message.log_time + offset
    return stamp if abs(stamp - message.log_time - offset) <= _CLOCK_ERROR else message.log_time + offset


def _believed(stamp: int, message: Message) -> bool:
    told, logged = _moment(stamp), _moment(message.log_time)
    return told is not None and not (logged and is_ahead(told, logged))


def _after(first: int, nanoseconds: int) -> timedelta:
    return timedelta(microseconds=nanoseconds // 1000 - first // 1000)


def _moment(nanoseconds: int) -> datetime | None:
    return plausible(datetime.fromtimestamp(0, UTC) + timedelta(microseconds=nanoseconds // 1000))
