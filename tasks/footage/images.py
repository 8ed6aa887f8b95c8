"""Image files → RGB arrays."""

import io
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps, UnidentifiedImageError

from tasks.errors import UsageError, UserError
from tasks.storage import STORAGE_ERRORS, Location, cannot_read, locate, reason

_LARGEST_FILE = 256 * 1024 * 1024

Rgb = npt.NDArray[np.uint8]


class BadImage(Exception):
    """These bytes are no whole image. One line that says why."""


def read_image(url: str) -> Rgb:
    """An image file at any fsspec URL: upright (H, W, 3) uint8 RGB. Raises UserError when it cannot be read."""
    place = locate(url)
    try:
        return image_at(place, int(place.fs.info(place.path)["size"] or 0))
    except BadImage as error:
        raise UserError(f"{place.url} is no whole image: {error}.") from error
    except STORAGE_ERRORS as error:
        raise cannot_read(place, error) from error


def image_at(place: Location, size: int) -> Rgb:
    """The image file of ``size`` bytes at a place. Raises BadImage, or what the storage raises."""
    check_size(size)
    return decode_image(place.fs.cat_file(place.path))


def check_size(size: int) -> None:
    """Refuse, by BadImage, files of a size in bytes that no image has: they would fill the memory."""
    if size > _LARGEST_FILE:
        raise BadImage(f"larger than {_LARGEST_FILE // 2**20} MB")


def decode_image(data: bytes) -> Rgb:
    """Decode to upright (H, W, 3) uint8 RGB; raises BadImage when that is not possible.

    By Pillow, which refuses images that end too early; what OpenCV does with them depends on its version.
    """
    if not data:
        raise BadImage("the file is empty")
    try:
        with Image.open(io.BytesIO(data)) as image:
            return np.array(ImageOps.exif_transpose(image).convert("RGB"), dtype=np.uint8)
    except UnidentifiedImageError as error:
        raise BadImage("not an image of a known format") from error
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise BadImage(reason(error)) from error


def read_single_channel(path: Path) -> npt.NDArray[np.generic]:
    """A map of labels or scores as it lies on disk: (H, W) of the file's own type, of a palette the indices.

    Raises:
        UsageError: no image, or one of several channels.
    """
    try:
        with Image.open(path) as image:
            values = np.asarray(image)
    except (OSError, ValueError, SyntaxError) as error:
        raise UsageError(f"{path} cannot be read as an image ({reason(error)}).") from error
    if values.ndim != 2:
        raise UsageError(f"{path} has {values.shape[2]} channels; a map of labels or scores has one.")
    return values
