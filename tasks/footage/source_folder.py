"""Folders of images, in the order of their names."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

from schemas.records import Source, TimestampSource
from tasks.errors import SourceError
from tasks.footage.capture_time import is_ahead, time_in_name
from tasks.footage.image_files import folder_etag, image_members
from tasks.footage.images import BadImage, check_size, image_at
from tasks.footage.source_kind import CHANGED, Frame, Inside, SourceKind, Stored
from tasks.names import printable
from tasks.storage import Location, reason
from tasks.storage_errors import is_out_of_reach, storage_errors

_READERS = 4
_AHEAD = 32


def _etag(folder: Location) -> str:
    return folder_etag(image_members(folder))


def _look_inside(folder: Location, source: Source) -> Inside:
    members = image_members(folder)
    if folder_etag(members) != source.etag:
        raise SourceError(CHANGED)
    return Inside(members[0].modified, float(len(members)), first_name=members[0].name)


def _frames(folder: Location, source: Source, fps: float, keyframes: bool) -> Iterator[Frame]:
    # A sidecar or the folder's name says more of the day than when the files were last copied.
    told = source.captured_from is not TimestampSource.MTIME
    found, refused = False, None
    for index, member in enumerate(image_members(folder)):
        named = time_in_name(member.name)
        if named and not is_ahead(named, member.modified):
            moment, origin = named, TimestampSource.FILENAME
        elif told:
            moment, origin = source.captured, source.captured_from
        else:
            moment, origin = member.modified, TimestampSource.MTIME
        image, error = None, None
        try:
            image = image_at(folder.child(member.name), member.size)
        except storage_errors(BadImage) as bad:
            if is_out_of_reach(bad):
                raise
            error = f"{printable(member.name)}: {reason(bad)}"
            refused = bad if isinstance(bad, PermissionError) else refused
        found = found or image is not None
        yield Frame(index, moment, origin, image, error)
    if refused and not found:
        raise refused  # all of it: the folder counts as one that may not be read


def _pictures(folder: Location, indices: Sequence[int]) -> Iterator[Stored]:
    members = image_members(folder)

    def read(index: int) -> Stored:
        if index >= len(members):
            return BadImage(f"the folder has no image {index} any more")
        member = members[index]
        try:
            check_size(member.size)
            return bytes(folder.fs.cat_file(folder.child(member.name).path))
        except (BadImage, FileNotFoundError) as error:
            return BadImage(f"{printable(member.name)}: {reason(error)}")

    with ThreadPoolExecutor(_READERS) as pool:
        for start in range(0, len(indices), _AHEAD):
            yield from pool.map(read, indices[start : start + _AHEAD])


FOLDER = SourceKind(_look_inside, _frames, _pictures, _etag)
