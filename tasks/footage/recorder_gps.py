"""Positions as recorders write them into their videos: Novatek, BlackVue, GoPro (GPMF) and camm.

Novatek: github.com/exiftool/exiftool, QuickTimeStream. GPMF: github.com/gopro/gpmf-parser. camm:
developers.google.com/streetview/publish/camm-spec.
"""

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from tasks.footage.track_formats import nmea_fixes

_NOVATEK = re.compile(rb"A[NS][EW]")
_NOVATEK_TIME = re.compile(rb"[AV][NSEWA-Z\0 ]{2}")
_BRACKETS = re.compile(rb"\[(\d{13})\]")
_ANY_DAY = datetime(2001, 1, 1, tzinfo=UTC)  # of sentences whose clock is not used
_LONGEST_STEP = 10  # seconds between two blocks; more is a clock that was set


@dataclass(frozen=True, slots=True)
class Point:
    """A position in degrees, at a time in seconds from the start of the video."""

    seconds: float
    latitude: float
    longitude: float


def novatek_points(blocks: Iterator[bytes]) -> tuple[list[Point], int]:
    """The positions in the blocks that a ``gps `` box lists, and how many of all blocks are understood.

    A block is written each second. Its clock may be that of any zone, and is set when the receiver finds one: only
    its steps are used.
    """
    points: list[Point] = []
    understood, seconds = 0, 0.0
    before: datetime | None = None
    for number, block in enumerate(blocks):
        found = _novatek(block)
        clock = found[0] if found else None
        step = (clock - before).total_seconds() if clock and before else 1.0
        seconds += (step if 0 <= step <= _LONGEST_STEP else 1.0) if number else 0.0
        before = clock or (before and before + timedelta(seconds=1))
        if found:
            understood += 1
            if found[1]:
                points.append(Point(seconds, *found[1]))
    return points, understood


def _novatek(block: bytes) -> tuple[datetime, tuple[float, float] | None] | None:
    """The clock and the position of a block; None where it is not understood.

    Hour, minute, second, year, month and day, four bytes each; then A (or V without a fix), N or S, E or W, a byte;
    latitude and longitude as degrees times 100 and minutes.
    """
    if block[4:12] != b"freeGPS ":
        return None
    for match in _NOVATEK_TIME.finditer(block, 36, 512):
        at = match.start()
        if at + 12 > len(block):
            break
        hour, minute, second, year, month, day = struct.unpack_from("<6I", block, at - 24)
        try:
            clock = datetime(year + 2000 * (year < 100), month, day, hour, minute, second, tzinfo=UTC)
        except (ValueError, OverflowError):
            continue
        if not _NOVATEK.match(block, at):
            return clock, None
        north, east = (_degrees(value) for value in struct.unpack_from("<2f", block, at + 4))
        if north is None or east is None:
            return clock, None
        return clock, (-north if match[0][1:2] == b"S" else north, -east if match[0][2:3] == b"W" else east)
    return None


def _degrees(value: float) -> float | None:
    minutes = value % 100
    return (value - minutes) / 100 + minutes / 60 if 0 <= value <= 18_000 and minutes < 60 else None


def blackvue_points(text: bytes) -> list[Point]:
    """The positions of the sentences in a ``gps `` box, which the recorder's clock dates in milliseconds."""
    stamps = [(match.start(), int(match[1])) for match in _BRACKETS.finditer(text)]
    points: list[Point] = []
    for (start, stamp), (end, _) in zip(stamps, [*stamps[1:], (len(text), 0)], strict=True):
        for _, north, east in nmea_fixes(text[start:end], _ANY_DAY):
            points.append(Point((stamp - stamps[0][1]) / 1000, north, east))
    return points


def camm_point(sample: bytes) -> tuple[float, float] | None:
    """The position of a sample of camera motion metadata; None if it holds other data or no fix."""
    kind = int.from_bytes(sample[2:4], "little") if len(sample) >= 4 else 0
    if kind == 5 and len(sample) >= 28:
        north, east, _ = struct.unpack_from("<3d", sample, 4)
        return north, east
    if kind == 6 and len(sample) >= 32:
        _, fix, north, east = struct.unpack_from("<didd", sample, 4)
        return (north, east) if fix else None
    return None


def gpmf_points(sample: bytes, seconds: float, lasts: float) -> list[Point]:
    """The positions of a sample of GPMF, spread over the time that it lasts. Those without a fix are left out."""
    found = max((_gpmf_stream(stream) for stream in _gpmf_streams(sample)), key=len, default=[])
    step = lasts / len(found) if found else 0.0
    return [Point(seconds + number * step, *place) for number, place in enumerate(found) if place]


def _gpmf_streams(data: bytes) -> Iterator[dict[bytes, tuple[bytes, int, bytes]]]:
    for key, kind, _, content in _gpmf_items(data):
        if key == b"STRM":
            yield {item[0]: item[1:] for item in _gpmf_items(content)}
        elif kind == b"\0":
            yield from _gpmf_streams(content)


def _gpmf_items(data: bytes) -> Iterator[tuple[bytes, bytes, int, bytes]]:
    """Key, type, size of an element and content of each item. Items are aligned to four bytes."""
    at = 0
    while at + 8 <= len(data):
        size, count = data[at + 5], int.from_bytes(data[at + 6 : at + 8], "big")
        length = size * count
        yield data[at : at + 4], data[at + 4 : at + 5], size, data[at + 8 : at + 8 + length]
        at += 8 + (length + 3) // 4 * 4


def _gpmf_stream(stream: dict[bytes, tuple[bytes, int, bytes]]) -> list[tuple[float, float] | None]:
    """The positions of a stream; None for one without a fix."""
    for key, size, fix_at in ((b"GPS9", 32, 31), (b"GPS5", 20, None)):
        if key not in stream:
            continue
        _, element, content = stream[key]
        scales = _gpmf_numbers(stream.get(b"SCAL"))
        if element != size or len(scales) < 2 or not all(scales[:2]):
            return []
        fix = _gpmf_numbers(stream.get(b"GPSF"))
        places: list[tuple[float, float] | None] = []
        for at in range(0, len(content) - size + 1, size):
            north, east = struct.unpack_from(">2l", content, at)
            locked = content[at + fix_at] if fix_at is not None else (fix[0] if fix else 3)
            places.append((north / scales[0], east / scales[1]) if locked >= 2 else None)
        return places
    return []


def _gpmf_numbers(item: tuple[bytes, int, bytes] | None) -> list[int]:
    layouts = {b"l": ">i", b"L": ">I", b"s": ">h", b"S": ">H", b"b": ">b", b"B": ">B"}
    if item is None or item[0] not in layouts:
        return []
    layout, content = layouts[item[0]], item[2]
    whole = len(content) // struct.calcsize(layout) * struct.calcsize(layout)
    return [number for (number,) in struct.iter_unpack(layout, content[:whole])]
