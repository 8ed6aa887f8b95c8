"""Containers of video, opened by FFmpeg (PyAV), and their packets as far as they can be read."""

from collections.abc import Iterator
from typing import Any, BinaryIO

import av
from av.stream import Disposition

from tasks.errors import SourceError
from tasks.footage.remote_video import RemoteVideo

NOT_OPENED = "cannot be opened as a video: damaged, or of an unknown format"

# Playlists, scripts and session descriptions make FFmpeg open other files and addresses, whatever a file is called.
_FORMATS = (
    "mov,matroska,avi,mpegts,mpeg,mpegvideo,m4v,h264,hevc,vvc,av1,obu,ivf,asf,flv,live_flv,ogg,mxf,dv,dhav,nut,"
    "yuv4mpegpipe,mjpeg,mpjpeg,vc1,wtv,rm,gif,apng"
)
_ONLY_FOOTAGE = {"format_whitelist": _FORMATS, "protocol_whitelist": "file"}
# In a row: behind a damaged packet more may follow.
_MOST_DAMAGED_PACKETS = 1000


Video = str | BinaryIO | RemoteVideo
"""A path, a file at its beginning, or parts of a file in a store."""


def open_video(video: Video) -> Any:
    """A container, to be used in ``with``. Raises SourceError if the file is not a video."""
    try:
        file = video.reader() if isinstance(video, RemoteVideo) else video
        return av.open(file, metadata_errors="replace", container_options=_ONLY_FOOTAGE)
    except (av.FFmpegError, UnicodeError) as error:
        if isinstance(error, FileNotFoundError | PermissionError):
            raise
        raise SourceError(NOT_OPENED) from error


def camera_streams(container: Any) -> list[Any]:
    """The video streams, without cover art."""
    cover = Disposition.attached_pic | Disposition.timed_thumbnails
    return [stream for stream in container.streams.video if not stream.disposition & cover]


def whole_packets(container: Any, *streams: Any) -> Iterator[Any]:
    """Every packet with content, of these streams or of all, in the order of the file; damaged ones are left out."""
    damaged = 0
    while damaged < _MOST_DAMAGED_PACKETS:
        try:
            for packet in container.demux(*streams):
                damaged = 0
                if packet.size:
                    yield packet
            return
        except av.FFmpegError:
            damaged += 1


def decode(codec: Any, packet: Any | None) -> list[Any]:
    """The frames that a decoder gives for a packet, none where that is damaged; for None those that it still holds."""
    try:
        return list(codec.decode(packet))
    except av.FFmpegError:
        return []
