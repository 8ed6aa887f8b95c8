"""Video files: facts from their headers, and their frames."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import BinaryIO

import numpy as np
from pymediainfo import MediaInfo

from schemas.records import Source
from tasks.errors import SourceError
from tasks.footage.capture_time import time_in_header
from tasks.footage.images import BadImage, Rgb
from tasks.footage.layouts import comma_moments
from tasks.footage.source_kind import CHANGED, Frame, Inside, SourceKind, Stored, file_etag, open_header
from tasks.footage.video_decoder import chosen_decoder, counted_key_frames, decode_frames
from tasks.footage.video_file import RemoteVideo, Video, camera_streams, open_video, stored_video
from tasks.footage.video_index import VideoTrack, read_index, told_seconds
from tasks.footage.video_positions import video_fixes
from tasks.storage import Location

_LOST = "cannot be decoded"
_MISSING = "missing: the video ends before it"


@dataclass(frozen=True, slots=True)
class VideoFrame:
    """One sampled frame: its number in the file from 0, its presentation time in seconds from the first frame,
    and the (H, W, 3) uint8 RGB image, or None with the reason why there is none. ``camera`` is that of its track,
    None where the file has one."""

    index: int
    seconds: float
    image: Rgb | None
    error: str | None = None
    camera: str | None = None


def sample_video(video: Video, fps: float, keyframes: bool = False) -> Iterator[VideoFrame]:
    """Yield the frames that are on screen at t = 0, 1/fps, … below the length of the video.

    On screen at t is the last frame whose presentation time is not after t; one on screen at several t comes
    once. With ``keyframes`` the same holds of the key frames alone. A frame that cannot be decoded, and each t behind
    the end of a video that is cut off, comes without image. Frames are upright.

    Tracks come one after the other, each sampled from its own first frame. The frames of a further track are numbered
    on from those before.

    Raises SourceError when it cannot be opened as a video or has no frames, and at the end where one of its
    tracks cannot be decoded.
    """
    tracks = read_index(video)
    for track, first in zip(tracks, _first_numbers(tracks), strict=True):
        if track.error:
            continue
        for number, image in _sampled(video, track, fps, keyframes):
            error = None if image is not None else _LOST
            yield VideoFrame(first + number, track.start + float(track.seconds[number]), image, error, track.camera)
        for number, seconds in track.missing_at(fps):
            yield VideoFrame(first + number, track.start + seconds, None, _MISSING, track.camera)
    errors = [f"{track.camera}: {track.error}" if track.camera else track.error for track in tracks if track.error]
    if errors:
        raise SourceError(errors[0])


def video_frames(video: Video, indices: Sequence[int]) -> Iterator[Rgb | BadImage]:
    """The frames of these ascending numbers, (H, W, 3) uint8 RGB or why there is none.

    Raises SourceError when the video cannot be opened.
    """
    tracks = read_index(video)
    firsts = _first_numbers(tracks)
    belongs = np.searchsorted(firsts, indices, "right") - 1
    for which, (track, first) in enumerate(zip(tracks, firsts, strict=True)):
        numbers = [index - first for index, of in zip(indices, belongs, strict=True) if of == which]
        there = [number for number in numbers if 0 <= number < len(track) and not track.error]
        images = decode_frames(video, track, there)
        for number in numbers:
            image = next(images)[1] if number in there else None
            why = "it cannot be decoded any more" if number in there else "the video does not show it any more"
            yield BadImage(why) if image is None else image


def _sampled(video: Video, track: VideoTrack, fps: float, keyframes: bool) -> Iterator[tuple[int, Rgb | None]]:
    decode = chosen_decoder.get() or decode_frames
    if not keyframes:
        return decode(video, track, track.shown_at(fps).tolist())
    keys = counted_key_frames(video, track) if track.counted else track.key_frames
    if not len(keys):
        raise SourceError("the video has no key frames")
    return decode(video, track, track.shown_at(fps, keys).tolist())


def _first_numbers(tracks: Sequence[VideoTrack]) -> list[int]:
    """Which number the first frame of each track has."""
    return [0, *np.cumsum([len(track) for track in tracks[:-1]]).tolist()]


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
