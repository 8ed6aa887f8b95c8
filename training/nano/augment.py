"""What makes a rendered scene look like another camera's, and things on it that have no name."""

import cv2
import numpy as np
import numpy.typing as npt

Image = npt.NDArray[np.uint8]


def photometric(original: Image, rng: np.random.Generator) -> Image:
    """Another exposure, colour, sharpness, noise and compression of an (H, W, 3) uint8 image."""
    levels = np.linspace(0, 1, 256, dtype=np.float32)
    gamma, gain, lift = np.exp(rng.normal(0, 0.25)), np.exp(rng.normal(0, 0.15)), rng.normal(0, 0.04)
    channels = gain * np.exp(rng.normal(0, 0.07, 3))
    table = np.clip(255 * (levels[:, None] ** gamma * channels + lift), 0, 255).astype(np.uint8)
    image: npt.NDArray[np.integer | np.floating] = cv2.LUT(original, table[None])  # so wide are the types of OpenCV
    if rng.random() < 0.3:
        grey = cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
        share = float(rng.uniform(0, 1))
        image = cv2.addWeighted(image, share, grey, 1 - share, 0)
    if rng.random() < 0.05:
        image = np.ascontiguousarray(image[..., rng.permutation(3)])
    if rng.random() < 0.25:
        image = cv2.GaussianBlur(image, (0, 0), float(rng.uniform(0.4, 1.6)))
    if rng.random() < 0.4:
        noise = rng.integers(-128, 128, (image.shape[0] // 2, image.shape[1], 3), np.int8)
        strength = float(rng.uniform(0.02, 0.18))
        noise = np.concatenate([noise, noise[::-1]])[: image.shape[0]]
        image = cv2.add(image, np.round(noise * strength).astype(np.int16), dtype=cv2.CV_8U)
    if rng.random() < 0.25:
        _, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(25, 90))])
        image = np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR))
    return np.asarray(image, np.uint8)


def nameless(image: Image, rng: np.random.Generator) -> tuple[Image, npt.NDArray[np.bool_]]:
    """Put a random shape with a random surface on an (H, W, 3) image.

    Returns:
        The image with it, and its (H, W) bool mask. Wherever it lands, what it covers is unknown: the network
        learns that what fits no class is none, rather than a list of kinds.
    """
    height, width = image.shape[:2]
    size = float(np.exp(rng.uniform(np.log(14), np.log(110))))
    side = int(1.6 * size)
    shape = np.zeros((side, side), np.uint8)
    for _ in range(int(rng.integers(1, 5))):
        angles = np.sort(rng.uniform(0, 2 * np.pi, int(rng.integers(3, 10))))
        radii = size / 2 * rng.uniform(0.35, 1.0, len(angles)) * rng.uniform(0.4, 1.0)
        stretch = np.exp(rng.normal(0, 0.4))
        part = np.stack([np.cos(angles) * stretch, np.sin(angles) / stretch], 1) * radii[:, None]
        part += side / 2 + rng.normal(0, size / 6, 2)
        cv2.fillPoly(shape, [np.round(part).astype(np.int32)], 255, cv2.LINE_AA)
    alpha = cv2.GaussianBlur(shape, (0, 0), float(rng.uniform(0.4, 1.0))).astype(np.float32) / 255
    top = int(rng.uniform(0.4, 0.95) * height - side / 2)
    left = int(rng.uniform(0.05, 0.95) * width - side / 2)
    rows, columns = slice(max(top, 0), top + side), slice(max(left, 0), left + side)
    out, mask = image.copy(), np.zeros((height, width), bool)
    piece = out[rows, columns]
    alpha = alpha[rows.start - top :, columns.start - left :][: piece.shape[0], : piece.shape[1]]
    surface = _surface(image, piece.shape[0], piece.shape[1], rng)
    out[rows, columns] = np.clip(piece + alpha[..., None] * (surface - piece), 0, 255)
    mask[rows, columns] = alpha > 0.5
    return out, mask


def _surface(image: Image, height: int, width: int, rng: np.random.Generator) -> npt.NDArray[np.float32]:
    """(height, width, 3) of a shaded, patterned colour, or a piece of the image, turned and recoloured."""
    kind = int(rng.integers(4))
    if kind == 0:
        y, x = int(rng.integers(image.shape[0] - height + 1)), int(rng.integers(image.shape[1] - width + 1))
        piece = image[y : y + height, x : x + width][::-1, ::-1].astype(np.float32)
        return piece * np.exp(rng.normal(0, 0.3, 3)).astype(np.float32) + np.float32(rng.normal(0, 20))
    y, x = np.mgrid[:height, :width].astype(np.float32)
    colour, other = rng.uniform(5, 250, (2, 3)).astype(np.float32)
    angle, period = rng.uniform(0, np.pi), rng.uniform(4, 30)
    along = np.cos(angle) * x + np.sin(angle) * y
    if kind == 1:
        share = 0.5 + 0.5 * np.sign(np.sin(2 * np.pi * along / period))
    elif kind == 2:
        cells = rng.random((max(2, int(height / period)), max(2, int(width / period)))).astype(np.float32)
        share = cv2.resize(cells, (width, height), interpolation=cv2.INTER_CUBIC)
    else:
        share = 0.15 * np.sin(2 * np.pi * along / (8 * period))
    share = share[..., None] * float(rng.uniform(0.3, 1.0))
    light = 1 + float(rng.normal(0, 0.35)) * np.sin(2 * np.pi * y / rng.uniform(40, 200) + rng.uniform(0, 6))
    grain = rng.normal(0, 6, (height, width)).astype(np.float32)
    return np.asarray(((1 - share) * colour + share * other) * light[..., None] + grain[..., None], np.float32)
