"""Where a car was: as the recorder wrote it into the video, or as public data sets have it beside the video."""

import posixpath
import struct
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import BinaryIO

from schemas.records import Source
from tasks.footage.layouts import comma_fixes
from tasks.footage.mp4_boxes import BadBoxes, data_samples, file_boxes, inner_boxes, read_content, read_sample
from tasks.footage.recorder_gps import Point, blackvue_points, camm_point, gpmf_points, novatek_points
from tasks.footage.source_kind import BadTrack, Fix
from tasks.footage.stored_file import open_stored
from tasks.footage.track_rows import fix_of
from tasks.storage import Location

_SUFFIXES = (".mp4", ".mov", ".m4v", ".360", ".insv", ".3gp")
_BLOCK = 64 * 1024
_NOVATEK_HEAD = 512  # of a block, with all that is read of it
_MOST_BLOCKS = 100_000


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
