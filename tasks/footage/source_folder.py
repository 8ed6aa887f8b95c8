"""Folders of images, in the order of their names."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

from schemas.records import Source, TimestampSource
from tasks.addresses import place_in_chain, printable
from tasks.errors import SourceError
from tasks.footage.capture_time import is_ahead, time_in_path
from tasks.footage.image_exif import HEAD, told_by_exif
from tasks.footage.image_files import HEIC_SUFFIXES, folder_etag, image_members
from tasks.footage.images import BadImage, check_size, decode_image
from tasks.footage.layouts import kitti_fixes, told_of_images
from tasks.footage.source_kind import CHANGED, Frame, Inside, SourceKind, Stored, Told
from tasks.storage import Location, in_this_thread, reason
from tasks.storage_errors import is_out_of_reach, storage_errors
from tasks.storage_listing import Entry

_READERS = 4
_AHEAD = 32


def _etag(folder: Location) -> str:
    return folder_etag(image_members(folder))


def _look_inside(folder: Location, source: Source) -> Inside:
    members = image_members(folder)
    if folder_etag(members) != source.etag:
        raise SourceError(CHANGED)
    first = members[0]
    told = told_of_images(folder, [first.name]).get(first.name, Told())
    if told.moment is None:
        told = told_by_exif(_head(folder.child(first.name)))
    return Inside(first.modified, float(len(members)), told.moment, first_name=first.name)


def _head(image: Location) -> bytes:
    try:
        whole = image.path.lower().endswith(HEIC_SUFFIXES)  # it holds EXIF anywhere
        return bytes(image.fs.cat_file(image.path, start=0, end=None if whole else HEAD))
    except storage_errors() as error:
        if is_out_of_reach(error):
            raise
        return b""  # reading the image reports it


def _frames(folder: Location, source: Source, fps: float, keyframes: bool) -> Iterator[Frame]:
    members = image_members(folder)
    layout = told_of_images(folder, [member.name for member in members])
    found, refused = False, None
    for index, member in enumerate(members):
        image, error, told = None, None, layout.get(member.name, Told())
        try:
            check_size(member.size)
            data = folder.fs.cat_file(folder.child(member.name).path)
            told = told.or_else(told_by_exif(data))
            image = decode_image(data)
        except storage_errors(BadImage) as bad:
            if is_out_of_reach(bad):
                raise
            error = f"{printable(member.name)}: {reason(bad)}"
            refused = bad if isinstance(bad, PermissionError) else refused
        moment, origin = _when(source, member, layout.get(member.name, Told()).moment, told.moment)
        found = found or image is not None
        yield Frame(index, moment, origin, image, error, None, told.latitude, told.longitude)
    if refused and not found:
        raise refused  # all of it: the folder counts as one that may not be read


def _when(
    source: Source, member: Entry, by_layout: datetime | None, by_exif: datetime | None
) -> tuple[datetime, TimestampSource]:
    by_camera = (
        (by_layout, TimestampSource.SIDECAR),
        (by_exif, TimestampSource.CONTAINER),
        (time_in_path(f"{place_in_chain(source.uri)}{member.name}"), TimestampSource.FILENAME),
    )
    for moment, origin in by_camera:
        if moment and not is_ahead(moment, member.modified):
            return moment, origin
    # A sidecar or the name of the folder is a better source of the day than when the files were last copied.
    if source.captured_from in (TimestampSource.MTIME, TimestampSource.CONTAINER):
        return member.modified, TimestampSource.MTIME
    return source.captured, source.captured_from


def _pictures(folder: Location, indices: Sequence[int]) -> Iterator[Stored]:
    members = image_members(folder)

    def read(index: int) -> Stored:
        if index >= len(members):
            return BadImage(f"the folder has no image {index} any more")
        member = members[index]
        try:
            check_size(member.size)
            image = in_this_thread(folder).child(member.name)
            return bytes(image.fs.cat_file(image.path))
        except (BadImage, FileNotFoundError) as error:
            return BadImage(f"{printable(member.name)}: {reason(error)}")

    with ThreadPoolExecutor(_READERS) as pool:
        for start in range(0, len(indices), _AHEAD):
            yield from pool.map(read, indices[start : start + _AHEAD])


FOLDER = SourceKind(_look_inside, _frames, _pictures, _etag, lambda folder, source: kitti_fixes(folder))
