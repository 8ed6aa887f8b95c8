"""Where a car was: as the recorder wrote it into the video, or as public data sets have it beside the video.

Recorders write it into boxes of MP4 and QuickTime files, or into samples of tracks that hold data. Both are read
without the pictures.
"""

import posixpath
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import BinaryIO

from schemas.records import Source
from tasks.footage.layouts import comma_fixes
from tasks.footage.recorder_gps import Point, blackvue_points, camm_point, gpmf_points, novatek_points
from tasks.footage.source_kind import BadTrack, Fix
from tasks.footage.stored_file import open_stored
from tasks.footage.track_rows import fix_of
from tasks.storage import Location

_LARGEST_TABLES = 64 * 1024 * 1024
_LARGEST_SAMPLE = 4 * 1024 * 1024
_MOST_SAMPLES = 1_000_000
_MOST_BOXES = 10_000
_SUFFIXES = (".mp4", ".mov", ".m4v", ".360", ".insv", ".3gp")
_BLOCK = 64 * 1024
_NOVATEK_HEAD = 512  # of a block, with all that is read of it
_MOST_BLOCKS = 100_000


class BadBoxes(Exception):
    """The boxes of this file are damaged. One line that says why."""


@dataclass(frozen=True, slots=True)
class Sample:
    """A sample of a track: when it begins and how long it lasts, in seconds, and where it lies in the file."""

    seconds: float
    lasts: float
    place: int
    size: int


def file_boxes(file: BinaryIO, size: int) -> Iterator[tuple[bytes, int, int]]:
    """The kind of each outermost box, and where its content begins and ends. Nothing if the file is not an MP4."""
    at = 0
    for _ in range(_MOST_BOXES):
        if at + 8 > size:
            return
        file.seek(at)
        head = file.read(16)
        if at == 0 and head[4:8] not in (b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide"):
            return
        begin, end = _extent(head, at, size)
        yield head[4:8], begin, min(end, size)
        at = end


def inner_boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """The kind and the content of each box in the content of another."""
    at = 0
    while at + 8 <= len(data):
        begin, end = _extent(data[at : at + 16], at, len(data))
        yield data[at + 4 : at + 8], data[begin:end]
        at = end


def _extent(head: bytes, at: int, most: int) -> tuple[int, int]:
    length = int.from_bytes(head[:4], "big")
    begin = at + 8
    if length == 1 and len(head) == 16:
        length, begin = int.from_bytes(head[8:16], "big"), at + 16
    end = most if length == 0 else at + length
    if end < begin:
        raise BadBoxes("a box that is smaller than its head")
    return begin, end


def read_content(file: BinaryIO, begin: int, end: int) -> bytes:
    """The content of a box. Raises BadBoxes if it is larger than any table of a video."""
    if end - begin > _LARGEST_TABLES:
        raise BadBoxes(f"a box of tables larger than {_LARGEST_TABLES // 2**20} MB")
    file.seek(begin)
    return file.read(end - begin)


def data_samples(movie: bytes, form: bytes) -> Iterator[list[Sample]]:
    """The samples of each track of a form, such as ``gpmd``, in the content of the ``moov`` box."""
    for kind, track in inner_boxes(movie):
        if kind != b"trak":
            continue
        media = _only(track, b"mdia")
        table = _only(_only(media, b"minf"), b"stbl")
        if _only(table, b"stsd")[12:16] == form:
            try:
                yield _samples(_only(media, b"mdhd"), table)
            except struct.error as error:
                raise BadBoxes("the tables of a track break off") from error


def read_sample(file: BinaryIO, sample: Sample) -> bytes:
    """The content of a sample. Empty if it is too large to be a position."""
    if not 0 < sample.size <= _LARGEST_SAMPLE:
        return b""
    file.seek(sample.place)
    return file.read(sample.size)


def _only(data: bytes, kind: bytes) -> bytes:
    return next((content for found, content in inner_boxes(data) if found == kind), b"")


def _samples(header: bytes, table: bytes) -> list[Sample]:
    scale = struct.unpack_from(">I", header, 20 if header[:1] == b"\1" else 12)[0]
    sizes = _sizes(_only(table, b"stsz"))
    places = _places(table, sizes)
    if not scale:
        raise BadBoxes("a track without a clock")
    samples: list[Sample] = []
    clock = 0
    for count, lasts in _pairs(_only(table, b"stts")):
        for _ in range(min(count, len(sizes) - len(samples))):
            number = len(samples)
            if number >= len(places):
                return samples
            samples.append(Sample(clock / scale, lasts / scale, places[number], sizes[number]))
            clock += lasts
    return samples


def _sizes(box: bytes) -> list[int]:
    same, count = struct.unpack_from(">II", box, 4)
    if count > _MOST_SAMPLES:
        raise BadBoxes("more samples than a track has")
    return [same] * count if same else list(struct.unpack_from(f">{count}I", box, 12))


def _places(table: bytes, sizes: list[int]) -> list[int]:
    near, far = _only(table, b"stco"), _only(table, b"co64")
    [count] = struct.unpack_from(">I", far or near, 4)
    if count > _MOST_SAMPLES:
        raise BadBoxes("more chunks than a track has")
    chunks = struct.unpack_from(f">{count}{'Q' if far else 'I'}", far or near, 8)
    box = _only(table, b"stsc")
    [runs] = struct.unpack_from(">I", box, 4)
    firsts = [struct.unpack_from(">II", box, 8 + 12 * run) for run in range(min(runs, _MOST_SAMPLES))]
    places: list[int] = []
    run = -1
    for number, place in enumerate(chunks, 1):
        while run + 1 < len(firsts) and firsts[run + 1][0] <= number:
            run += 1
        for _ in range(firsts[run][1] if run >= 0 else 0):
            if len(places) == len(sizes):
                return places
            places.append(place)
            place += sizes[len(places) - 1]
    return places


def _pairs(box: bytes) -> Iterator[tuple[int, int]]:
    [count] = struct.unpack_from(">I", box, 4)
    return (struct.unpack_from(">II", box, 8 + 8 * number) for number in range(min(count, _MOST_SAMPLES)))


def video_fixes(place: Location, source: Source) -> list[Fix]:
    """The fixes of a video, each at its time since the first frame; empty where it tells none. Of several tracks those
    of the track with most.

    Raises BadTrack where there is a track that is not understood, or what the storage raises.
    """
    if fixes := comma_fixes(place):
        return fixes
    if posixpath.splitext(place.path.lower())[1] not in _SUFFIXES:
        return []
    with open_stored(place, _BLOCK) as file:
        try:
            tracks = list(_tracks(file, source.size))
        except (BadBoxes, struct.error) as error:
            raise BadTrack(f"the tables of the video are damaged: {error}") from error
    points = max(tracks, key=len, default=[])
    fixes = [
        fix
        for point in points
        for fix in fix_of(source.captured + timedelta(seconds=point.seconds), point.latitude, point.longitude)
    ]
    if points and not fixes:
        raise BadTrack("no position in it that can be")
    return fixes


def _tracks(file: BinaryIO, size: int) -> Iterator[list[Point]]:
    for kind, begin, end in list(file_boxes(file, size)):
        if kind == b"moov":
            movie = read_content(file, begin, end)
            yield from (_novatek(file, content, size) for name, content in inner_boxes(movie) if name == b"gps ")
            for form, read in _FORMS.items():
                for samples in data_samples(movie, form):
                    yield [
                        point
                        for sample in samples
                        for point in read(read_sample(file, sample), sample.seconds, sample.lasts)
                    ]
        elif kind == b"free" and end - begin > 8:
            yield from _in_free(file, begin, end)


def _in_free(file: BinaryIO, begin: int, end: int) -> Iterator[list[Point]]:
    """BlackVue stores its boxes inside a ``free`` box, which other readers skip."""
    file.seek(begin)
    if file.read(8)[4:8] in _BLACKVUE:
        yield from (
            blackvue_points(content) for name, content in inner_boxes(read_content(file, begin, end)) if name == b"gps "
        )


def _novatek(file: BinaryIO, listed: bytes, size: int) -> list[Point]:
    """By the list of a ``gps `` box: eight bytes, then the place and the size of each block."""
    places = [
        place for place, length in struct.iter_unpack(">II", listed[8 : len(listed) // 8 * 8]) if place and length
    ]

    def blocks() -> Iterator[bytes]:
        for place in places[:_MOST_BLOCKS]:
            file.seek(min(place, size))
            yield file.read(_NOVATEK_HEAD)

    points, understood = novatek_points(blocks())
    if places and not understood:
        raise BadTrack(f"none of its {len(places)} blocks of GPS is understood")
    return points


def _camm(sample: bytes, seconds: float, lasts: float) -> list[Point]:
    found = camm_point(sample)
    return [Point(seconds, *found)] if found else []


_BLACKVUE = (b"gps ", b"3gf ", b"thum", b"cprt", b"gsen", b"free")
_FORMS: dict[bytes, Callable[[bytes, float, float], list[Point]]] = {b"gpmd": gpmf_points, b"camm": _camm}
