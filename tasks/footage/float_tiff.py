"""TIFF with several channels of floats, which Pillow does not know: read by OpenCV."""

import io

import cv2
import numpy as np
import numpy.typing as npt
from PIL.TiffImagePlugin import ImageFileDirectory_v2

_MAGIC = (b"II*\0", b"MM\0*")
_WIDTH, _HEIGHT, _ORIENTATION = 256, 257, 274


def tiff_facts(data: bytes) -> tuple[int, int, int] | None:
    """Width, height and EXIF orientation of a TIFF by its header alone; None for other files."""
    if data[:4] not in _MAGIC:
        return None
    stream = io.BytesIO(data)
    header = ImageFileDirectory_v2(stream.read(8))
    stream.seek(header.next)
    header.load(stream)
    return int(header[_WIDTH]), int(header[_HEIGHT]), int(header.get(_ORIENTATION, 1))


def read_float_tiff(data: bytes) -> npt.NDArray[np.float64] | None:
    """(H, W, 3) RGB as stored, without what is not finite; None if OpenCV cannot read it or it has no three channels
    of floats."""
    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if image is None or image.ndim != 3 or image.shape[2] not in (3, 4) or not np.issubdtype(image.dtype, np.floating):
        return None
    return np.nan_to_num(image[:, :, 2::-1].astype(np.float64), posinf=0.0, neginf=0.0)
