"""The pictures of a dataset: copied as they are where the archive has JPEG or PNG, else encoded once."""

import io
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import groupby

from PIL import Image, UnidentifiedImageError

from schemas.dataset import DatasetFrame
from schemas.images import encode_jpeg, encode_png
from tasks.datasets.blurring import Blurrer
from tasks.errors import SourceError
from tasks.footage.frames import kind_of
from tasks.footage.images import IMAGE_FORMATS, BadImage, Rgb, decode_image
from tasks.footage.source_kind import Stored
from tasks.storage import cannot_read, exists, locate, reason
from tasks.storage_errors import is_out_of_reach, storage_errors

JPEG_QUALITY = 95
_THREADS = 4
_SUFFIXES = {"JPEG": ".jpg", "PNG": ".png"}
_PLAIN_MODES = ("RGB", "L", "P")  # what every reader shows alike; CMYK, 16 bits and transparency are not
_ORIENTATION = 0x0112


class ImageForm(StrEnum):
    """Which image files a dataset may hold: JPEG and PNG, or one of them alone."""

    ANY = "any"
    PNG = "png"
    JPEG = "jpeg"


_FORMS = {".jpg": ImageForm.JPEG, ".png": ImageForm.PNG}


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
    """A frame of the dataset with its picture, or with the reason why it has no picture."""

    frame: DatasetFrame
    picture: Picture | None
    error: str | None = None


def gone_sources(frames: Sequence[DatasetFrame]) -> tuple[str, ...]:
    """The sources of these frames that are not in the archive any more.

    Raises UserError when the storage is out of reach.
    """
    uris = sorted({frame.source_uri for frame in frames})
    with ThreadPoolExecutor(_THREADS) as pool:
        there = list(pool.map(lambda uri: exists(locate(uri)), uris))
    return tuple(uri for uri, found in zip(uris, there, strict=True) if not found)


def read_pictures(
    frames: Sequence[DatasetFrame], form: ImageForm = ImageForm.ANY, blur: Blurrer | None = None
) -> Iterator[Content]:
    """Each frame with its picture, in the order given: a run of frames of one source is read in one go.

    Args:
        frames: those of one source beside each other and in order of their index.
        form: files of this form are copied; all others are encoded, as PNG for ``PNG``, else as JPEG of quality 95.
        blur: what it blurs is encoded anew, as JPEG or PNG as it was; a picture in which it finds nothing is copied.

    Raises:
        UserError: the storage is out of reach. What is wrong with one frame is its ``error``.
    """
    with ThreadPoolExecutor(_THREADS) as pool:
        waiting: deque[Future[Content]] = deque()
        for frame, stored in _stored(frames):
            waiting.append(pool.submit(_content, frame, stored, form, blur))
            if len(waiting) > _THREADS:
                yield waiting.popleft().result()
        for content in waiting:
            yield content.result()


def _stored(frames: Sequence[DatasetFrame]) -> Iterator[tuple[DatasetFrame, Stored]]:
    """Each frame with its picture as its source holds it."""
    for source_uri, run in groupby(frames, key=lambda frame: frame.source_uri):
        of_source, read = list(run), 0
        place = locate(source_uri)
        try:
            pictures = kind_of(source_uri).pictures(place, [frame.frame_index for frame in of_source])
            for found in zip(of_source, pictures, strict=True):
                yield found
                read += 1
        except storage_errors(SourceError) as error:
            if is_out_of_reach(error):
                raise cannot_read(place, error) from error
            yield from ((frame, BadImage(reason(error))) for frame in of_source[read:])


def _content(frame: DatasetFrame, stored: Stored, form: ImageForm, blur: Blurrer | None) -> Content:
    if isinstance(stored, BadImage):
        return Content(frame, None, str(stored))
    if isinstance(stored, bytes):
        return _taken_over(frame, stored, form, blur)
    problem = _wrong_size(frame, stored.shape[1], stored.shape[0])
    return Content(frame, None if problem else _encoded(stored, form is ImageForm.PNG, blur), problem)


def _taken_over(frame: DatasetFrame, data: bytes, form: ImageForm, blur: Blurrer | None) -> Content:
    """An image file as it is where every reader shows it alike, else encoded anew."""
    try:
        with Image.open(io.BytesIO(data), formats=IMAGE_FORMATS) as image:
            upright = image.getexif().get(_ORIENTATION, 1) == 1
            copied = image.format in _SUFFIXES and image.mode in _PLAIN_MODES and upright
            suffix = _SUFFIXES.get(str(image.format), "")
            width, height = image.size
    except UnidentifiedImageError:
        return Content(frame, None, "it is not an image any more")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        return Content(frame, None, f"it is not an image any more ({reason(error)})")
    copied = copied and form in (ImageForm.ANY, _FORMS.get(suffix))
    if copied and blur is None:
        problem = _wrong_size(frame, width, height)
        return Content(frame, None if problem else Picture(data, suffix, True), problem)
    try:
        decoded = decode_image(data)
    except BadImage as error:
        return Content(frame, None, str(error))
    if problem := _wrong_size(frame, decoded.shape[1], decoded.shape[0]):
        return Content(frame, None, problem)
    picture = _encoded(decoded, form is ImageForm.PNG or (copied and suffix == ".png"), blur)
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
    data = encode_png(image, effort=4) if png else encode_jpeg(image, JPEG_QUALITY)
    return Picture(data, suffix, False)
