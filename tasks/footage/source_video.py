"""Video files: facts from their headers, and their frames."""

import re
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
    ".flv", ".h264", ".264", ".h265", ".265", ".hevc", ".360", ".insv", ".mp4v", ".f4v", ".qt", ".3gpp", ".mk3d",
    ".divx", ".asf", ".ogv", ".m2t", ".trp", ".tod", ".mod", ".vob", ".mpe", ".m2v", ".m1v", ".mxf", ".dav", ".dv",
    ".mjpeg", ".mjpg", ".ivf", ".obu", ".nut", ".y4m",
)  # fmt: skip
"""Of files that FFmpeg decodes."""

# MediaInfo opens the addresses in playlists (HLS, DASH). FFmpeg refuses them, but for what looks like video further on.
_PLAYLIST = re.compile(rb"[\xef\xbb\xbf\xff\xfe\s\0]*[#<]\0?[?!\w]")
_HEAD = 64
# What MediaInfo calls it: as it says, of iPhones after FFmpeg, when it was encoded, and of cameras that write AVI.
_RECORDED = ("recorded_date", "comapplequicktimecreationdate", "encoded_date", "mastered_date")


def _look_inside(place: Location, source: Source) -> Inside:
    with open_header(place, source) as (file, now):
        return look_into(file, now.modified)


def look_into(file: BinaryIO, modified: datetime) -> Inside:
    """What the header of a video says, and where it does not say how long it is, the times of its packets.

    Raises SourceError if it is not a video or has no frames.
    """
    with open_video(file) as container:
        if not camera_streams(container):
            raise SourceError("no video in it")
        lengths = told_seconds(container)
    if not all(lengths):
        file.seek(0)
        lengths = [track.length for track in read_index(file)]
    return Inside(modified, sum(lengths), _container_time(file), lasts=max(lengths))


def _container_time(file: BinaryIO) -> datetime | None:
    """When the header of a video says that it was recorded."""
    file.seek(0)
    if _PLAYLIST.match(file.read(_HEAD)):
        return None
    file.seek(0)
    general = MediaInfo.parse(file, parse_speed=0).general_tracks[0]
    told = (time_in_header(getattr(general, name)) for name in _RECORDED)
    return next((moment for moment in told if moment), None)


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
