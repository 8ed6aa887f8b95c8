"""Images as files: the one place that encodes them."""

import cv2
import numpy as np
import numpy.typing as npt

Image = npt.NDArray[np.uint8]

JPEG_QUALITY = 88


def encode_jpeg(image: Image, quality: int = JPEG_QUALITY) -> bytes:
    """An (H, W, 3) uint8 RGB image as JPEG; ``quality`` from 1 to 100."""
    return _encode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, quality])


def encode_png(image: Image, effort: int = 1) -> bytes:
    """An (H, W), RGB or RGBA uint8 image as PNG; ``effort`` from 0 to 9 is zlib's."""
    match image.shape[2:]:
        case (3,):
            image = np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2BGR), np.uint8)
        case (4,):
            image = np.asarray(cv2.cvtColor(image, cv2.COLOR_RGBA2BGRA), np.uint8)
    return _encode(".png", image, [cv2.IMWRITE_PNG_COMPRESSION, effort])


def shrink_to_width(image: Image, width: int) -> Image:
    """The (H, W, 3) image itself, or a smaller one of ``width`` pixels across."""
    if image.shape[1] <= width:
        return image
    size = (width, max(1, round(image.shape[0] * width / image.shape[1])))
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)


def _encode(kind: str, image: npt.NDArray[np.uint8] | cv2.typing.MatLike, options: list[int]) -> bytes:
    done, data = cv2.imencode(kind, image, options)
    if not done:
        raise ValueError(f"an image of shape {image.shape} cannot be written as {kind}")
    return bytes(data.tobytes())
