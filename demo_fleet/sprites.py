"""Kinds out of a folder of pictures: a look that nothing of this project has drawn."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from demo_fleet.canvas import Canvas
from demo_fleet.kinds import Kind

_SIZE_M = 0.8
"""Pictures do not tell how big a thing is; in a still scene the size in pixels is drawn anyway."""


@dataclass(frozen=True, slots=True)
class _Paste:
    path: Path

    def __call__(self, canvas: Canvas, rng: np.random.Generator) -> None:
        canvas.picture(_read(self.path))


def sprite_kinds(folder: Path, wanted: Callable[[str], bool] = lambda name: True) -> tuple[Kind, ...]:
    """A kind for every picture of a folder whose name is wanted, in the order of the file names.

    Args:
        folder: RGBA pictures (WebP or PNG) whose file names are the Unicode code point of what they show, in
            hexadecimal: ``1f42e.webp`` is called "cow". Names of several code points are left out.
        wanted: told the lower-case Unicode name, without a trailing "face".

    Raises:
        ValueError: a folder with no such picture.
    """
    kinds: dict[str, Kind] = {}
    for path in sorted(folder.glob("*.[wp][en][bg]*")):
        name = _name(path.stem)
        if name and name not in kinds and wanted(name):
            kinds[name] = Kind(name, (), "sprite", _SIZE_M, _Paste(path), aspect=1.0)
    if not kinds:
        raise ValueError(f"{folder} holds no picture named by a Unicode code point: name a folder of such.")
    return tuple(kinds.values())


def _name(stem: str) -> str:
    points = [part for part in stem.lower().split("-") if part != "fe0f"]
    if len(points) != 1 or not 2 <= len(points[0]) <= 6 or not set(points[0]) <= set("0123456789abcdef"):
        return ""
    return unicodedata.name(chr(int(points[0], 16)), "").lower().removesuffix(" face")


@lru_cache(maxsize=512)
def _read(path: Path) -> npt.NDArray[np.uint8]:
    """(h, w, 4) RGBA, cut to what is not transparent."""
    image = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    if image is None or image.ndim != 3 or image.shape[2] != 4 or not image[..., 3].any():
        raise ValueError(f"{path} is no RGBA picture with anything on it: take it out of the folder.")
    x, y, w, h = cv2.boundingRect((image[..., 3] > 8).astype(np.uint8))
    return np.ascontiguousarray(image[y : y + h, x : x + w, [2, 1, 0, 3]])
