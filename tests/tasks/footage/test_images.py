"""Image files as they are met: deep, turned, damaged beside the picture, too large, of formats that are not meant."""

import io
import struct
import zlib

import cv2
import numpy as np
import pytest
from PIL import Image

from tasks.footage.images import LARGEST_IMAGE, BadImage, decode_image


def saved(image: Image.Image, form: str, **options: object) -> bytes:
    data = io.BytesIO()
    image.save(data, form, **options)
    return data.getvalue()


def gradient(height: int = 24, width: int = 32) -> np.ndarray:
    return np.add.outer(np.arange(height) * 4, np.arange(width) * 3).astype(np.uint8)


@pytest.mark.parametrize("kind", [10, 5, 2, 9, 12])
def test_a_number_in_exif_that_cannot_be_written_again(kind: int) -> None:
    """Only the orientation is read: a quarter turn, beside a resolution of another type than it should have."""
    turn = struct.pack("<HHIHH", 0x112, 3, 1, 6, 0)
    odd = struct.pack("<HHII", 0x11A, kind, 1, 38)
    exif = b"Exif\0\0II*\0" + struct.pack("<IH", 8, 2) + turn + odd + struct.pack("<I", 0) + struct.pack("<ii", -72, 1)
    flat = saved(Image.fromarray(gradient()), "PNG")
    turned = decode_image(saved(Image.fromarray(gradient()), "JPEG", exif=exif, quality=95))
    assert turned.shape == (32, 24, 3)
    assert np.abs(np.rot90(decode_image(flat), -1).astype(int) - turned).max() < 8


def test_exif_that_is_damaged_costs_only_the_orientation() -> None:
    data = saved(Image.fromarray(gradient()), "JPEG", exif=b"Exif\0\0II*\0\xff\xff\xff\xff damaged")
    assert decode_image(data).shape == (24, 32, 3)


@pytest.mark.parametrize("form", ["PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_orientation(orientation: int, form: str) -> None:
    exif = Image.Exif()
    exif[0x112] = orientation
    corner = np.zeros((24, 32), np.uint8)
    corner[:4, :4] = 250
    options = {"lossless": True} if form == "WEBP" else {}
    image = decode_image(saved(Image.fromarray(corner).convert("RGB"), form, exif=exif, **options))
    where = {1: "tl", 2: "tr", 3: "br", 4: "bl", 5: "tl", 6: "tr", 7: "br", 8: "bl"}[orientation]
    assert image.shape[:2] == ((24, 32) if orientation < 5 else (32, 24))
    row, column = (0 if where[0] == "t" else -1), (0 if where[1] == "l" else -1)
    assert image[row, column, 0] == 250 and image.sum() == 250 * 16 * 3


def test_avif_is_read() -> None:
    picture = np.repeat(gradient()[:, :, None], 3, axis=2)
    image = decode_image(saved(Image.fromarray(picture), "AVIF", quality=95))
    assert image.shape == picture.shape and np.abs(image.astype(int) - picture).mean() < 3


def test_deep_images_are_scaled_by_their_range() -> None:
    deep = np.linspace(0, 65535, 24 * 32).reshape(24, 32).astype(np.uint16)
    image = decode_image(saved(Image.fromarray(deep), "PNG"))
    assert image.shape == (24, 32, 3) and np.abs(image[..., 0].astype(int) - (deep / 257).round()).max() <= 1
    floats = np.linspace(0, 1, 24 * 32, dtype=np.float32).reshape(24, 32)
    image = decode_image(saved(Image.fromarray(floats), "TIFF"))
    assert np.abs(image[..., 0] - floats * 255).max() <= 1
    brighter = decode_image(saved(Image.fromarray(floats * 40), "TIFF"))
    assert np.array_equal(brighter, image)


def test_too_many_pixels_are_refused_before_decoding() -> None:
    side = int(LARGEST_IMAGE**0.5) + 1
    header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    chunk = struct.pack(">I", 13) + b"IHDR" + header + struct.pack(">I", zlib.crc32(b"IHDR" + header))
    pixels = struct.pack(">I", 4) + b"IDAT" + bytes(8)
    with pytest.raises(BadImage, match="more than 100 megapixels"):
        decode_image(b"\x89PNG\r\n\x1a\n" + chunk + pixels)


def test_formats_that_are_not_meant() -> None:
    with pytest.raises(BadImage, match="not an image of a known format"):
        decode_image(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 100 100\n%%EndComments\n")
    with pytest.raises(BadImage, match="not an image of a known format"):
        decode_image(saved(Image.fromarray(gradient()), "GIF"))


@pytest.mark.parametrize("greatest", [1.0, 40.0])
def test_colours_as_floats_are_scaled_by_their_range(greatest):
    values = np.random.default_rng(1).uniform(0, 1, (8, 9, 3)).astype(np.float32)
    values[0, 0] = (1.0, 0.5, 0.0)
    values[1, 1] = np.nan
    data = cv2.imencode(".tiff", values[..., ::-1] * np.float32(greatest))[1].tobytes()
    image = decode_image(data)
    assert image.shape == (8, 9, 3) and tuple(image[0, 0]) == (255, 128, 0) and tuple(image[1, 1]) == (0, 0, 0)
    with pytest.raises(BadImage):
        decode_image(data[: len(data) // 2])
