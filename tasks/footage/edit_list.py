"""How much of an MP4 or MOV is shown: clips cut without encoding anew hold frames that their edit list hides.

Boxes as in ISO/IEC 14496-12: size, type, content; ``moov`` holds ``mvhd`` (time scale) and tracks (``trak``), each
with its kind (``mdia/hdlr``) and, perhaps, its edit list (``edts/elst``).
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO

_MOST_EDITS = 1000


@dataclass(frozen=True, slots=True)
class _Box:
    """Where the content of a box begins and ends in the file."""

    name: bytes
    start: int
    end: int


def shown_seconds(file: BinaryIO) -> float | None:
    """How long the edit list of the first video track lasts, in seconds; None where there is none.

    Reads a few headers only, at any position of ``file``. Never raises for what the file holds.
    """
    try:
        return _shown_seconds(file)
    except (struct.error, ZeroDivisionError):  # a box that ends too early
        return None


def _shown_seconds(file: BinaryIO) -> float | None:
    movie = _child(file, _Box(b"", 0, file.seek(0, 2)), b"moov")
    header = movie and _child(file, movie, b"mvhd")
    if movie is None or header is None:
        return None
    version = _read(file, header.start, "B")[0]
    scale = _read(file, header.start + (20 if version else 12), "I")[0]
    for track in (box for box in _boxes(file, movie) if box.name == b"trak"):
        media = _child(file, track, b"mdia")
        handler = media and _child(file, media, b"hdlr")
        if handler is None or _read(file, handler.start + 8, "4s")[0] != b"vide":
            continue
        edits = _child(file, track, b"edts")
        listed = edits and _child(file, edits, b"elst")
        return sum(_edits(file, listed)) / scale or None if listed else None
    return None


def _edits(file: BinaryIO, listed: _Box) -> Iterator[int]:
    """Length of each edit that shows something, in units of the movie's time scale."""
    version, count = _read(file, listed.start, "B3xI")
    entry = "Qq4x" if version else "Ii4x"
    size = struct.calcsize(f">{entry}")
    for number in range(min(count, _MOST_EDITS)):
        length, first = _read(file, listed.start + 8 + number * size, entry)
        if first >= 0:  # else nothing is shown meanwhile
            yield length


def _child(file: BinaryIO, parent: _Box, name: bytes) -> _Box | None:
    return next((box for box in _boxes(file, parent) if box.name == name), None)


def _boxes(file: BinaryIO, parent: _Box) -> Iterator[_Box]:
    at = parent.start
    while at + 8 <= parent.end:
        size, name = _read(file, at, "I4s")
        header = 8
        if size == 1:
            size, header = _read(file, at + 8, "Q")[0], 16
        elif size == 0:
            size = parent.end - at
        if size < header:
            return
        yield _Box(name, at + header, min(at + size, parent.end))
        at += size


def _read(file: BinaryIO, at: int, layout: str) -> tuple[Any, ...]:
    file.seek(at)
    return struct.unpack(f">{layout}", file.read(struct.calcsize(f">{layout}")))
