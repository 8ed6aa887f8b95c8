"""Video files: what their headers tell, and their frames, from a local file."""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import BinaryIO

from pymediainfo import MediaInfo

from schemas.records import Source
from tasks.errors import SourceError
from tasks.footage.capture_time import time_in_header
from tasks.footage.layouts import comma_moments
from tasks.footage.remote_video import RemoteVideo, stored_video
from tasks.footage.source_kind import CHANGED, Frame, Inside, SourceKind, Stored, file_etag, open_header
from tasks.footage.video import sample_video, video_frames
from tasks.footage.video_container import camera_streams, open_video
from tasks.footage.video_indexing import read_index, told_seconds
from tasks.footage.video_positions import video_fixes
from tasks.storage import Location

VIDEO_SUFFIXES = (
    ".mp4", ".mov", ".mkv", ".avi", ".m4v", ".ts", ".mts", ".m2ts", ".webm", ".3gp", ".3g2", ".mpg", ".mpeg", ".wmv",
    ".flv", ".h264", ".264", ".h265", ".265", ".hevc", ".360", ".insv",
)  # fmt: skip
"""Of files that FFmpeg decodes."""

PROXY_SUFFIXES = (".lrv", ".lrf")
"""Of the small copies that recorders (GoPro, Insta360, DJI) keep of their videos."""


def _look_inside(place: Location, source: Source) -> Inside:
    with open_header(place, source) as (file, now):
        return look_into(file, now.modified)


def look_into(file: BinaryIO, modified: datetime) -> Inside:
    """What the header of a video says, and where it does not say how long it is, the times of its packets.

    Raises SourceError when it is none or has no frames.
    """
    general = MediaInfo.parse(file, parse_speed=0).general_tracks[0]
    file.seek(0)
    with open_video(file) as container:
        if not camera_streams(container):
            raise SourceError("no video in it")
        lengths = told_seconds(container)
    if not all(lengths):
        file.seek(0)
        lengths = [track.length for track in read_index(file)]
    container_time = time_in_header(general.recorded_date) or time_in_header(general.encoded_date)
    return Inside(modified, sum(lengths), container_time, lasts=max(lengths))


def _frames(place: Location, source: Source, fps: float, keyframes: bool) -> Iterator[Frame]:
    found, moments = False, comma_moments(place)
    with stored_video(place) as video:
        for frame in sample_video(video, fps, keyframes):
            found = found or frame.image is not None
            told = moments[frame.index] if frame.index < len(moments) else None
            moment = told or source.captured + timedelta(seconds=frame.seconds)
            yield Frame(frame.index, moment, source.captured_from, frame.image, frame.error, frame.camera)
        if isinstance(video, RemoteVideo) and file_etag(place) != source.etag:
            raise SourceError(CHANGED)
    if not found:
        raise SourceError("no frame of the video can be decoded")


def _pictures(place: Location, indices: Sequence[int]) -> Iterator[Stored]:
    with stored_video(place) as video:
        yield from video_frames(video, indices)


VIDEO = SourceKind(_look_inside, _frames, _pictures, fixes=video_fixes, sampled=True)
