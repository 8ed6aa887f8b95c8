"""A kind of archive source, such as videos: one record of functions, which ``kinds.py`` finds by a source's name."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import BinaryIO

from schemas.records import Source, TimestampSource
from tasks.errors import SourceError
from tasks.footage.fetched import add_fetched
from tasks.footage.images import BadImage, Rgb
from tasks.storage import Entry, Location, entry, is_object_store

# Headers are read in small pieces: the 5 MB blocks that object stores default to would read whole clips.
_HEADER_BLOCK = 256 * 1024

CHANGED = "changed after it was listed; the next scan takes it as it is now"
GONE = "gone since it was listed"


@dataclass(frozen=True, slots=True)
class Inside:
    """What the inside of a source tells of it. ``modified`` is when its file, or first image, was written;
    ``container_time`` when it was captured, where its header tells; ``first_name`` that of its first image; ``lasts``
    how long it was recorded before it was ``modified``, in seconds, 0 where that is when it began; ``note`` of what is
    not read."""

    modified: datetime
    seconds: float
    container_time: datetime | None = None
    first_name: str = ""
    lasts: float = 0.0
    note: str | None = None


@dataclass(frozen=True, slots=True)
class Frame:
    """One sampled frame.

    ``index`` is its number in the video, from 0 (images: among the images of the source); ``timestamp`` in UTC;
    ``camera`` is its topic in a recording; ``image`` is (H, W, 3) uint8 RGB, upright, or None where it could not
    be read, and then ``error`` says why. ``latitude`` and ``longitude`` are in degrees, where the image itself tells.
    """

    index: int
    timestamp: datetime
    timestamp_source: TimestampSource
    image: Rgb | None
    error: str | None = None
    camera: str | None = None
    latitude: float | None = None
    longitude: float | None = None


@dataclass(frozen=True, slots=True)
class Told:
    """When (UTC) and where (degrees, WGS 84) an image was taken, as far as something tells."""

    moment: datetime | None = None
    latitude: float | None = None
    longitude: float | None = None

    def or_else(self, other: "Told") -> "Told":
        """With what it does not tell from another."""
        place = self if self.latitude is not None else other
        return Told(self.moment or other.moment, place.latitude, place.longitude)


@dataclass(frozen=True, slots=True, order=True)
class Fix:
    """Where the car was at a moment (UTC). Degrees, WGS 84."""

    moment: datetime
    latitude: float
    longitude: float


class BadTrack(Exception):
    """Where the car was cannot be told from this. One line that says why."""


Stored = bytes | Rgb | BadImage
"""A picture as its source holds it: an image file, (H, W, 3) uint8 RGB where it is none, or why it cannot be had."""


def file_etag(file: Location) -> str:
    """The etag that a listing made now would give."""
    return entry("", file.fs.info(file.path)).etag


@dataclass(frozen=True, slots=True)
class SourceKind:
    """How sources of a kind are read. What a storage raises goes through; SourceError says what is wrong with one.

    ``look_inside`` reads no more than headers, and raises SourceError too where the source is not what was listed
    (``open_header`` does). ``frames`` gives them in order, holding one at a time; it gets the frames a second of the
    scan, and whether it takes key frames alone. ``pictures`` gives those of ascending numbers, one for each, as
    ``frames`` counted them. ``etag`` is the one that a listing made now would give. ``fixes`` are where the car was,
    if it tells; BadTrack says that it cannot be understood. ``sampled``: the frames a second count; of other kinds each
    image is a frame, and a second of footage.
    A kind whose packages are missing raises MissingExtraError.
    """

    look_inside: Callable[[Location, Source], Inside]
    frames: Callable[[Location, Source, float, bool], Iterator[Frame]]
    pictures: Callable[[Location, Sequence[int]], Iterator[Stored]]
    etag: Callable[[Location], str] = file_etag
    fixes: Callable[[Location, Source], Iterable[Fix]] = lambda place, source: ()
    sampled: bool = False


@contextmanager
def open_header(place: Location, source: Source, block: int = _HEADER_BLOCK) -> Iterator[tuple[BinaryIO, Entry]]:
    """A file that is read ``block`` bytes at a time, and what its storage says of it.

    Raises SourceError when it is not what was listed, or empty.
    """
    now = entry("", place.fs.info(place.path))
    if now.etag != source.etag:
        raise SourceError(CHANGED)
    with place.fs.open(place.path, "rb", block_size=block) as file:
        if now.size == 0:
            raise SourceError("the file is empty")
        try:
            yield file, now
        finally:
            add_fetched(file.cache.total_requested_bytes if is_object_store(place.fs) else 0)
