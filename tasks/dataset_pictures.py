"""The pictures of a dataset: copied as they are where the archive has JPEG or PNG, else encoded once."""

import io
import tarfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import groupby

import cv2
import numpy as np
from PIL import Image, UnidentifiedImageError

from schemas.dataset import DatasetFrame
from schemas.records import SourceKind
from tasks.blurring import Blurrer
from tasks.errors import SourceError
from tasks.files import image_members, is_image, kind_of
from tasks.frames import local_file, require_recordings
from tasks.images import BadImage, Rgb, check_size, decode_image
from tasks.storage import OUT_OF_REACH, STORAGE_ERRORS, Location, cannot_read, exists, locate, reason
from tasks.video import video_frames

JPEG_QUALITY = 95
_READERS = 4
_AHEAD = 32
_SUFFIXES = {"JPEG": ".jpg", "PNG": ".png"}
_PLAIN_MODES = ("RGB", "L", "P")  # what every reader shows alike; CMYK, 16 bits and transparency are not
_ORIENTATION = 0x0112


@dataclass(frozen=True, slots=True)
class Picture:
    """An encoded picture. ``suffix`` is ``.jpg`` or ``.png``; ``copied`` when these are the archive's own bytes;
    ``blurred`` counts the places that were made unrecognisable."""

    data: bytes
    suffix: str
    copied: bool
    blurred: int = 0


@dataclass(frozen=True, slots=True)
class Content:
    """A frame of the dataset with its picture, or with the reason why there is none."""

    frame: DatasetFrame
    picture: Picture | None
    error: str | None = None


def gone_sources(frames: Sequence[DatasetFrame]) -> tuple[str, ...]:
    """The sources of these frames that are not in the archive any more.

    Raises UserError when the storage is out of reach.
    """
    uris = sorted({frame.source_uri for frame in frames})
    with ThreadPoolExecutor(_READERS) as pool:
        there = list(pool.map(lambda uri: exists(locate(uri)), uris))
    return tuple(uri for uri, found in zip(uris, there, strict=True) if not found)


def read_pictures(frames: Sequence[DatasetFrame], png: bool = False, blur: Blurrer | None = None) -> Iterator[Content]:
    """Each frame with its picture, in the order given: a run of frames of one source is read in one go.

    Args:
        frames: those of one source beside each other and in order of their index.
        png: give PNG alone; otherwise JPEG and PNG files are copied and all else becomes JPEG of quality 95.
        blur: what it blurs is encoded anew, as JPEG or PNG as it was; a picture in which it finds nothing is copied.

    Raises:
        UserError: the storage is out of reach. What is wrong with one frame is its ``error``.
    """
    for source_uri, run in groupby(frames, key=lambda frame: frame.source_uri):
        of_source = list(run)
        read = 0
        try:
            for content in _of_source(source_uri, of_source, png, blur):
                read += 1
                yield content
        except OUT_OF_REACH as error:
            raise cannot_read(locate(source_uri), error) from error
        except (*STORAGE_ERRORS, tarfile.TarError, SourceError) as error:
            for frame in of_source[read:]:
                yield Content(frame, None, reason(error))


def _of_source(source_uri: str, frames: list[DatasetFrame], png: bool, blur: Blurrer | None) -> Iterator[Content]:
    place = locate(source_uri)
    match kind_of(source_uri):
        case SourceKind.IMAGES:
            yield from _of_folder(place, frames, png, blur)
        case SourceKind.TAR:
            yield from _of_tar(place, frames, png, blur)
        case SourceKind.RECORDING:
            yield from _of_recording(place, frames, png, blur)
        case _:
            yield from _of_video(place, frames, png, blur)


def _of_folder(folder: Location, frames: list[DatasetFrame], png: bool, blur: Blurrer | None) -> Iterator[Content]:
    members = image_members(folder)

    def read(frame: DatasetFrame) -> Content:
        if frame.frame_index >= len(members):
            return Content(frame, None, f"the folder has no image {frame.frame_index} any more")
        member = members[frame.frame_index]
        try:
            check_size(member.size)
            data = folder.fs.cat_file(folder.child(member.name).path)
        except (BadImage, FileNotFoundError) as error:
            return Content(frame, None, f"{member.name}: {reason(error)}")
        return _taken_over(frame, data, png, blur)

    with ThreadPoolExecutor(_READERS) as pool:
        for start in range(0, len(frames), _AHEAD):
            yield from pool.map(read, frames[start : start + _AHEAD])


def _of_tar(place: Location, frames: list[DatasetFrame], png: bool, blur: Blurrer | None) -> Iterator[Content]:
    with place.fs.open(place.path, "rb") as file, tarfile.open(fileobj=file, mode="r:") as tar:
        images = enumerate(member for member in tar if member.isreg() and is_image(member.name))
        for frame in frames:
            member = next((member for index, member in images if index == frame.frame_index), None)
            if member is None:
                raise SourceError(f"the tar has no image {frame.frame_index} any more")
            check_size(member.size)
            content = tar.extractfile(member)
            assert content is not None  # only for members that are not regular files
            yield _taken_over(frame, content.read(), png, blur)


def _of_video(place: Location, frames: list[DatasetFrame], png: bool, blur: Blurrer | None) -> Iterator[Content]:
    with local_file(place) as path:
        images = video_frames(path, {frame.frame_index for frame in frames})
        found = next(images, None)
        for frame in frames:
            if found is None or found[0] != frame.frame_index:
                yield Content(frame, None, "the video does not show it any more")
                continue
            image = found[1]
            if image is None:
                yield Content(frame, None, "it cannot be decoded any more")
            elif problem := _wrong_size(frame, image.shape[1], image.shape[0]):
                yield Content(frame, None, problem)
            else:
                yield Content(frame, _encoded(image, png, blur))
            found = next(images, None)


def _of_recording(place: Location, frames: list[DatasetFrame], png: bool, blur: Blurrer | None) -> Iterator[Content]:
    require_recordings()
    from tasks.recording import recorded_pictures  # an extra

    with place.fs.open(place.path, "rb") as file:
        size = int(place.fs.info(place.path)["size"])
        pictures = recorded_pictures(file, size, {frame.frame_index for frame in frames})
        for frame in frames:
            picture = next((picture for index, picture in pictures if index == frame.frame_index), None)
            if picture is None:
                yield Content(frame, None, "the recording does not hold it any more")
            elif picture.encoding is None:
                yield _taken_over(frame, picture.data, png, blur)
            else:
                try:
                    image = picture.image()
                except BadImage as error:
                    yield Content(frame, None, str(error))
                    continue
                problem = _wrong_size(frame, image.shape[1], image.shape[0])
                yield Content(frame, None if problem else _encoded(image, png, blur), problem)


def _taken_over(frame: DatasetFrame, data: bytes, png: bool, blur: Blurrer | None) -> Content:
    """An image file as it is where every reader shows it alike, else encoded anew."""
    try:
        with Image.open(io.BytesIO(data)) as image:
            upright = image.getexif().get(_ORIENTATION, 1) == 1
            copied = image.format in _SUFFIXES and image.mode in _PLAIN_MODES and upright
            suffix = _SUFFIXES.get(str(image.format), "")
            width, height = image.size
    except (OSError, ValueError, SyntaxError, UnidentifiedImageError, Image.DecompressionBombError) as error:
        return Content(frame, None, f"it is no image any more ({reason(error)})")
    copied = copied and not (png and suffix == ".jpg")
    if copied and blur is None:
        problem = _wrong_size(frame, width, height)
        return Content(frame, None if problem else Picture(data, suffix, True), problem)
    try:
        decoded = decode_image(data)
    except BadImage as error:
        return Content(frame, None, str(error))
    if problem := _wrong_size(frame, decoded.shape[1], decoded.shape[0]):
        return Content(frame, None, problem)
    picture = _encoded(decoded, png or (copied and suffix == ".png"), blur)
    return Content(frame, picture if picture.blurred or not copied else Picture(data, suffix, True))


def _encoded(image: Rgb, png: bool, blur: Blurrer | None) -> Picture:
    blurred, places = blur(image) if blur else (image, 0)
    return replace(encode(blurred, png), blurred=places)


def _wrong_size(frame: DatasetFrame, width: int, height: int) -> str | None:
    if (width, height) == (frame.width, frame.height):
        return None
    return f"it is {width}x{height} now and was {frame.width}x{frame.height} when it was scanned"


def encode(image: Rgb, png: bool) -> Picture:
    """(H, W, 3) uint8 RGB as JPEG of quality 95 or as PNG: always the same bytes for the same pixels."""
    suffix = ".png" if png else ".jpg"
    flags = [cv2.IMWRITE_PNG_COMPRESSION, 4] if png else [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY]
    done, data = cv2.imencode(suffix, cv2.cvtColor(image, cv2.COLOR_RGB2BGR), flags)
    assert done
    return Picture(np.asarray(data).tobytes(), suffix, False)
