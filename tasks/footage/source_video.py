"""Video files: what their headers tell, by MediaInfo, and their frames, by OpenCV or PyAV from a local file."""

import math
import os
import posixpath
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import BinaryIO

from pymediainfo import MediaInfo

from schemas.records import Source
from tasks.errors import SourceError, UserError
from tasks.footage.capture_time import time_in_header
from tasks.footage.edit_list import shown_seconds
from tasks.footage.source_kind import Frame, Inside, SourceKind, Stored, open_header
from tasks.footage.video import sample_video, video_frames
from tasks.storage import Location, is_full, is_local


def _look_inside(place: Location, source: Source) -> Inside:
    with open_header(place, source) as (file, now):
        return look_into(file, now.modified)


def look_into(file: BinaryIO, modified: datetime) -> Inside:
    """What the header of a video says. Raises SourceError when it is none or has no frames."""
    header = MediaInfo.parse(file, parse_speed=0)
    if not header.video_tracks:
        raise SourceError("no video in it: not a video, or cut off before its header")
    video, general = header.video_tracks[0], header.general_tracks[0]
    milliseconds = float(video.duration or general.duration or 0)
    if milliseconds <= 0:
        raise SourceError("the video has no frames")
    if general.format in ("MPEG-4", "QuickTime"):
        milliseconds = min(milliseconds, 1000 * (shown_seconds(file) or math.inf))
    container_time = time_in_header(general.recorded_date) or time_in_header(general.encoded_date)
    return Inside(modified, milliseconds / 1000, container_time)


def _frames(place: Location, source: Source, fps: float, keyframes: bool) -> Iterator[Frame]:
    sample = sample_video
    if keyframes:
        from tasks.footage.keyframes import sample_key_frames as sample  # PyAV is an extra
    found = False
    with _local_file(place) as path:
        for frame in sample(path, source.footage_seconds, fps):
            found = found or frame.image is not None
            moment = source.captured + timedelta(seconds=frame.seconds)
            yield Frame(frame.index, moment, source.captured_from, frame.image, frame.error)
    if not found:
        raise SourceError("no frame of the video can be decoded")


def _pictures(place: Location, indices: Sequence[int]) -> Iterator[Stored]:
    with _local_file(place) as path:
        yield from video_frames(path, indices)


@contextmanager
def _local_file(place: Location) -> Iterator[str]:
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


VIDEO = SourceKind(_look_inside, _frames, _pictures, sampled=True)
