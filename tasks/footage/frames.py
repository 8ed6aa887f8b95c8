"""Read the frames of a source of any kind: RGB arrays with their times, one by one."""

import os
from collections.abc import Iterator

from schemas.records import Source
from tasks.errors import BadUrlError, DeniedError, SourceError, UserError
from tasks.footage.images import BadImage, Rgb, decode_image, read_image
from tasks.footage.kinds import current_etag, kind_of
from tasks.footage.source_kind import CHANGED, GONE, Frame
from tasks.storage import cannot_read, locate, reason
from tasks.storage_errors import is_denied, is_missing, is_out_of_reach, storage_errors

__all__ = ["Frame", "Rgb", "SourceError", "read_frame", "read_frames", "read_image"]


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
    except BadUrlError as error:
        raise SourceError(str(error)) from error
    try:
        if current_etag(source) != source.etag:
            raise SourceError(CHANGED)
        yield from kind_of(source.uri).frames(place, source, fps, keyframes)
    except storage_errors() as error:
        if is_missing(error):
            raise SourceError(GONE) from error
        if is_denied(error):
            again = "check your access, the next scan tries again"
            raise DeniedError(f"may not be read: {reason(error)}; {again}") from error
        if is_out_of_reach(error):
            raise cannot_read(place, error) from error
        raise SourceError(f"cannot be read: {reason(error)}") from error


def read_frame(uri: str | os.PathLike[str], index: int) -> Rgb:
    """One frame of a source again, by the ``source_uri`` and ``frame_index`` of a row: (H, W, 3) uint8 RGB.

    Args:
        uri: a path or any fsspec URL: a video, a recording, a tar or folder of images.
        index: its number in the source, from 0.

    Raises:
        UserError: it can no longer be read.

    Example:
        >>> import clipomaly
        >>> clipomaly.read_frame("footage/drive-01/clip-01.mp4", 10).shape
        (360, 640, 3)
    """
    uri = os.fspath(uri)
    place = locate(uri)
    try:
        [stored] = kind_of(uri).pictures(place, [index])
        if isinstance(stored, BadImage):
            raise stored
        return decode_image(stored) if isinstance(stored, bytes) else stored
    except storage_errors(BadImage, SourceError) as error:
        raise UserError(f"Frame {index} of {uri} cannot be read any more: {reason(error)}.") from error
