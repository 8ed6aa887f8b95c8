"""Recordings (MCAP) of robots and cars: the pictures of their camera topics, and where the car was.

A recording is read from its beginning, a chunk at a time, as far as it is whole: chunks whose checksum is wrong are
left out, and what lies behind the place where it breaks off is lost. Pictures are counted in the order of the file.
"""

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import IO

from mcap.records import Message

from schemas.records import Source
from tasks.errors import SourceError
from tasks.footage.capture_time import is_ahead, plausible
from tasks.footage.images import BadImage
from tasks.footage.recording_file import messages
from tasks.footage.recording_messages import BadMessage, Decoders, PackedMessage, Picture
from tasks.footage.recording_topics import Content, content_of
from tasks.footage.recording_video import CodedTopic
from tasks.footage.source_kind import Fix, Frame, Inside, Stored

_CLOCK_PICTURES = 32
_CLOCK_ERROR = 5_000_000_000  # nanoseconds: messages may be logged late
_ROUNDING = 1e-6
_ONLY = "only camera topics of ROS and Foxglove are read"


@dataclass(frozen=True, slots=True)
class _Shot:
    """A picture that is not decoded yet. ``picture`` is None if its message cannot be read; ``error`` says why."""

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


def look_into(file: IO[bytes], size: int, modified: datetime) -> Inside:
    """Tell how long a recording is, all cameras together, and the time of its first picture, if it can be believed.

    From the summary at its end, or by reading it where that is gone. Raises SourceError when it is no recording, or
    has no pictures.
    """
    content = content_of(file, size)
    damage: list[str] = []
    shot = next(_shots(file, size, content, damage), None)
    unread = content.told_unread
    if shot is None:
        told = [*damage, f"not read: {unread}"] if unread else damage or [_ONLY]
        raise SourceError(f"no pictures in it: {'; '.join(told)}")
    notes = [f"camera topics that are not read: {unread}"] if unread else []
    if len(content.fixes) > 1:
        notes.append(
            f"of the positions in {', '.join(sorted(content.fixes))} those of the topic with most fixes are taken"
        )
    seconds = content.seconds * len(content.cameras)
    return Inside(modified, seconds, _moment(shot.nanoseconds), note="; ".join(notes) or None)


def sample_recording(file: IO[bytes], size: int, source: Source, fps: float) -> Iterator[Frame]:
    """Yield the pictures that each camera shows at t = 0, 1/fps, … after its first, each once.

    Shown at t is the camera's last picture not after t, by the time in its header, or that of its logging where none
    is set. The last picture stays for as long as the one before it.

    Raises SourceError when it is no recording, and behind the last picture when something of it is lost.
    """
    damage: list[str] = []
    first: int | None = None
    cameras: dict[str, _Camera] = {}
    for shot in _shots(file, size, content_of(file, size), damage):
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
    """The pictures of these ascending numbers, read once. Raises SourceError if it is no recording."""
    shots = _shots(file, size, content_of(file, size), [])
    for index in indices:
        picture = next((shot.picture for shot in shots if shot.index == index), None)
        if picture is None:
            yield BadImage("the recording does not hold it any more")
            continue
        try:
            yield picture.data if picture.is_file else picture.image()
        except BadImage as bad:
            yield bad


def recorded_fixes(file: IO[bytes], size: int, source: Source) -> list[Fix]:
    """Where the car was, in the order of the file: empty if no topic has positions. Of several topics, the one
    with most positions counts, or the first by name among equals: two receivers are never mixed.

    Raises SourceError when it is no recording.
    """
    decoders = Decoders()
    fixes: defaultdict[str, list[Fix]] = defaultdict(list)
    content = content_of(file, size)
    first = next(_shots(file, size, content, []), None) if content.fixes else None
    if first is None:
        return []
    offset = _clock_offset(file, size, content)
    for schema, channel, message in messages(file, size, content.schemas, content.channels, []):
        if channel.topic not in content.fixes:
            continue
        try:
            place = decoders.place(channel, schema, message.data)
        except (BadMessage, PackedMessage):  # the position is only missing then
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


def _shots(file: IO[bytes], size: int, content: Content, damage: list[str]) -> Iterator[_Shot]:
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
    file: IO[bytes], size: int, content: Content, damage: list[str]
) -> Iterator[tuple[str, Picture | str, int, Message]]:
    """The topic of each picture, itself or why there is none, its stamp (0: none) and its message."""
    decoders, cameras, videos = Decoders(), set(content.cameras), defaultdict[str, CodedTopic](CodedTopic)
    for schema, channel, message in messages(file, size, content.schemas, content.channels, damage):
        if channel.topic not in cameras:
            continue
        try:
            picture = decoders.picture(channel, schema, message.data)
        except PackedMessage as packed:
            raise SourceError(str(packed)) from packed
        except BadMessage as bad:
            yield channel.topic, f"{channel.topic}: {bad}", 0, message
            continue
        if picture.codec:
            coded = videos[channel.topic].add(picture.codec, picture.data)
            if coded is None:
                continue
            picture = replace(picture, coded=coded)
        if not picture.is_depth:
            yield channel.topic, picture, picture.stamp, message
    damage += [f"{topic}: {lost}" for topic in sorted(videos) if (lost := videos[topic].lost)]


def _clock_offset(file: IO[bytes], size: int, content: Content) -> int:
    """How far the cameras' clock is ahead of the recorder's, in nanoseconds: the median of the first pictures."""
    first = islice(_pictures(file, size, content, []), _CLOCK_PICTURES)
    offsets = sorted(stamp - message.log_time for _, _, stamp, message in first if _believed(stamp, message))
    return offsets[len(offsets) // 2] if offsets else 0


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
