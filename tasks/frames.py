"""Frames of a source: video, tar of images or folder of images → RGB arrays with their times, one by one."""

import errno
import io
import math
import os
import posixpath
import tarfile
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps, UnidentifiedImageError

from clipomaly_core.errors import UserError
from schemas.records import Source, SourceKind, TimestampSource
from tasks.archive import current_etag, image_members, is_image, kind_of
from tasks.capture_time import time_in_name
from tasks.storage import OUT_OF_REACH, STORAGE_ERRORS, Location, cannot_read, is_local, locate, reason

# FFmpeg and OpenCV report damaged videos on stderr themselves; here they are rows and outcomes.
os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)

_LARGEST_IMAGE_FILE = 256 * 1024 * 1024
# Two clock readings closer than this are one: containers count in ticks that are no round decimals.
_SAME_MOMENT = 1e-3
_ROUNDING = 1e-6

Rgb = npt.NDArray[np.uint8]


class SourceError(Exception):
    """A source, or what is left of it, cannot be read. One line that says why."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One sampled frame.

    ``index`` is its number in the container, from 0 (images: among the images of the source);
    ``timestamp`` in UTC; ``image`` is (H, W, 3) uint8 RGB, upright, or None where it could not be read,
    and then ``error`` says why.
    """

    index: int
    timestamp: datetime
    timestamp_source: TimestampSource
    image: Rgb | None
    error: str | None = None


def read_frames(source: Source, fps: float) -> Iterator[Frame]:
    """Yield the frames of a source in order, holding one at a time.

    A video is sampled at t = 0, 1/fps, … below its duration (seconds on the container's clock): the frame
    shown at t is the last whose presentation time is not after t; one shown at several t comes once. Of
    images each is a frame. A frame that should be there and cannot be read comes with ``error``.

    Raises SourceError at the start when the source cannot be read at all or is not what was listed, or
    later when what follows is lost; UserError when the storage itself is out of reach or the disk full,
    which is no fault of the source.
    """
    if source.error:
        raise SourceError(source.error)
    try:
        place = locate(source.uri)
    except UserError as error:
        raise SourceError(str(error)) from error
    try:
        if current_etag(source) != source.etag:
            raise SourceError("changed after it was listed; the next scan takes it as it is now")
        match source.kind:
            case SourceKind.VIDEO:
                yield from _video_frames(place, source, fps)
            case SourceKind.TAR:
                yield from _tar_frames(place, source)
            case SourceKind.IMAGES:
                yield from _folder_frames(place, source)
    except FileNotFoundError as error:
        raise SourceError("gone since it was listed") from error
    except OUT_OF_REACH as error:
        raise cannot_read(place, error) from error
    except OSError as error:
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
                return _read_image(place.child(member.name), member.size)
            case SourceKind.TAR:
                return _tar_image(place, index)
            case _:
                with _local_file(place) as path:
                    return _video_image(path, index)
    except (*STORAGE_ERRORS, tarfile.TarError, IndexError, _BadImage, SourceError) as error:
        raise UserError(f"Frame {index} of {uri} cannot be read any more: {reason(error)}.") from error


def read_image(url: str) -> Rgb:
    """An image file at any fsspec URL: upright (H, W, 3) uint8 RGB. Raises UserError if unreadable."""
    place = locate(url)
    try:
        return _read_image(place, int(place.fs.info(place.path)["size"] or 0))
    except _BadImage as error:
        raise UserError(f"{place.url} is no whole image: {error}.") from error
    except STORAGE_ERRORS as error:
        raise cannot_read(place, error) from error


def _video_frames(place: Location, source: Source, fps: float) -> Iterator[Frame]:
    with _local_file(place) as path:
        timing = _timing(path)
        present, lost = _sample(timing, source.footage_seconds, fps)
        found = False
        for frame in _decode(path, timing, present, source):
            found = found or frame.image is not None
            yield frame
        for number, seconds in lost:
            yield _lost(source, number, seconds, "missing: the video is cut off before it")
    if not found:
        raise SourceError("no frame of the video can be decoded")


@dataclass(frozen=True, slots=True)
class _Timing:
    """Presentation times of a video's frames in seconds, ascending, and whether the clock of the decoder
    tells them too; ``rate`` is the mean frame rate and ``end`` when the last frame leaves the screen."""

    times: npt.NDArray[np.float64]
    by_clock: bool
    rate: float
    end: float


def _timing(path: str) -> _Timing:
    """Read the packets' times without decoding, so that decoding can go straight to the frames wanted."""
    capture = cv2.VideoCapture(path, cv2.CAP_FFMPEG, [cv2.CAP_PROP_FORMAT, -1])
    try:
        if not capture.isOpened():
            raise SourceError("cannot be opened as a video: damaged, or of an unknown format")
        stated = int(capture.get(cv2.CAP_PROP_FRAME_COUNT))
        rate = capture.get(cv2.CAP_PROP_FPS)
        clock = []
        while capture.grab():
            clock.append(capture.get(cv2.CAP_PROP_POS_MSEC) / 1000)
    finally:
        capture.release()
    if not clock:
        raise SourceError("the video has no frames")
    if not (math.isfinite(rate) and rate > 0):
        rate = 1.0
    times = np.sort(np.asarray(clock))
    # AVI keeps no presentation times: what the decoder tells may be late by the frames it held back.
    by_clock = not path.lower().endswith(".avi")
    if len(np.unique(times)) < len(times):
        by_clock, times = False, np.arange(len(clock)) / rate
    # The last frame may be on as long as any other, less what clocks that count milliseconds round up.
    shown = max(np.diff(times).max(initial=0.0), 1 / rate) - 2 * _SAME_MOMENT
    return _Timing(times, by_clock, rate, math.inf if len(times) >= stated else float(times[-1] + shown))


def _sample(timing: _Timing, duration: float, fps: float) -> tuple[list[int], list[tuple[int, float]]]:
    """Numbers of the frames shown at the sampled times, and (number, seconds) of those that are missing."""
    moments = np.arange(math.ceil(duration * fps - _ROUNDING)) / fps
    there = moments < timing.end
    numbers = np.searchsorted(timing.times, moments[there] + _ROUNDING, side="right") - 1
    present = np.unique(np.maximum(numbers, 0))
    lost: list[tuple[int, float]] = []
    number = len(timing.times) - 1
    for seconds in moments[~there]:
        number = max(int(seconds * timing.rate + _ROUNDING), number + 1)
        lost.append((number, float(seconds)))
    return [int(number) for number in present], lost


def _decode(path: str, timing: _Timing, numbers: Sequence[int], source: Source) -> Iterator[Frame]:
    """Decode the frames of these numbers; where the decoder drops one, take the next before the following."""
    capture = cv2.VideoCapture(path, cv2.CAP_FFMPEG)
    try:
        at = -1
        for number, following in zip(numbers, [*numbers[1:], len(timing.times)], strict=True):
            while at < number and capture.grab():
                at = _position(capture, timing, at)
            image = capture.retrieve()[1] if number <= at < max(following, number + 1) else None
            if image is None:
                yield _lost(source, number, float(timing.times[number]), "cannot be decoded")
            else:
                yield Frame(
                    at,
                    source.captured + timedelta(seconds=float(timing.times[at])),
                    source.captured_from,
                    _rgb(image),
                )
    finally:
        capture.release()


def _video_image(path: str, number: int) -> Rgb:
    timing = _timing(path)
    capture = cv2.VideoCapture(path, cv2.CAP_FFMPEG)
    try:
        at = -1
        while at < number and capture.grab():
            at = _position(capture, timing, at)
        image = capture.retrieve()[1] if at == number else None
    finally:
        capture.release()
    if image is None:
        raise SourceError(f"the video shows no frame {number}")
    return _rgb(image)


def _rgb(image: npt.NDArray[Any]) -> Rgb:
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), dtype=np.uint8)


def _position(capture: cv2.VideoCapture, timing: _Timing, before: int) -> int:
    """Number of the frame just grabbed: the next one, unless the clock shows that some were dropped."""
    following = before + 1
    if timing.by_clock:
        seconds = capture.get(cv2.CAP_PROP_POS_MSEC) / 1000
        by_time = int(np.searchsorted(timing.times, seconds - _SAME_MOMENT))
        if by_time < len(timing.times) and abs(timing.times[by_time] - seconds) <= _SAME_MOMENT:
            return max(by_time, following)
    return min(following, len(timing.times) - 1)


def _lost(source: Source, index: int, seconds: float, error: str) -> Frame:
    return Frame(
        index, source.captured + timedelta(seconds=seconds), source.captured_from, image=None, error=error
    )


@contextmanager
def _local_file(place: Location) -> Iterator[str]:
    """The path of a local file, or of a copy that is gone afterwards."""
    if is_local(place.fs):
        yield place.path
        return
    with tempfile.TemporaryDirectory(prefix="clipomaly-") as folder:
        copy = os.path.join(folder, f"video{posixpath.splitext(place.path)[1]}")
        try:
            place.fs.get_file(place.path, copy)
        except OSError as error:
            if error.errno == errno.ENOSPC:
                raise UserError(
                    f"No space left in {tempfile.gettempdir()} for a copy of {place.url}. "
                    "Free some, or set TMPDIR to another disk."
                ) from error
            raise
        yield copy


def _folder_frames(place: Location, source: Source) -> Iterator[Frame]:
    # A sidecar or the folder's name says more of the day than when the files were last copied.
    told = source.captured_from is not TimestampSource.MTIME
    for index, member in enumerate(image_members(place)):
        named = time_in_name(member.name)
        if named:
            moment, origin = named, TimestampSource.FILENAME
        elif told:
            moment, origin = source.captured, source.captured_from
        else:
            moment, origin = member.modified, TimestampSource.MTIME
        image, error = None, None
        try:
            image = _read_image(place.child(member.name), member.size)
        except OUT_OF_REACH:
            raise
        except (_BadImage, OSError) as bad:
            error = f"{member.name}: {reason(bad)}"
        yield Frame(index, moment, origin, image, error)


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
    except (_BadImage, tarfile.TarError) as bad:
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
    _check_size(member.size)
    content = tar.extractfile(member)
    assert content is not None  # only for members that are not regular files
    return _decode_image(content.read())


def _read_image(place: Location, size: int) -> Rgb:
    _check_size(size)
    return _decode_image(place.fs.cat_file(place.path))


class _BadImage(Exception):
    """These bytes are no whole image."""


def _check_size(size: int) -> None:
    if size > _LARGEST_IMAGE_FILE:
        raise _BadImage(f"larger than {_LARGEST_IMAGE_FILE // 2**20} MB")


def _decode_image(data: bytes) -> Rgb:
    """Decode to upright (H, W, 3) uint8 RGB.

    By Pillow, which refuses images that end too early; what OpenCV does with them depends on its version.
    """
    if not data:
        raise _BadImage("the file is empty")
    try:
        with Image.open(io.BytesIO(data)) as image:
            return np.array(ImageOps.exif_transpose(image).convert("RGB"), dtype=np.uint8)
    except UnidentifiedImageError as error:
        raise _BadImage("not an image of a known format") from error
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise _BadImage(reason(error)) from error
