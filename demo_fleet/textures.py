"""A bank of noise tiles and small colour helpers that every drawing takes its texture from."""

from __future__ import annotations

import colorsys
from functools import cache

import cv2
import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float32]
Colour = tuple[float, float, float]
TILE = 512


@cache
def noise_tile(kind: str, variant: int = 0) -> Array:
    """A (512, 512) float32 tile in about [-1, 1] that wraps around.

    `kind` is one of "fine" (asphalt), "cloud" (large soft shapes), "leaf" (foliage clumps),
    "grain" (streaks along x, for wood and brushed metal) and "mottle" (medium blotches).
    The tile depends on its arguments only, so every process sees the same.
    """
    order = ("fine", "cloud", "leaf", "grain", "mottle")
    rng = np.random.default_rng((71, order.index(kind), variant))
    octaves = {
        "fine": ((256, 0.5), (512, 1.0), (32, 0.3)),
        "cloud": ((4, 1.0), (8, 0.6), (16, 0.35), (32, 0.2), (128, 0.08)),
        "leaf": ((32, 0.6), (64, 1.0), (128, 0.8), (256, 0.4)),
        "grain": ((256, 1.0), (64, 0.7)),
        "mottle": ((16, 1.0), (32, 0.7), (64, 0.4)),
    }[kind]
    tile = np.zeros((TILE, TILE), np.float32)
    for cells, weight in octaves:
        shape = (cells, max(cells // 16, 2)) if kind == "grain" else (cells, cells)
        layer = rng.normal(size=shape).astype(np.float32)
        layer = np.pad(layer, 2, mode="wrap")
        scale = TILE // cells, TILE // shape[1]
        wide = cv2.resize(layer, None, fx=scale[1], fy=scale[0], interpolation=cv2.INTER_CUBIC)
        inner = wide[2 * scale[0] : 2 * scale[0] + TILE, 2 * scale[1] : 2 * scale[1] + TILE]
        tile += weight * inner
    tile -= tile.mean()
    tile /= 2.0 * tile.std()
    tile.setflags(write=False)
    return tile


def noise_patch(rng: np.random.Generator, kind: str, height: int, width: int, zoom: float = 1.0) -> Array:
    """A (height, width) float32 cut of a random tile, its features `zoom` times as large."""
    tile = noise_tile(kind, int(rng.integers(3)))
    h, w = int(np.ceil(height / zoom)), int(np.ceil(width / zoom))
    h, w = max(2, min(h, TILE)), max(2, min(w, TILE))
    y, x = int(rng.integers(TILE - h + 1)), int(rng.integers(TILE - w + 1))
    patch = tile[y : y + h, x : x + w]
    if (h, w) != (height, width):
        patch = np.asarray(cv2.resize(patch, (width, height), interpolation=cv2.INTER_LINEAR), np.float32)
    return patch


def hsv(hue: float, saturation: float, value: float) -> Colour:
    """RGB in 0…255 of a colour given in [0, 1] units; hue wraps, the rest is clipped."""
    s, v = min(max(saturation, 0.0), 1.0), min(max(value, 0.0), 1.0)
    r, g, b = colorsys.hsv_to_rgb(hue % 1.0, s, v)
    return 255.0 * r, 255.0 * g, 255.0 * b


def jitter(rng: np.random.Generator, colour: Colour, amount: float = 0.12) -> Colour:
    """The same colour, a little lighter or darker and a little off in each channel."""
    gain = 1.0 + amount * rng.normal()
    off = 0.25 * (20.0 + max(colour)) * amount * rng.normal(size=3)  # little where it is dark: no green bears
    r, g, b = (min(max(c * gain + o, 4.0), 250.0) for c, o in zip(colour, off, strict=True))
    return r, g, b


def pick(rng: np.random.Generator, *colours: Colour) -> Colour:
    """One of the colours, jittered."""
    return jitter(rng, colours[int(rng.integers(len(colours)))])


def scaled(colour: Colour, gain: float) -> Colour:
    """The colour made lighter (gain > 1) or darker."""
    r, g, b = (min(max(c * gain, 0.0), 255.0) for c in colour)
    return r, g, b


def any_colour(rng: np.random.Generator, saturation: float = 0.6) -> Colour:
    """A random colour, from grey to about twice the saturation given."""
    return hsv(rng.random(), min(1.0, 2.0 * saturation * rng.random()), 0.25 + 0.7 * rng.random())
