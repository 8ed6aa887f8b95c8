"""Tars of images, packed or not, in the order of the tar."""

import lzma
import tarfile
import zlib
from collections.abc import Iterator, Sequence
from typing import Any

import zstandard

from schemas.records import Source, TimestampSource
from tasks.addresses import printable
from tasks.errors import SourceError
from tasks.footage.capture_time import time_in_path
from tasks.footage.image_exif import told_by_exif
from tasks.footage.image_files import is_image, is_left_by_systems
from tasks.footage.images import BadImage, check_size, decode_image
from tasks.footage.source_kind import Frame, Inside, SourceKind, Stored, Told, open_header
from tasks.footage.source_video import VIDEO_SUFFIXES
from tasks.footage.stored_file import open_stored
from tasks.footage.unpacking import unpacked
from tasks.storage import Location, reason

TAR_SUFFIXES = (
    ".tar",
    ".tar.gz",
    ".tgz",
    ".tar.bz2",
    ".tbz2",
    ".tar.xz",
    ".txz",
    ".tar.zst",
    ".tzst",
    ".tar.lzma",
    ".tlz",
)

# What a member raises that is not whole, or a link to none: KeyError, RecursionError for links in a circle.
_NOT_READ = (tarfile.TarError, KeyError, RecursionError, EOFError, zlib.error, lzma.LZMAError, zstandard.ZstdError)
_ZEROS = 1024 * 1024


def _members(file: Any, videos: list[str] | None = None) -> Iterator[tuple[tarfile.TarFile, tarfile.TarInfo]]:
    """The images in a tar, and in those that were written behind it; names of videos come into ``videos``. Raises
    SourceError where one breaks off."""
    start: int | None = 0
    count = 0
    while start is not None:
        file.seek(start)
        try:
            with tarfile.open(fileobj=file, mode="r:") as tar:
                for member in tar:
                    wanted = is_image(member.name) and not is_left_by_systems(member.name)
                    if wanted and (member.isreg() or member.islnk() or member.issym()):
                        yield tar, member
                        count += 1
                    elif videos is not None and member.name.lower().endswith(VIDEO_SUFFIXES):
                        videos.append(member.name)
                end = tar.offset
            if start and end == start:
                return  # what lies behind the end is no tar
            # tarfile takes a damaged header for the end; the true end is marked by a block of zeros.
            file.seek(end)
            block = file.read(tarfile.BLOCKSIZE)
        except _NOT_READ as error:
            if start:
                return  # what lies behind the end is no tar
            what = (
                f"the tar is cut off or damaged after {count} images"
                if count
                else f"not a tar of images: {reason(error)}"
            )
            raise SourceError(what) from error
        if len(block) < tarfile.BLOCKSIZE or block.strip(b"\0"):
            raise SourceError(f"the tar is cut off or damaged after {count} images")
        start = _next_archive(file, end)


def _next_archive(file: Any, start: int) -> int | None:
    """Where the next tar begins, behind zeros; None at the end of the file."""
    file.seek(start)
    while data := file.read(_ZEROS):
        if data.strip(b"\0"):
            zeros = len(data) - len(data.lstrip(b"\0"))
            return int(start + zeros // tarfile.BLOCKSIZE * tarfile.BLOCKSIZE)
        start += len(data)
    return None


def _look_inside(place: Location, source: Source) -> Inside:
    names: list[str] = []
    videos: list[str] = []
    notes: list[str] = []
    told = Told()
    with open_header(place, source) as (file, now), unpacked(file, notes) as content:
        try:
            for tar, member in _members(content, videos):
                if not names:
                    told = _told(tar, member)
                names.append(member.name)
        except SourceError:
            if not names:
                raise
    unread = f"{len(videos)} videos in the tar, which are scanned as tar://::{place.url}" if videos else None
    if not names:
        raise SourceError(f"no images in the tar, but {unread}" if unread else "no images in the tar")
    notes += [f"not read: {unread}"] if unread else []
    return Inside(now.modified, float(len(names)), told.moment, first_name=names[0], note="; ".join(notes) or None)


def _told(tar: tarfile.TarFile, member: tarfile.TarInfo) -> Told:
    try:
        return told_by_exif(_read(tar, member))
    except (BadImage, *_NOT_READ):  # reading the image reports it
        return Told()


def _frames(place: Location, source: Source, fps: float, keyframes: bool) -> Iterator[Frame]:
    with open_stored(place) as file, unpacked(file, []) as content:
        for index, (tar, member) in enumerate(_members(content)):
            yield _frame(tar, member, index, source)


def _frame(tar: tarfile.TarFile, member: tarfile.TarInfo, index: int, source: Source) -> Frame:
    told, error = Told(), None
    try:
        data = _read(tar, member)
        told = told_by_exif(data)
        image = decode_image(data)
    except (BadImage, *_NOT_READ) as bad:
        image, error = None, f"{printable(member.name)}: {reason(bad)}"
    moment, origin = source.captured, source.captured_from
    if told.moment:
        moment, origin = told.moment, TimestampSource.CONTAINER
    elif named := time_in_path(member.name):
        moment, origin = named, TimestampSource.FILENAME
    return Frame(index, moment, origin, image, error, None, told.latitude, told.longitude)


def _pictures(place: Location, indices: Sequence[int]) -> Iterator[Stored]:
    with open_stored(place) as file, unpacked(file, []) as content:
        images = enumerate(_members(content))
        for index in indices:
            found = next((found for number, found in images if number == index), None)
            try:
                yield _read(*found) if found else BadImage(f"the tar has no image {index} any more")
            except (BadImage, *_NOT_READ) as bad:
                yield BadImage(reason(bad))


def _read(tar: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    check_size(member.size)
    try:
        content = tar.extractfile(member)
    except KeyError as error:
        raise BadImage(f"a link to {printable(member.linkname)}, which is not in the tar") from error
    if content is None:
        raise BadImage("a link to something that is no file")
    data = content.read()
    check_size(len(data))
    return data


TAR = SourceKind(_look_inside, _frames, _pictures)
