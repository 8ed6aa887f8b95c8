"""Frames of a video file at regular times, and by their numbers."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from tasks.errors import SourceError
from tasks.footage.accelerated import decode
from tasks.footage.images import BadImage, Rgb
from tasks.footage.video_container import Video
from tasks.footage.video_decoder import counted_key_frames, decode_frames
from tasks.footage.video_index import VideoTrack
from tasks.footage.video_indexing import read_index

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
    if not keyframes:
        return decode(video, track, track.shown_at(fps).tolist())
    keys = counted_key_frames(video, track) if track.counted else track.key_frames
    if not len(keys):
        raise SourceError("the video has no key frames")
    return decode(video, track, track.shown_at(fps, keys).tolist())


def _first_numbers(tracks: Sequence[VideoTrack]) -> list[int]:
    """Which number the first frame of each track has."""
    return [0, *np.cumsum([len(track) for track in tracks[:-1]]).tolist()]
