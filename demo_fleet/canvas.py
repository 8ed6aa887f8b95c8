"""A small RGBA canvas on which one object is drawn out of shaded, textured parts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import cv2
import numpy as np
import numpy.typing as npt

from demo_fleet.textures import Colour, noise_patch, scaled

Point = tuple[float, float]
Gain = npt.NDArray[np.float32]
Points = Sequence[Point] | npt.NDArray[np.float64]
_SHIFT = 4
_UNIT = 1 << _SHIFT
_RING = np.stack([f(np.linspace(0.0, 2 * np.pi, 28, endpoint=False)) for f in (np.cos, np.sin)], axis=1)


@dataclass(frozen=True, slots=True)
class Sprite:
    """A drawn object: what it looks like, and which class each of its pixels has."""

    rgba: npt.NDArray[np.uint8]  # (h, w, 4), premultiplied alpha, rows from the top
    labels: npt.NDArray[np.uint8] | None  # (h, w) class index, or None when all is one class
    height_m: float  # metres that the h rows span
    width_m: float  # metres that the w columns span
    smaller: Sprite | None = None  # the same at half the resolution, for when it is far away


def with_smaller(sprite: Sprite, least: int = 24) -> Sprite:
    """The sprite with its chain of halved copies, down to `least` rows."""
    h, w = sprite.rgba.shape[:2]
    if h < 2 * least or w < 8:
        return sprite
    size = (w // 2, h // 2)
    labels = sprite.labels
    if labels is not None:
        labels = np.asarray(cv2.resize(labels, size, interpolation=cv2.INTER_NEAREST), np.uint8)
    rgba = np.asarray(cv2.resize(sprite.rgba, size, interpolation=cv2.INTER_AREA), np.uint8)
    half = Sprite(rgba, labels, sprite.height_m, sprite.width_m)
    return replace(sprite, smaller=with_smaller(half, least))


def mirrored(sprite: Sprite) -> Sprite:
    """The sprite looking the other way."""
    labels = None if sprite.labels is None else np.ascontiguousarray(sprite.labels[:, ::-1])
    return Sprite(np.ascontiguousarray(sprite.rgba[:, ::-1]), labels, sprite.height_m, sprite.width_m)


class Canvas:
    """Paints in object units: y up from the ground at 0 to the top at 1, x around 0 in units of the height.

    `aspect` is the width of the drawing area over its height. `texture` names a noise tile that is laid over
    a part; `shade` says how strongly a part is lit from above at its upper rim and dark at its lower one.
    """

    def __init__(self, height_px: int, aspect: float, rng: np.random.Generator) -> None:
        self.rng = rng
        self.scale = float(height_px)
        pad = 0.06
        self._origin = ((aspect / 2 + pad) * height_px, (1 + pad) * height_px)
        h = math.ceil((1 + 2 * pad) * height_px)
        w = math.ceil((aspect + 2 * pad) * height_px)
        self._rgb = np.zeros((h, w, 3), np.float32)
        self._alpha = np.zeros((h, w), np.float32)
        self._labels = np.zeros((h, w), np.uint8)
        self.label = 0
        self.stride: float | None = None  # how far through its step a walking animal is, in [0, 1)
        self._light_x = float(rng.uniform(0.15, 0.85))  # where in the kernel the light comes from

    def step(self, length: float, otherwise: float) -> float:
        """How far a foot is ahead at this point of the stride; `otherwise` when it is not walking."""
        return otherwise if self.stride is None else length * math.cos(2 * math.pi * self.stride)

    # -- shapes ---------------------------------------------------------------------------------------------

    def polygon(
        self,
        points: Points,
        colour: Colour,
        shade: float = 0.25,
        texture: str | None = None,
        grain: float = 0.12,
    ) -> None:
        """Fill a closed polygon."""
        xy = self._pixels(points)
        box = self._box(xy, 0.0)
        if box is None:
            return
        mask = np.zeros((box[3] - box[1], box[2] - box[0]), np.uint8)
        fixed = np.round((xy - (box[0], box[1])) * _UNIT).astype(np.int32)
        cv2.fillPoly(mask, [fixed], 255, cv2.LINE_AA, _SHIFT)
        self._paint(mask, box, colour, shade, texture, grain)

    def blob(
        self,
        points: Sequence[Point],
        colour: Colour,
        shade: float = 0.3,
        texture: str | None = None,
        grain: float = 0.12,
    ) -> None:
        """Fill a closed smooth curve (Catmull-Rom) through the points."""
        self.polygon(smooth(points, closed=True), colour, shade, texture, grain)

    def ellipse(
        self,
        centre: Point,
        rx: float,
        ry: float,
        colour: Colour,
        angle: float = 0.0,
        shade: float = 0.3,
        texture: str | None = None,
        grain: float = 0.12,
    ) -> None:
        """Fill an ellipse; `angle` in degrees, counter-clockwise."""
        c, s = math.cos(math.radians(angle)), math.sin(math.radians(angle))
        ring = _RING @ np.array([[c * rx, s * rx], [-s * ry, c * ry]]) + centre
        self.polygon(ring, colour, shade, texture, grain)

    def limb(
        self,
        points: Sequence[Point],
        widths: Sequence[float] | float,
        colour: Colour,
        shade: float = 0.3,
        texture: str | None = None,
        grain: float = 0.12,
    ) -> None:
        """A rounded stroke along the points whose full width goes through `widths`."""
        w = [widths] * len(points) if isinstance(widths, (int, float)) else list(widths)
        xy = self._pixels(points)
        r = np.array(w, np.float64) * self.scale / 2
        box = self._box(xy, float(r.max()))
        if box is None:
            return
        mask = np.zeros((box[3] - box[1], box[2] - box[0]), np.uint8)
        xy -= box[:2]
        dots = [(x, y, max(radius, 0.4)) for (x, y), radius in zip(xy.tolist(), r.tolist(), strict=True)]
        for x, y, radius in dots:
            cv2.circle(mask, (round(x * _UNIT), round(y * _UNIT)), round(radius * _UNIT), 255, -1, cv2.LINE_AA, _SHIFT)
        for (px, py, rp), (qx, qy, rq) in pairwise(dots):
            length = max(math.hypot(qx - px, qy - py), 1e-6)
            nx, ny = (py - qy) / length, (qx - px) / length
            quad = ((px + nx * rp, py + ny * rp), (qx + nx * rq, qy + ny * rq),
                    (qx - nx * rq, qy - ny * rq), (px - nx * rp, py - ny * rp))  # fmt: skip
            cv2.fillPoly(mask, [(np.array(quad) * _UNIT).astype(np.int32)], 255, cv2.LINE_AA, _SHIFT)
        self._paint(mask, box, colour, shade, texture, grain)

    def rectangle(
        self,
        x0: float,
        y0: float,
        x1: float,
        y1: float,
        colour: Colour,
        shade: float = 0.12,
        texture: str | None = None,
        grain: float = 0.12,
    ) -> None:
        """Fill an upright rectangle."""
        self.polygon([(x0, y0), (x1, y0), (x1, y1), (x0, y1)], colour, shade, texture, grain)

    def box(
        self,
        x0: float,
        y0: float,
        x1: float,
        y1: float,
        side: float,
        top: float,
        colour: Colour,
        texture: str | None = None,
        grain: float = 0.12,
    ) -> None:
        """A box seen from a little above: front face, a side of width `side` (left if negative), a top."""
        edge = x1 if side > 0 else x0
        if side:
            flank = [(edge, y0), (edge + side, y0 + top), (edge + side, y1 + top), (edge, y1)]
            self.polygon(flank, scaled(colour, 0.62), 0.1, texture, grain)
        if top > 0:
            lid = [(x0, y1), (x1, y1), (x1 + side, y1 + top), (x0 + side, y1 + top)]
            self.polygon(lid, scaled(colour, 1.22), 0.05, texture, grain)
        self.rectangle(x0, y0, x1, y1, colour, 0.1, texture, grain)

    def wheel(self, centre: Point, radius: float, tyre: Colour = (28, 28, 30), hub: Colour = (150, 150, 155)) -> None:
        """A wheel seen from the side."""
        self.ellipse(centre, radius, radius, tyre, shade=0.35)
        self.ellipse(centre, 0.6 * radius, 0.6 * radius, hub, shade=0.25)
        self.ellipse(centre, 0.2 * radius, 0.2 * radius, scaled(hub, 0.5))

    def ring(self, centre: Point, radius: float, width: float, colour: Colour, squeeze: float = 1.0) -> None:
        """A hoop: a bicycle wheel, a rim, a handle."""
        t = np.linspace(0.0, 2 * np.pi, 26)
        points = [(centre[0] + squeeze * radius * float(np.cos(a)), centre[1] + radius * float(np.sin(a))) for a in t]
        self.limb(points, width, colour, 0.15)

    # -- result ---------------------------------------------------------------------------------------------

    def sprite(self, height_m: float, turn: float = 0.0, squeeze: float = 1.0, labelled: bool = False) -> Sprite:
        """What was drawn, cropped to what is visible.

        `height_m`: metres of one object unit. `turn`: degrees by which the object is tipped over.
        `squeeze`: width factor, as when it stands at an angle to the viewer.
        """
        rgba = np.empty((*self._alpha.shape, 4), np.uint8)
        cover = 255.0 * self._alpha
        rgba[..., :3] = np.clip(self._rgb, 0.0, cover[..., None])  # a lit rim can be brighter than white
        rgba[..., 3] = cover
        labels = self._labels if labelled else None
        if turn:
            rgba = _turned(rgba, turn, cv2.INTER_LINEAR)
            labels = None if labels is None else _turned(labels, turn, cv2.INTER_NEAREST)
        seen = rgba[..., 3] > 12
        rows, cols = np.flatnonzero(seen.any(axis=1)), np.flatnonzero(seen.any(axis=0))
        if not len(rows):
            rows, cols = np.arange(2), np.arange(2)
        cut = np.s_[rows[0] : rows[-1] + 1, cols[0] : cols[-1] + 1]
        rgba = np.ascontiguousarray(rgba[cut])
        labels = None if labels is None else np.ascontiguousarray(labels[cut])
        metres = height_m / self.scale
        return Sprite(rgba, labels, rgba.shape[0] * metres, rgba.shape[1] * metres * squeeze)

    def picture(self, rgba: npt.NDArray[np.uint8]) -> None:
        """Lay an (h, w, 4) uint8 RGBA picture, alpha not premultiplied, over the canvas: one unit high, on the ground.

        Raises ValueError for another shape or type.
        """
        if rgba.ndim != 3 or rgba.shape[2] != 4 or rgba.dtype != np.uint8:
            raise ValueError(f"a picture is (h, w, 4) uint8, not {rgba.shape} {rgba.dtype}.")
        h, w = rgba.shape[:2]
        columns = self._alpha.shape[1]
        factor = min(self.scale / h, columns / w)  # a wide one is lower, not cut
        size = (max(1, round(w * factor)), max(1, round(h * factor)))
        left, top = round(self._origin[0] - size[0] / 2), round(self._origin[1]) - size[1]
        part = (slice(max(top, 0), max(top, 0) + size[1]), slice(max(left, 0), max(left, 0) + size[0]))
        share = rgba[..., 3:].astype(np.float32) / 255
        flat = np.concatenate([rgba[..., :3] * share, share], axis=2)
        flat = cv2.resize(flat, size, interpolation=cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR)
        clear = 1 - flat[..., 3]
        self._rgb[part] = self._rgb[part] * clear[..., None] + flat[..., :3]
        self._alpha[part] = self._alpha[part] * clear + flat[..., 3]

    # -- inside ---------------------------------------------------------------------------------------------

    def _pixels(self, points: Points) -> npt.NDArray[np.float64]:
        xy = np.asarray(points, np.float64)
        return xy * (self.scale, -self.scale) + self._origin

    def _box(self, xy: npt.NDArray[np.float64], margin: float) -> tuple[int, int, int, int] | None:
        h, w = self._alpha.shape
        (left, top), (right, bottom) = xy.min(axis=0).tolist(), xy.max(axis=0).tolist()
        x0, y0 = max(math.floor(left - margin) - 1, 0), max(math.floor(top - margin) - 1, 0)
        x1, y1 = min(math.ceil(right + margin) + 2, w), min(math.ceil(bottom + margin) + 2, h)
        return None if x1 <= x0 or y1 <= y0 else (x0, y0, x1, y1)

    def _paint(
        self,
        mask: npt.NDArray[np.uint8],
        box: tuple[int, int, int, int],
        colour: Colour,
        shade: float,
        texture: str | None,
        grain: float,
    ) -> None:
        x0, y0, x1, y1 = box
        m = mask.astype(np.float32)
        m *= 1.0 / 255.0
        gain: Gain = np.ones_like(m)
        if shade:
            k = max(int(0.6 * min(mask.shape)), 3) | 1
            ax = int(self._light_x * (k - 1))
            # A box blur with its anchor at the top looks down, one with its anchor at the bottom looks up:
            # their difference is bright along the upper rim and dark along the lower.
            down = cv2.blur(m, (k, k), anchor=(ax, 0), borderType=cv2.BORDER_CONSTANT)
            up = cv2.blur(m, (k, k), anchor=(k - 1 - ax, k - 1), borderType=cv2.BORDER_CONSTANT)
            gain = np.asarray(cv2.addWeighted(down, 1.4 * shade, up, -1.4 * shade, 1.0 - 0.3 * shade), np.float32)
        if texture:
            zoom = max(self.scale / 160.0, 0.5)
            noise = noise_patch(self.rng, texture, m.shape[0], m.shape[1], zoom)
            gain = np.asarray(cv2.scaleAdd(noise, grain, gain), np.float32)
        part = self._rgb[y0:y1, x0:x1]
        paint = cv2.merge([gain * np.float32(c) for c in colour])
        clear = 1.0 - m
        part[:] = cv2.blendLinear(paint, part, m, clear)
        alpha = self._alpha[y0:y1, x0:x1]
        alpha *= clear
        alpha += m
        self._labels[y0:y1, x0:x1][mask > 127] = self.label


def smooth(points: Sequence[Point], closed: bool = False, steps: int = 6) -> list[Point]:
    """Points of the Catmull-Rom spline through `points`."""
    p = np.array(points, np.float64)
    p = np.concatenate([p[-1:], p, p[:2]]) if closed else np.concatenate([p[:1], p, p[-1:]])
    t = np.linspace(0.0, 1.0, steps, endpoint=False)[None, :, None]
    a, b, c, d = (p[i : len(p) - 3 + i, None, :] for i in range(4))
    curve = 0.5 * (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2 + (3 * b - a - 3 * c + d) * t**3)
    flat = curve.reshape(-1, 2)
    if not closed:
        flat = np.concatenate([flat, p[-1:]])
    return [(float(x), float(y)) for x, y in flat]


def _turned(image: npt.NDArray[np.uint8], degrees: float, flag: int) -> npt.NDArray[np.uint8]:
    h, w = image.shape[:2]
    c, s = abs(np.cos(np.radians(degrees))), abs(np.sin(np.radians(degrees)))
    out_w, out_h = int(np.ceil(w * c + h * s)), int(np.ceil(w * s + h * c))
    matrix = cv2.getRotationMatrix2D((w / 2, h / 2), degrees, 1.0)
    matrix[:, 2] += (out_w - w) / 2, (out_h - h) / 2
    return np.asarray(cv2.warpAffine(image, matrix, (out_w, out_h), flags=flag), np.uint8)
