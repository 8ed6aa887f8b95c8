"""A video, opened by FFmpeg (PyAV): a local file, or one in an object store.

Of the latter, the parts that are needed are fetched in ranges, or all of it is copied.
"""

import io
import os
import posixpath
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, BinaryIO, TypeAlias

import av
from av.stream import Disposition

from tasks.errors import SourceError
from tasks.footage.stored_file import add_fetched, copy_to
from tasks.storage import Location, is_local, is_object_store
from tasks.temporary import temporary_folder

Span = tuple[int, int]
"""Bytes of a file: the first, and the one behind the last."""

GAP = 256 * 1024
"""A gap of so many bytes is read through; a longer one is jumped over."""

_REQUEST = 1024 * 1024  # bytes that come in about the time that a request waits for its answer
_BLOCK = 256 * 1024  # what is read outside of the plan
_BLOCKS = 32
_AHEAD = 8 * 1024 * 1024  # of the plan, fetched at once
_SMALL = 4 * 1024 * 1024  # copied without looking
_LARGEST_INDEX = 64 * 1024 * 1024
_MOST_BOXES = 64
_BOX = 16  # bytes of its longest header
NOT_OPENED = "cannot be opened as a video: damaged, or of an unknown format"

# Playlists, scripts and session descriptions make FFmpeg open other files and addresses, whatever a file is called.
_FORMATS = (
    "mov,matroska,avi,mpegts,mpeg,mpegvideo,m4v,h264,hevc,vvc,av1,obu,ivf,asf,flv,live_flv,ogg,mxf,dv,dhav,nut,"
    "yuv4mpegpipe,mjpeg,mpjpeg,vc1,wtv,rm,gif,apng"
)
_ONLY_FOOTAGE = {"format_whitelist": _FORMATS, "protocol_whitelist": "file"}
# In a row: behind a damaged packet more may follow.
_MOST_DAMAGED_PACKETS = 1000


Video: TypeAlias = "str | BinaryIO | RemoteVideo"
"""A path, a file at its beginning, or parts of a file in a store."""


@dataclass(frozen=True, slots=True)
class _Box:
    """A part of an MP4 at its top: what kind it is, and where it, its content and the next part begin."""

    kind: bytes
    start: int
    content: int
    end: int


@contextmanager
def stored_video(place: Location) -> Iterator["str | RemoteVideo"]:
    """A video for a decoder: the path of a local file, or of a copy that is gone afterwards, or ranges of a store."""
    if is_local(place.fs):
        place.fs.open(place.path, "rb").close()  # decoders do not say why a file cannot be opened
        yield place.path
        return
    with temporary_folder() as folder:
        copy = os.path.join(folder, f"video{posixpath.splitext(place.path)[1]}")
        remote = _with_ranges(place, copy)
        if remote is None:
            copy_to(place, copy)
            yield copy
            return
        try:
            yield remote
        finally:
            remote.close()


class RemoteVideo:
    """An MP4 in a store. ``reader`` gives independent files over it; nothing is fetched twice while it is held."""

    def __init__(self, place: Location, file: BinaryIO, size: int, boxes: Sequence["_Box"], copy: str) -> None:
        self._place, self._file, self._size, self._copy_path = place, file, size, copy
        self._payload = [(box.content, box.end) for box in boxes if box.kind == b"mdat"]
        self._payload_left_out = False
        self._copy: int | None = None  # its file descriptor
        self._blocks: OrderedDict[int, bytes] = OrderedDict()
        self._plan: list[Span] = []
        self._held: dict[int, bytes] = {}
        [index] = [box for box in boxes if box.kind == b"moov"]
        self._index = (index.start, _read_at(file, index.start, index.end))

    @property
    def copied(self) -> bool:
        """Whether all of it was copied."""
        return self._copy is not None

    def reader(self) -> "_Reader":
        """A file at its beginning."""
        return _Reader(self)

    def close(self) -> None:
        """Let go of the connection, and of the copy."""
        self._file.close()
        if self._copy is not None:
            os.close(self._copy)

    @contextmanager
    def payload_left_out(self) -> Iterator[None]:
        """Meanwhile nothing is fetched of the pictures themselves, which read as zeros: for an index."""
        self._payload_left_out = True
        try:
            yield
        finally:
            self._payload_left_out = False

    def plan(self, spans: Sequence[Span]) -> None:
        """Say what will be read, in order.

        Where these bytes, and 1 MiB for each request, come to half of the file, all of it is copied.
        """
        merged: list[Span] = []
        for first, behind in sorted(spans):
            if merged and first - merged[-1][1] <= GAP:
                merged[-1] = (merged[-1][0], max(behind, merged[-1][1]))
            else:
                merged.append((first, behind))
        if 2 * sum(behind - first + _REQUEST for first, behind in merged) >= self._size:
            self.copy()
        self._held = {}
        self._plan = [
            (start, min(start + _AHEAD, behind)) for first, behind in merged for start in range(first, behind, _AHEAD)
        ]

    def copy(self) -> str:
        """Fetch all of it, once: the path of the copy."""
        if self._copy is None:
            copy_to(self._place, self._copy_path)
            self._copy = os.open(self._copy_path, os.O_RDONLY)
        return self._copy_path

    def read(self, at: int, count: int) -> bytes:
        """Some of the bytes from a place on, at most ``count``; none at the end."""
        count = min(count, self._size - at)
        if count <= 0:
            return b""
        if self._copy is not None:
            return os.pread(self._copy, count, at)
        if self._payload_left_out:
            behind = next((behind for first, behind in self._payload if first <= at < behind), 0)
            if behind:
                return bytes(min(count, behind - at))
        start, data = self._piece(at)
        return data[at - start : at - start + count]

    def _piece(self, at: int) -> tuple[int, bytes]:
        """Bytes that are held or fetched now, with the place of the first: the one at ``at`` is among them."""
        start, data = self._index
        if start <= at < start + len(data):
            return self._index
        which = bisect_right(self._plan, at, key=lambda span: span[0]) - 1
        if which >= 0 and at < self._plan[which][1]:
            if which not in self._held:
                self._fetch_ahead(which)
            return self._plan[which][0], self._held[which]
        number = at // _BLOCK
        if number not in self._blocks:
            self._blocks[number] = _read_at(self._file, number * _BLOCK, min((number + 1) * _BLOCK, self._size))
            if len(self._blocks) > _BLOCKS:
                self._blocks.popitem(last=False)
        return number * _BLOCK, self._blocks[number]

    def _fetch_ahead(self, which: int) -> None:
        behind, total = which, 0
        while behind < len(self._plan) and (behind == which or total <= _AHEAD):
            total += self._plan[behind][1] - self._plan[behind][0]
            behind += 1
        starts, ends = zip(*self._plan[which:behind], strict=True)
        fetched = self._place.fs.cat_ranges(
            [self._place.path] * len(starts), list(starts), list(ends), on_error="raise"
        )
        add_fetched(sum(map(len, fetched)))
        self._held = dict(zip(range(which, behind), fetched, strict=True))


class _Reader(io.RawIOBase):
    """A file over a remote video."""

    def __init__(self, video: RemoteVideo) -> None:
        self._video, self._at = video, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        self._at = offset + {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._video._size}[whence]
        return self._at

    def read(self, size: int = -1) -> bytes:
        data = self._video.read(self._at, self._video._size if size < 0 else size)
        self._at += len(data)
        return data


def _with_ranges(place: Location, copy: str) -> RemoteVideo | None:
    """A video that can be read in ranges; None for what must be copied."""
    if not is_object_store(place.fs):
        return None
    file = place.fs.open(place.path, "rb", cache_type="none")
    video = None
    try:
        boxes = _boxes(file, file.size) if file.seekable() and (file.size or 0) > _SMALL else []
        if [box.kind for box in boxes].count(b"moov") == 1 and not any(box.kind == b"moof" for box in boxes):
            index = next(box for box in boxes if box.kind == b"moov")
            if index.end <= file.size and index.end - index.start <= _LARGEST_INDEX:
                video = RemoteVideo(place, file, file.size, boxes, copy)
    except ValueError:
        pass  # fsspec raises it if a server answers with the whole file
    finally:
        if video is None:
            file.close()
    return video


def _boxes(file: BinaryIO, size: int) -> list[_Box]:
    """The parts of an MP4; none where it is not made of such."""
    boxes: list[_Box] = []
    at = 0
    while at + 8 <= size and len(boxes) < _MOST_BOXES:
        header = _read_at(file, at, min(at + _BOX, size))
        length, kind, content = int.from_bytes(header[:4], "big"), header[4:8], 8
        if length == 1:
            length, content = int.from_bytes(header[8:16], "big"), 16
        elif length == 0:
            length = size - at  # to the end of the file
        if length < content or (not boxes and kind != b"ftyp"):
            return []
        boxes.append(_Box(kind, at, at + content, at + length))
        at += length
    return boxes if at + 8 > size else []


def _read_at(file: BinaryIO, first: int, behind: int) -> bytes:
    file.seek(first)
    data = file.read(behind - first)
    add_fetched(len(data))
    return data


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
