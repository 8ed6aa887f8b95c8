"""Tars of images, in the order of the tar."""

import posixpath
import tarfile
from collections.abc import Iterator, Sequence

from schemas.records import Source, TimestampSource
from tasks.errors import SourceError
from tasks.footage.capture_time import time_in_name
from tasks.footage.image_files import is_image
from tasks.footage.images import BadImage, check_size, decode_image
from tasks.footage.source_kind import Frame, Inside, SourceKind, Stored, open_header
from tasks.storage import Location, reason


def _look_inside(place: Location, source: Source) -> Inside:
    names: list[str] = []
    with open_header(place, source) as (file, now):
        try:
            with tarfile.open(fileobj=file, mode="r:") as tar:
                names.extend(member.name for member in _images(tar))
        except tarfile.TarError as error:
            if not names:
                raise SourceError(f"not a tar of images: {reason(error)}") from error
    if not names:
        raise SourceError("no images in the tar")
    return Inside(now.modified, float(len(names)), first_name=names[0])


def _frames(place: Location, source: Source, fps: float, keyframes: bool) -> Iterator[Frame]:
    index = 0
    with place.fs.open(place.path, "rb") as file:
        try:
            with tarfile.open(fileobj=file, mode="r:") as tar:
                for member in _images(tar):
                    yield _frame(tar, member, index, source)
                    index += 1
                end = tar.offset
            # tarfile takes a damaged header for the end; the true end is marked by a block of zeros.
            file.seek(end)
            block = file.read(tarfile.BLOCKSIZE)
        except tarfile.TarError as error:
            raise SourceError(f"the tar is cut off or damaged after {index} images") from error
    if len(block) < tarfile.BLOCKSIZE or block.strip(b"\0"):
        raise SourceError(f"the tar is cut off or damaged after {index} images")


def _frame(tar: tarfile.TarFile, member: tarfile.TarInfo, index: int, source: Source) -> Frame:
    named = time_in_name(posixpath.basename(member.name))
    moment = named or source.captured
    origin = TimestampSource.FILENAME if named else source.captured_from
    try:
        image = decode_image(_read(tar, member))
    except (BadImage, tarfile.TarError) as bad:
        return Frame(index, moment, origin, None, f"{member.name}: {reason(bad)}")
    return Frame(index, moment, origin, image)


def _pictures(place: Location, indices: Sequence[int]) -> Iterator[Stored]:
    with place.fs.open(place.path, "rb") as file:
        try:
            with tarfile.open(fileobj=file, mode="r:") as tar:
                images = enumerate(_images(tar))
                for index in indices:
                    member = next((member for number, member in images if number == index), None)
                    try:
                        yield _read(tar, member) if member else BadImage(f"the tar has no image {index} any more")
                    except BadImage as bad:
                        yield bad
        except tarfile.TarError as error:
            raise SourceError(reason(error)) from error


def _images(tar: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
    return (member for member in tar if member.isreg() and is_image(member.name))


def _read(tar: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    check_size(member.size)
    content = tar.extractfile(member)
    assert content is not None  # only for members that are not regular files
    return content.read()


TAR = SourceKind(_look_inside, _frames, _pictures)
