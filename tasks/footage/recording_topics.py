"""Which topics of a recording hold pictures and positions, which of its cameras are not read, and how long it is."""

import re
import struct
import zlib
from dataclasses import dataclass, field
from typing import IO

from mcap.reader import SeekingReader
from mcap.records import Channel, Schema

from tasks.errors import SourceError
from tasks.footage.recording_file import DAMAGE, messages
from tasks.footage.recording_messages import FIXES, IMAGES, type_of, unread_because

# The end of the file: opcode, length, where the summary and its index begin, its checksum; the magic bytes.
_FOOTER = 1 + 8 + 8 + 8 + 4 + 8
_BEHIND_CHECKSUM = 4 + 8

# Beside `image_raw`, ROS records `image_raw/compressed`, the same pictures, and of depth cameras `…/compressedDepth`.
_COMPRESSED = "/compressed"
_DISTANCES = "/compressedDepth"
# Of types that nobody here knows, or topics without one: those that sound like pictures, and not like what is told of
# pictures.
_SOUNDS_LIKE_PICTURES = re.compile(r"(?i)image|video|h\.?26[45]|jpeg|FFMPEGPacket")
_TOLD_OF_PICTURES = re.compile(r"(?i)info|calib|annotat|marker|disparity|depth|label|meta|status|setting|detect|region")


@dataclass(slots=True)
class Content:
    """The topics of a recording, how long it is in seconds, and the channels in its summary. ``unread`` are the
    camera topics that are not read, and why."""

    images: set[str] = field(default_factory=set)
    fixes: set[str] = field(default_factory=set)
    unread: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0
    channels: dict[int, Channel] = field(default_factory=dict)
    schemas: dict[int, Schema] = field(default_factory=dict)

    def add(self, channel: Channel, schema: Schema | None) -> None:
        kind = type_of(schema)
        if kind in FIXES:
            self.fixes.add(channel.topic)
        elif kind in IMAGES:
            if channel.topic.endswith(_DISTANCES):
                return
            if why := unread_because(channel, schema):
                self.unread[channel.topic] = why
            else:
                self.images.add(channel.topic)
        elif _SOUNDS_LIKE_PICTURES.search(kind or channel.topic) and not _TOLD_OF_PICTURES.search(
            kind or channel.topic
        ):
            self.unread[channel.topic] = f"{kind or 'messages of no type'} is not known"

    @property
    def cameras(self) -> tuple[str, ...]:
        """The camera topics, by name, each camera once."""
        return tuple(sorted(topic for topic in self.images if topic + _COMPRESSED not in self.images))

    @property
    def told_unread(self) -> str:
        """The cameras that are not read, by name, each with the reason."""
        topics = sorted(set(self.unread) - self.images)
        return ", ".join(f"{topic} ({self.unread[topic]})" for topic in topics)


def content_of(file: IO[bytes], size: int) -> Content:
    """From the summary at the end of a recording, else by reading it. Raises SourceError if it is not a recording."""
    return _summarised(file, size) or _gathered(file, size)


def _summarised(file: IO[bytes], size: int) -> Content | None:
    """From the summary at the end of the file; None if there is no complete summary."""
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
        content = Content(channels=summary.channels, schemas=summary.schemas)
        for channel in summary.channels.values():
            content.add(channel, summary.schemas.get(channel.schema_id))
    except DAMAGE:
        return None
    statistics = summary.statistics
    content.seconds = max(statistics.message_end_time - statistics.message_start_time, 0) / 1e9
    return content


def _gathered(file: IO[bytes], size: int) -> Content:
    content, damage = Content(), list[str]()
    start = end = None
    for schema, channel, message in messages(file, size, {}, {}, damage):
        content.add(channel, schema)
        start = message.log_time if start is None else min(start, message.log_time)
        end = message.log_time if end is None else max(end, message.log_time)
    if start is None or end is None:
        raise SourceError(f"not a recording that can be read: {damage[0] if damage else 'no messages in it'}")
    content.seconds = (end - start) / 1e9
    return content
