"""Frames of a source: video, recording, tar of images or folder of images → RGB arrays with their times, one by one."""

import os
import posixpath
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice

from schemas.records import Source, SourceKind, TimestampSource
from tasks.capture_time import is_ahead, time_in_name
from tasks.errors import DeniedError, MissingExtraError, SourceError, UserError
from tasks.files import current_etag, image_members, is_image, kind_of
from tasks.images import BadImage, Rgb, check_size, decode_image, image_at, read_image
from tasks.opening import CHANGED, GONE, has_recordings
from tasks.storage import (
    STORAGE_ERRORS,
    Location,
    cannot_read,
    is_full,
    is_local,
    is_out_of_reach,
    locate,
    reason,
)
from tasks.video import sample_video, video_frame

__all__ = ["Frame", "Rgb", "SourceError", "read_frame", "read_frames", "read_image"]


@dataclass(frozen=True, slots=True)
class Frame:
    """One sampled frame.

    ``index`` is its number in the video, from 0 (images: among the images of the source); ``timestamp`` in UTC;
    ``camera`` is its topic in a recording; ``image`` is (H, W, 3) uint8 RGB, upright, or None where it could not
    be read, and then ``error`` says why.
    """

    index: int
    timestamp: datetime
    timestamp_source: TimestampSource
    image: Rgb | None
    error: str | None = None
    camera: str | None = None


def read_frames(source: Source, fps: float, keyframes: bool = False) -> Iterator[Frame]:
    """Yield the frames of a source in order, holding one at a time.

    A video is sampled at t = 0, 1/fps, … below its duration (seconds on the container's clock): the frame
    shown at t is the last whose presentation time is not after t; one shown at several t comes once. With
    ``keyframes`` the same holds of its key frames alone. Each camera of a recording is sampled so, by the times of
    its pictures. Of images each is a frame. A frame that should be there
    and cannot be read comes with ``error``.

    Raises SourceError at the start when the source cannot be read at all or is not what was listed
    (DeniedError when it may not be read), or later when what follows is lost; UserError when the storage itself
    is out of reach or the disk full, which is no fault of the source.
    """
    if source.error:
        raise SourceError(source.error)
    try:
        place = locate(source.uri)
    except UserError as error:
        raise SourceError(str(error)) from error
    try:
        if current_etag(source) != source.etag:
            raise SourceError(CHANGED)
        match source.kind:
            case SourceKind.VIDEO:
                yield from _video_frames(place, source, fps, keyframes)
            case SourceKind.RECORDING:
                yield from _recorded_frames(place, source, fps)
            case SourceKind.TAR:
                yield from _tar_frames(place, source)
            case SourceKind.IMAGES:
                yield from _folder_frames(place, source)
    except FileNotFoundError as error:
        raise SourceError(GONE) from error
    except PermissionError as error:
        raise DeniedError(f"may not be read: {reason(error)}; check your access, the next scan tries again") from error
    except STORAGE_ERRORS as error:
        if is_out_of_reach(error):
            raise cannot_read(place, error) from error
        raise SourceError(f"cannot be read: {reason(error)}") from error


def read_frame(uri: str, index: int) -> Rgb:
    """One frame of a source again, by the ``source_uri`` and ``frame_index`` of a row: (H, W, 3) uint8 RGB.

    Raises UserError when it can no longer be read.
    """
    place = locate(uri)
    try:
        match kind_of(uri):
            case SourceKind.IMAGES:
                member = image_members(place)[index]
                return image_at(place.child(member.name), member.size)
            case SourceKind.TAR:
                return _tar_image(place, index)
            case SourceKind.RECORDING:
                return _recorded_image(place, index)
            case _:
                with local_file(place) as path:
                    return video_frame(path, index)
    except (*STORAGE_ERRORS, tarfile.TarError, IndexError, BadImage, SourceError) as error:
        raise UserError(f"Frame {index} of {uri} cannot be read any more: {reason(error)}.") from error


def _video_frames(place: Location, source: Source, fps: float, keyframes: bool) -> Iterator[Frame]:
    sample = sample_video
    if keyframes:
        from tasks.keyframes import sample_key_frames as sample  # PyAV is an extra
    found = False
    with local_file(place) as path:
        for frame in sample(path, source.footage_seconds, fps):
            found = found or frame.image is not None
            moment = source.captured + timedelta(seconds=frame.seconds)
            yield Frame(frame.index, moment, source.captured_from, frame.image, frame.error)
    if not found:
        raise SourceError("no frame of the video can be decoded")


def _recorded_frames(place: Location, source: Source, fps: float) -> Iterator[Frame]:
    require_recordings()
    from tasks.recording import sample_recording

    with place.fs.open(place.path, "rb") as file:
        for frame in sample_recording(file, source.size, fps):
            moment = source.captured + frame.after
            yield Frame(frame.index, moment, source.captured_from, frame.image, frame.error, frame.camera)


def _recorded_image(place: Location, index: int) -> Rgb:
    require_recordings()
    from tasks.recording import recorded_pictures

    with place.fs.open(place.path, "rb") as file:
        for _, picture in recorded_pictures(file, int(place.fs.info(place.path)["size"]), {index}):
            if picture:
                return picture.image()
    raise SourceError(f"the recording has no picture {index}")


def require_recordings() -> None:
    """Raise MissingExtraError, which says what to install, where recordings cannot be read."""
    if not has_recordings():
        raise MissingExtraError("recordings need more packages: pip install 'clipomaly[mcap]', and scan again")


@contextmanager
def local_file(place: Location) -> Iterator[str]:
    """The path of a local file, or of a copy that is gone afterwards."""
    if is_local(place.fs):
        place.fs.open(place.path, "rb").close()  # decoders do not say why a file cannot be opened
        yield place.path
        return
    with tempfile.TemporaryDirectory(prefix="clipomaly-") as folder:
        copy = os.path.join(folder, f"video{posixpath.splitext(place.path)[1]}")
        try:
            place.fs.get_file(place.path, copy)
        except OSError as error:
            if is_full(error):
                raise UserError(
                    f"No space left in {tempfile.gettempdir()} for a copy of {place.url}. "
                    "Free some, or set TMPDIR to another disk."
                ) from error
            raise
        yield copy


def _folder_frames(place: Location, source: Source) -> Iterator[Frame]:
    # A sidecar or the folder's name says more of the day than when the files were last copied.
    told = source.captured_from is not TimestampSource.MTIME
    found, refused = False, None
    for index, member in enumerate(image_members(place)):
        named = time_in_name(member.name)
        if named and not is_ahead(named, member.modified):
            moment, origin = named, TimestampSource.FILENAME
        elif told:
            moment, origin = source.captured, source.captured_from
        else:
            moment, origin = member.modified, TimestampSource.MTIME
        image, error = None, None
        try:
            image = image_at(place.child(member.name), member.size)
        except (BadImage, *STORAGE_ERRORS) as bad:
            if is_out_of_reach(bad):
                raise
            error = f"{member.name}: {reason(bad)}"
            refused = bad if isinstance(bad, PermissionError) else refused
        found = found or image is not None
        yield Frame(index, moment, origin, image, error)
    if refused and not found:
        raise refused  # all of it: the folder counts as one that may not be read


def _tar_frames(place: Location, source: Source) -> Iterator[Frame]:
    index = 0
    with place.fs.open(place.path, "rb") as file:
        try:
            with tarfile.open(fileobj=file, mode="r:") as tar:
                for member in tar:
                    if member.isreg() and is_image(member.name):
                        yield _tar_frame(tar, member, index, source)
                        index += 1
                end = tar.offset
            # tarfile takes a damaged header for the end; the true end is marked by a block of zeros.
            file.seek(end)
            block = file.read(tarfile.BLOCKSIZE)
        except tarfile.TarError as error:
            raise SourceError(f"the tar is cut off or damaged after {index} images") from error
    if len(block) < tarfile.BLOCKSIZE or block.strip(b"\0"):
        raise SourceError(f"the tar is cut off or damaged after {index} images")


def _tar_frame(tar: tarfile.TarFile, member: tarfile.TarInfo, index: int, source: Source) -> Frame:
    named = time_in_name(posixpath.basename(member.name))
    moment = named or source.captured
    origin = TimestampSource.FILENAME if named else source.captured_from
    try:
        image = _read_member(tar, member)
    except (BadImage, tarfile.TarError) as bad:
        return Frame(index, moment, origin, None, f"{member.name}: {reason(bad)}")
    return Frame(index, moment, origin, image)


def _tar_image(place: Location, index: int) -> Rgb:
    with place.fs.open(place.path, "rb") as file, tarfile.open(fileobj=file, mode="r:") as tar:
        images = (member for member in tar if member.isreg() and is_image(member.name))
        member = next(islice(images, index, None), None)
        if member is None:
            raise SourceError(f"the tar has no image {index}")
        return _read_member(tar, member)


def _read_member(tar: tarfile.TarFile, member: tarfile.TarInfo) -> Rgb:
    check_size(member.size)
    content = tar.extractfile(member)
    assert content is not None  # only for members that are not regular files
    return decode_image(content.read())
