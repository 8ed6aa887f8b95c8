"""Large surfaces: the sky, and the walls along the road."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
import numpy.typing as npt

from demo_fleet.camera import Camera
from demo_fleet.canvas import Canvas, Sprite, with_smaller
from demo_fleet.classes import CLASSES
from demo_fleet.ground import ground_top
from demo_fleet.picture import Picture, Rgb
from demo_fleet.textures import (
    any_colour,
    jitter,
    noise_patch,
    pick,
    scaled,
)

BUILDING, WALL, FENCE = (CLASSES.index(n) for n in ("building", "wall", "fence"))
VEGETATION, SKY = (CLASSES.index(n) for n in ("vegetation", "sky"))
SKY_ROWS, SKY_COLUMNS, DRIFT = 104, 400, 40


@dataclass(frozen=True, slots=True)
class Sky:
    """All above the horizon, painted once: `paint` (104, 440, 3) uint8 and `labels` (104, 440) uint8."""

    paint: npt.NDArray[np.uint8]
    labels: npt.NDArray[np.uint8]

    def render(self, picture: Picture, camera: Camera, bearing: float) -> None:
        """Fill the picture above the horizon. `bearing` in [0, 1] turns the view a little."""
        rows = min(max(ground_top(camera), 1), camera.height)
        x = int(bearing * DRIFT)
        cut = np.s_[:, x : x + SKY_COLUMNS]
        size = (camera.width, rows)
        picture.rgb[:rows] = cv2.resize(self.paint[cut], size, interpolation=cv2.INTER_LINEAR)
        picture.what[:rows] = cv2.resize(self.labels[cut], size, interpolation=cv2.INTER_NEAREST)


def make_sky(rng: np.random.Generator, night: bool, overcast: bool, fog: Rgb | None, style: str) -> Sky:
    """A sky for the weather."""
    if night:
        top, low = np.array([6, 8, 18.0]), np.array([22, 22, 34.0]) * rng.uniform(0.6, 2.2)
        cloud, cover = low * 1.2, 0.1
    elif overcast:
        grey = rng.uniform(140, 235)
        top, low = grey * np.array([0.86, 0.9, 0.96]), grey * np.array([0.97, 0.99, 1.0])
        cloud, cover = np.full(3, grey * rng.uniform(0.8, 1.1)), 0.4
    elif rng.random() < 0.18:  # sunrise, sunset
        top, low = np.array([90, 120, 180.0]), np.array([246, 190, 130.0])
        cloud, cover = np.array([240, 160, 140.0]), rng.uniform(-0.3, 0.3)
    else:
        top = np.array([70, 130, 215.0]) * rng.uniform(0.8, 1.15)
        low = np.array([196, 220, 240.0]) * rng.uniform(0.9, 1.05)
        cloud, cover = np.array([244, 244, 246.0]), rng.uniform(-0.6, 0.4)
    city = style == "city" and rng.random() < 0.6
    n = int(rng.integers(12, 40))
    knots = rng.uniform(0.0, 0.26 if city else 0.18, n) * float(rng.uniform(0.3, 1.0)) + 0.015
    columns = SKY_COLUMNS + DRIFT
    at = np.linspace(0, n - 1.001, columns)
    hills = knots[at.astype(int)] if city else np.interp(at, np.arange(n), knots)
    if not city:
        hills = hills + np.abs(noise_patch(rng, "mottle", 2, columns)[0]) * 0.012
    hill = np.array([120, 122, 130.0] if city else [76, 98, 76.0]) * (0.1 if night else 1.0) * rng.uniform(0.6, 1.2)
    hill = hill + (low - hill) * rng.uniform(0.1, 0.6)
    if fog is not None:
        top, low, hill, cloud = (c + (fog - c) * k for c, k in ((top, 0.7), (low, 0.95), (hill, 0.93), (cloud, 0.8)))
    fall = np.linspace(0, 1, SKY_ROWS, dtype=np.float32) ** 1.3
    gradient = (top + (low - top) * fall[:, None]).astype(np.float32)
    cover_map = (noise_patch(rng, "cloud", 72, 200) + np.float32(cover)) * float(rng.uniform(0.7, 2.5))
    cover_map = cv2.resize(np.clip(cover_map, 0, 1).astype(np.float32), (columns, SKY_ROWS))
    cover_map *= (1.0 - 0.6 * fall)[:, None]
    clear = np.repeat(np.clip(gradient, 0, 255).astype(np.uint8)[:, None], columns, axis=1)
    clouds = np.empty_like(clear)
    clouds[:] = np.clip(cloud, 0, 255).astype(np.uint8)
    paint = np.asarray(cv2.blendLinear(clouds, clear, cover_map, 1.0 - cover_map), np.uint8)
    labels = np.full((SKY_ROWS, columns), SKY, np.uint8)
    first = int(SKY_ROWS * (1.0 - float(hills.max())))
    far = np.arange(first, SKY_ROWS)[:, None] >= SKY_ROWS * (1.0 - hills)[None, :]
    leaf = 1.0 + noise_patch(rng, "leaf", *far.shape)[..., None] * np.float32(0.05 if city else 0.14)
    np.copyto(paint[first:], np.clip(leaf * hill.astype(np.float32), 0, 255).astype(np.uint8), where=far[..., None])
    labels[first:][far] = BUILDING if city else VEGETATION
    return Sky(paint, labels)


# -- walls along the road ---------------------------------------------------------------------------------------


@lru_cache(maxsize=512)
def facade(variant: int, night: bool) -> Sprite:
    """A house front of about 10 m by 4 floors; at night already dark, with some windows lit."""
    rng = np.random.default_rng((4411, variant))
    floors, bays = int(rng.integers(3, 7)), int(rng.integers(3, 8))
    fh, bw = 36, 28
    h, w = floors * fh, bays * bw
    wall = pick(rng, (200, 184, 160), (176, 112, 86), (220, 214, 202), (150, 148, 146), (196, 170, 110), (120, 84, 70),
                (170, 180, 186))  # fmt: skip
    img = np.empty((h, w, 3), np.float32)
    img[:] = wall
    brick = rng.random() < 0.35
    img *= (1.0 + (0.1 if brick else 0.05) * noise_patch(rng, "grain" if brick else "mottle", h, w))[..., None]
    glow = np.zeros((h, w), bool)
    ww, wh = int(rng.integers(11, 23)), int(rng.integers(16, 29))
    glass = pick(rng, (60, 72, 88), (84, 100, 120), (40, 44, 52), (120, 140, 156))
    frame = pick(rng, (230, 228, 222), (80, 70, 60), scaled(wall, 0.7))
    for f in range(floors):
        for b in range(bays):
            y0, x0 = f * fh + (fh - wh) // 2, b * bw + (bw - ww) // 2
            if f == floors - 1 and rng.random() < 0.5:  # shops at street level
                y0, x0, hh, www = f * fh + 4, b * bw + 2, fh - 4, bw - 4
            else:
                hh, www = wh, ww
            img[y0 - 1 : y0 + hh + 1, x0 - 1 : x0 + www + 1] = frame
            shine = np.linspace(1.3, 0.7, hh, dtype=np.float32)[:, None, None] * float(rng.uniform(0.7, 1.3))
            img[y0 : y0 + hh, x0 : x0 + www] = np.clip(np.array(glass, np.float32) * shine, 0, 255)
            if rng.random() < 0.3:
                img[y0 : y0 + hh // 2, x0 : x0 + www] = np.array(any_colour(rng, 0.3)) * 0.8
            elif rng.random() < 0.25:
                glow[y0 : y0 + hh, x0 : x0 + www] = True
        if rng.random() < 0.5:
            img[f * fh : f * fh + 2] = scaled(wall, 0.75)
    img[:3] = scaled(wall, 0.6)
    if night:
        lit = np.array(pick(rng, (250, 210, 140), (230, 224, 200)), np.float32) * 0.8
        img = np.where(glow[..., None], lit, img * 0.13)
    rgba = np.full((h, w, 4), 255, np.uint8)
    rgba[..., :3] = np.clip(img, 0, 255)
    return with_smaller(Sprite(rgba, None, 3.1 * floors, 2.6 * bays))


@lru_cache(maxsize=256)
def side_strip(kind: str, variant: int) -> Sprite:
    """Ten metres of something that runs along the road: wall, fence, hedge, rail or noise barrier."""
    rng = np.random.default_rng((5519, ("wall", "fence", "hedge", "rail").index(kind), variant))
    px = 24
    if kind == "rail":
        c = Canvas(px, 13.0, rng)
        steel = pick(rng, (160, 164, 168), (130, 134, 138), (190, 190, 188))
        for x in np.arange(-6.4, 6.5, 2.6):
            c.rectangle(float(x) - 0.1, 0, float(x) + 0.1, 0.95, scaled(steel, 0.7), 0)
        c.rectangle(-6.6, 0.5, 6.6, 0.98, steel, 0.3)
        c.rectangle(-6.6, 0.7, 6.6, 0.78, scaled(steel, 0.6), 0)
        return Sprite(c.sprite(1.0).rgba, None, 0.78, 10.0)
    if kind == "fence":
        height = float(rng.uniform(0.9, 2.0))
        c = Canvas(40, 10.0 / height, rng)
        half = 5.0 / height
        colour = pick(rng, (120, 86, 56), (230, 230, 226), (60, 64, 62), (150, 154, 156), (80, 110, 80))
        solid = rng.random()
        for x in np.arange(-half, half, (0.1 if solid < 0.4 else 0.16) / height):
            end = float(x) + (0.085 if solid < 0.4 else 0.05) / height
            c.rectangle(float(x), 0, end, 0.96, jitter(rng, colour, 0.04), 0)
        for y in (0.2, 0.8):
            c.rectangle(-half, y, half, y + 0.07, scaled(colour, 0.8), 0)
        return Sprite(c.sprite(1.0).rgba, None, height, 10.0)
    height = float(rng.uniform(1.0, 2.2)) if kind == "hedge" or rng.random() < 0.7 else float(rng.uniform(2.5, 4.5))
    h, w = 48, 256
    if kind == "hedge":
        base, texture, grain = pick(rng, (54, 84, 40), (76, 98, 50), (90, 92, 50)), "leaf", 0.4
    else:
        base = pick(rng, (160, 156, 148), (150, 96, 76), (200, 190, 170), (120, 122, 124))
        texture, grain = ("grain", 0.14) if rng.random() < 0.4 else ("mottle", 0.08)
    img = np.empty((h, w, 3), np.float32)
    img[:] = base
    img *= (1 + grain * noise_patch(rng, texture, h, w))[..., None]
    if kind == "wall":
        for x in range(0, w, int(rng.integers(30, 90))):
            img[:, x : x + 2] *= 0.75
        img[:4] *= 1.15
        if rng.random() < 0.2:
            x = int(rng.integers(20, 180))
            cv2.ellipse(img, (x, 28), (22, 9), 0, 0, 300, any_colour(rng, 0.9), 3)
    img *= np.linspace(1.1, 0.8, h, dtype=np.float32)[:, None, None]
    rgba = np.full((h, w, 4), 255, np.uint8)
    rgba[..., :3] = np.clip(img, 0, 255)
    if kind == "hedge":
        bumps = (4 * np.abs(noise_patch(rng, "mottle", 2, w)[0])).astype(int)
        for x in range(w):
            rgba[: bumps[x], x] = 0
    return Sprite(rgba, None, height, 10.0)


def draw_wall(
    picture: Picture,
    camera: Camera,
    sprite: Sprite,
    x: float,
    z0: float,
    z1: float,
    height: float,
    label: int,
    gain: Rgb,
    haze: Rgb,
) -> None:
    """An upright surface along the road at x from z0 to z1, with the whole sprite on it."""
    near = 1.2
    if z1 <= near + 0.2:
        return
    while sprite.smaller is not None and 2.0 * camera.focal * height / max(z0, near) < sprite.rgba.shape[0]:
        sprite = sprite.smaller
    h, w = sprite.rgba.shape[:2]
    cut = 0.0
    if z0 < near:
        cut = (near - z0) / (z1 - z0) * w
        z0 = near
    corners = np.array(
        [[camera.u(x, z), camera.v(y, z)] for z, y in ((z0, height), (z1, height), (z1, 0.0), (z0, 0.0))], np.float32
    )
    rows, columns = picture.shape
    x0, y0 = np.floor(corners.min(axis=0)).astype(int)
    x1, y1 = np.ceil(corners.max(axis=0)).astype(int) + 1
    x0, y0, x1, y1 = max(int(x0), 0), max(int(y0), 0), min(int(x1), columns), min(int(y1), rows)
    if x1 <= x0 or y1 <= y0:
        return
    source = np.array([[cut, 0], [w, 0], [w, h], [cut, h]], np.float32)
    matrix = cv2.getPerspectiveTransform(source, corners - np.array([x0, y0], np.float32))
    patch = np.asarray(cv2.warpPerspective(sprite.rgba, matrix, (x1 - x0, y1 - y0), flags=cv2.INTER_LINEAR), np.uint8)
    picture.blend((x0, y0), patch, gain, haze)
    np.copyto(picture.what[y0:y1, x0:x1], np.uint16(label), where=patch[..., 3] > 110)
