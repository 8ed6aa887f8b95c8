"""A kind of archive source, such as videos: a record of functions that ``frames.py`` finds by the name of a source."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import BinaryIO

from schemas.records import Source, TimestampSource
from tasks.errors import SourceError
from tasks.footage.images import BadImage, Rgb
from tasks.footage.stored_file import open_stored
from tasks.storage import Location
from tasks.storage_listing import Entry, entry

# Headers are read in small pieces: the default blocks of 5 MB for object stores would read whole clips.
_HEADER_BLOCK = 256 * 1024

CHANGED = "changed after it was listed; the next scan takes it as it is now"
GONE = "gone since it was listed"


@dataclass(frozen=True, slots=True)
class Inside:
    """Facts from the content of a source. ``modified`` is when its file, or its first image, was written.
    ``container_time`` is the capture time in its header, if there is one. ``first_name`` is the name of its first
    image. ``lasts`` is how many seconds before ``modified`` the recording began, 0 if ``modified`` is the beginning.
    ``note`` says what is not read."""

    modified: datetime
    seconds: float
    container_time: datetime | None = None
    first_name: str = ""
    lasts: float = 0.0
    note: str | None = None


@dataclass(frozen=True, slots=True)
class Frame:
    """One sampled frame.

    ``index`` is its number in the video, or among the images of the source, from 0. ``timestamp`` is in UTC. ``camera``
    is its topic in a recording. ``image`` is (H, W, 3) uint8 RGB, upright, or None if it could not be read; then
    ``error`` says why. ``latitude`` and ``longitude`` are in degrees, if the image itself holds them.
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
    """When (UTC) and where (degrees, WGS 84) an image was taken, as far as it is known."""

    moment: datetime | None = None
    latitude: float | None = None
    longitude: float | None = None

    def or_else(self, other: "Told") -> "Told":
        """With missing values taken from another."""
        place = self if self.latitude is not None else other
        return Told(self.moment or other.moment, place.latitude, place.longitude)


@dataclass(frozen=True, slots=True, order=True)
class Fix:
    """The position of the car at a moment (UTC), in degrees, WGS 84."""

    moment: datetime
    latitude: float
    longitude: float


class BadTrack(Exception):
    """This track cannot be understood. The message is one line that says why."""


Stored = bytes | Rgb | BadImage
"""A picture as its source holds it: the bytes of an image file, else (H, W, 3) uint8 RGB, or why it cannot be read."""


def file_etag(file: Location) -> str:
    """The current etag of a file, as a listing would give it."""
    return entry("", file.fs.info(file.path)).etag


@dataclass(frozen=True, slots=True)
class SourceKind:
    """How sources of a kind are read. The functions raise SourceError for a source that cannot be read, and pass on
    errors of the storage.

    ``look_inside`` only reads headers. It also raises SourceError if the source changed after it was listed
    (``open_header`` does this). ``frames`` yields the frames in order, one in memory at a time; it gets the frames a
    second of the scan, and whether only key frames are taken. ``pictures`` yields the pictures with the given ascending
    numbers, as ``frames`` counts them. ``etag`` is the current etag, as a listing would give it. ``fixes`` are the
    positions of the car, if the source holds any; it raises BadTrack if they cannot be understood. ``sampled`` kinds
    are sampled at the frames a second of the scan; of other kinds each image is a frame, and counts as a second of
    footage. A kind whose packages are missing raises MissingExtraError.
    """

    look_inside: Callable[[Location, Source], Inside]
    frames: Callable[[Location, Source, float, bool], Iterator[Frame]]
    pictures: Callable[[Location, Sequence[int]], Iterator[Stored]]
    etag: Callable[[Location], str] = file_etag
    fixes: Callable[[Location, Source], Iterable[Fix]] = lambda place, source: ()
    sampled: bool = False


@contextmanager
def open_header(place: Location, source: Source, block: int = _HEADER_BLOCK) -> Iterator[tuple[BinaryIO, Entry]]:
    """A file that is read ``block`` bytes at a time, and its entry in the storage.

    Raises SourceError if it changed after it was listed, or is empty.
    """
    now = entry("", place.fs.info(place.path))
    if now.etag != source.etag:
        raise SourceError(CHANGED)
    with open_stored(place, block) as file:
        if now.size == 0:
            raise SourceError("the file is empty")
        yield file, now
