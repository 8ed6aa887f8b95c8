"""The picture being painted, far things first: colours, and what every pixel shows."""

from __future__ import annotations

from dataclasses import dataclass, field

import cv2
import numpy as np
import numpy.typing as npt

from demo_fleet.canvas import Sprite

PLANTED = 1000  # `what` of planted object t is PLANTED + t; below are class indices and VOID
VOID = 255
Rgb = npt.NDArray[np.float32]
Box = tuple[float, float, float, float]  # left, top, right, bottom


def _soft_disc(power: float) -> npt.NDArray[np.float32]:
    t = np.square(np.linspace(-1, 1, 48, dtype=np.float32))
    return np.asarray(np.clip(1.0 - t[:, None] - t[None, :], 0.0, 1.0) ** power, np.float32)


_SHADOW = np.zeros((48, 48, 4), np.uint8)
_SHADOW[..., 3] = 255 * _soft_disc(1.0)
_HALO = _soft_disc(3.0)


@dataclass(slots=True)
class Picture:
    """`rgb` (H, W, 3) uint8; `what` (H, W) uint16, see PLANTED."""

    rgb: npt.NDArray[np.uint8]
    what: npt.NDArray[np.uint16]
    lights: list[tuple[float, float, float, Rgb]] = field(default_factory=list)

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width."""
        return self.what.shape[0], self.what.shape[1]

    def paste(self, sprite: Sprite, box: Box, what: int, gain: Rgb, haze: Rgb) -> None:
        """Lay a sprite over the box, its colours times `gain` plus `haze`."""
        x0, y0 = round(box[0]), round(box[1])
        x1, y1 = max(round(box[2]), x0 + 1), max(round(box[3]), y0 + 1)
        while sprite.smaller is not None and 2 * (y1 - y0) <= sprite.rgba.shape[0]:
            sprite = sprite.smaller
        rgba, labels = sprite.rgba, sprite.labels
        cut = self._cut((x0, y0, x1, y1), rgba.shape[:2])
        if cut is None:
            return
        (cx0, cy0, cx1, cy1), part = cut
        size = (cx1 - cx0, cy1 - cy0)
        patch = np.asarray(cv2.resize(rgba[part], size, interpolation=cv2.INTER_LINEAR), np.uint8)
        self.blend((cx0, cy0), patch, gain, haze)
        solid = patch[..., 3] > 110
        shown = what if labels is None else cv2.resize(labels[part], size, interpolation=cv2.INTER_NEAREST)
        np.copyto(self.what[cy0:cy1, cx0:cx1], np.uint16(shown), where=solid)

    def blend(self, corner: tuple[int, int], rgba: npt.NDArray[np.uint8], gain: Rgb, haze: Rgb) -> None:
        """Blend a patch with premultiplied alpha that lies inside the picture."""
        x, y = corner
        h, w = rgba.shape[:2]
        region = self.rgb[y : y + h, x : x + w]
        matrix = np.zeros((3, 4), np.float32)
        matrix[0, 0], matrix[1, 1], matrix[2, 2] = gain
        matrix[:, 3] = haze * (1.0 / 255.0)
        paint = cv2.transform(rgba, matrix)
        clear = cv2.cvtColor(cv2.bitwise_not(rgba[..., 3]), cv2.COLOR_GRAY2RGB)
        cv2.add(cv2.multiply(region, clear, scale=1 / 255), paint, dst=region)

    def shade(self, box: Box, depth: float) -> None:
        """Darken a soft ellipse in the box by up to `depth`: a contact shadow."""
        x0, y0, x1, y1 = (round(b) for b in box)
        if x1 - x0 < 3 or y1 - y0 < 2:
            return
        cut = self._cut((x0, y0, x1, y1), _SHADOW.shape[:2])
        if cut is None:
            return
        (cx0, cy0, cx1, cy1), part = cut
        soft = cv2.resize(_SHADOW[..., 3][part], (cx1 - cx0, cy1 - cy0), interpolation=cv2.INTER_LINEAR)
        clear = cv2.cvtColor(cv2.convertScaleAbs(soft, alpha=-depth, beta=255.0), cv2.COLOR_GRAY2RGB)
        region = self.rgb[cy0:cy1, cx0:cx1]
        cv2.multiply(region, clear, dst=region, scale=1 / 255)

    def light(self, u: float, v: float, radius: float, colour: Rgb) -> None:
        """Add a soft light; drawn by `shine` when all is painted."""
        self.lights.append((u, v, radius, colour))

    def shine(self) -> None:
        """Add the lights collected by `light`."""
        for u, v, radius, colour in self.lights:
            r = min(radius, 0.35 * self.shape[1])
            cut = self._cut((round(u - r), round(v - r), round(u + r) + 1, round(v + r) + 1), _HALO.shape)
            if cut is None:
                continue
            (x0, y0, x1, y1), part = cut
            fall = cv2.resize(_HALO[part], (x1 - x0, y1 - y0), interpolation=cv2.INTER_LINEAR)
            region = self.rgb[y0:y1, x0:x1]
            cv2.add(region, np.clip(fall[..., None] * colour, 0, 255).astype(np.uint8), dst=region)

    def _cut(
        self, box: tuple[int, int, int, int], source: tuple[int, ...]
    ) -> tuple[tuple[int, int, int, int], tuple[slice, slice]] | None:
        """The part of a box inside the picture, and the part of its source (rows, columns) that falls there."""
        h, w = self.shape
        x0, y0, x1, y1 = box
        cx0, cy0, cx1, cy1 = max(x0, 0), max(y0, 0), min(x1, w), min(y1, h)
        if cx0 >= cx1 or cy0 >= cy1:
            return None
        if (cx0, cy0, cx1, cy1) == box:
            return box, (slice(None), slice(None))
        fx, fy = source[1] / (x1 - x0), source[0] / (y1 - y0)
        sx, sy = int((cx0 - x0) * fx), int((cy0 - y0) * fy)
        bottom, right = int(np.ceil((cy1 - y0) * fy)), int(np.ceil((cx1 - x0) * fx))
        return (cx0, cy0, cx1, cy1), (slice(sy, max(bottom, sy + 1)), slice(sx, max(right, sx + 1)))
