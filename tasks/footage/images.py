"""Image files → RGB arrays."""

import io
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import ExifTags, Image, UnidentifiedImageError

from tasks.errors import UsageError, UserError
from tasks.footage.float_tiff import read_float_tiff, tiff_facts
from tasks.footage.image_files import is_heic, reads_heic, teach_pillow
from tasks.storage import Location, cannot_read, locate, reason
from tasks.storage_errors import storage_errors

LARGEST_IMAGE = 100_000_000
"""The most pixels that an image may have: it is looked at before it is decoded."""

_LARGEST_FILE = 256 * 1024 * 1024
# Those that are meant: Pillow knows many more, and starts a program for PostScript.
IMAGE_FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF", "AVIF", "PPM")
_ORIENTATION = ExifTags.Base.Orientation
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

Rgb = npt.NDArray[np.uint8]


class BadImage(Exception):
    """The data cannot be decoded as an image. The message is one line with the reason."""


def read_image(url: str) -> Rgb:
    """An image file at any fsspec URL: upright (H, W, 3) uint8 RGB. Raises UserError when it cannot be read."""
    place = locate(url)
    try:
        return image_at(place, int(place.fs.info(place.path)["size"] or 0))
    except BadImage as error:
        raise UserError(f"{place.url} is no whole image: {error}.") from error
    except storage_errors() as error:
        raise cannot_read(place, error) from error


def image_at(place: Location, size: int) -> Rgb:
    """The image file of ``size`` bytes at a place. Raises BadImage, or what the storage raises."""
    check_size(size)
    return decode_image(place.fs.cat_file(place.path))


def check_size(size: int) -> None:
    """Raise BadImage for a file that is too large for an image (size in bytes): it would fill the memory."""
    if size > _LARGEST_FILE:
        raise BadImage(f"larger than {_LARGEST_FILE // 2**20} MB")


def open_image(data: bytes) -> Image.Image:
    """An image file, of which only the header is read. Raises what Pillow raises."""
    formats = (*IMAGE_FORMATS, *teach_pillow()) if is_heic(data) else IMAGE_FORMATS
    return Image.open(io.BytesIO(data), formats=formats)


def decode_image(data: bytes) -> Rgb:
    """Decode to upright (H, W, 3) uint8 RGB; raises BadImage when that is not possible.

    By Pillow, which refuses images that end too early; what OpenCV does with them depends on its version. Of EXIF only
    the orientation is read: a damaged block costs nothing but that. Grey images of 16 bits are scaled by the range of
    their type, and images of floats by [0, 1], or what they hold where that is more.
    """
    if not data:
        raise BadImage("the file is empty")
    try:
        with open_image(data) as image:
            _check_pixels(*image.size)
            image.load()  # TIFF is turned by that
            turned = image.transpose(_TURNS[_orientation(image)]) if _orientation(image) in _TURNS else image
            return _eight_bits(turned)
    except UnidentifiedImageError as error:
        if (floats := _float_tiff(data)) is not None:
            return floats
        needs = is_heic(data) and not reads_heic()
        what = "a photo as HEIC: pip install 'clipomaly[heic]'" if needs else "not an image of a known format"
        raise BadImage(what) from error
    except BadImage:
        raise
    except Exception as error:  # whatever its authors did not foresee: one image is lost, its neighbours are not
        raise BadImage(reason(error)) from error


def _check_pixels(width: int, height: int) -> None:
    if width * height > LARGEST_IMAGE:
        raise BadImage(f"{width}x{height} pixels are more than {LARGEST_IMAGE // 10**6} megapixels")


def _float_tiff(data: bytes) -> Rgb | None:
    try:
        facts = tiff_facts(data)
    except Exception:  # a damaged header: it is no image then
        return None
    if facts is None:
        return None
    width, height, orientation = facts
    _check_pixels(width, height)
    values = read_float_tiff(data)
    if values is None:
        return None
    image = Image.fromarray(_scaled(values, 1.0))
    return np.array(image.transpose(_TURNS[orientation]) if orientation in _TURNS else image, dtype=np.uint8)


def _scaled(values: npt.NDArray[np.float64], full: float) -> Rgb:
    """As 8 bits, by the range [0, ``full``], or up to the greatest value where that is more."""
    scaled = np.clip(values * (255 / max(full, float(values.max(initial=0)))), 0, 255)
    return scaled.round().astype(np.uint8)


def _orientation(image: Image.Image) -> int:
    try:
        return int(image.getexif().get(_ORIENTATION, 1))
    except Exception:  # a damaged block, which says nothing then
        return 1


def _eight_bits(image: Image.Image) -> Rgb:
    if image.mode.startswith(("I", "F")):
        values = np.nan_to_num(np.asarray(image, dtype=np.float64), posinf=0.0, neginf=0.0)
        grey = _scaled(values, 1.0 if image.mode.startswith("F") else 65535.0)
        return np.repeat(grey[:, :, None], 3, axis=2)
    return np.array(image.convert("RGB"), dtype=np.uint8)


def read_single_channel(path: Path) -> npt.NDArray[np.generic]:
    """A map of labels or scores as it lies on disk: (H, W) of the file's own type, of a palette the indices.

    Raises:
        UsageError: no image, or one of several channels.
    """
    try:
        with Image.open(path, formats=IMAGE_FORMATS) as image:
            values = np.asarray(image)
    except (OSError, ValueError, SyntaxError) as error:
        raise UsageError(f"{path} cannot be read as an image ({reason(error)}).") from error
    if values.ndim != 2:
        raise UsageError(f"{path} has {values.shape[2]} channels; a map of labels or scores has one.")
    return values
