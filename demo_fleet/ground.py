"""The road and what lies beside it, seen from above."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from demo_fleet.camera import Camera
from demo_fleet.classes import CLASSES
from demo_fleet.picture import Picture, Rgb
from demo_fleet.textures import (
    TILE,
    Colour,
    jitter,
    noise_patch,
    noise_tile,
    pick,
    scaled,
)
from demo_fleet.weather import Weather

ROAD, SIDEWALK, TERRAIN = (CLASSES.index(n) for n in ("road", "sidewalk", "terrain"))
WIDE, PERIOD = 26.0, 48.0  # metres that the painted ground spans to each side, and after which it repeats
STEP_X, STEP_Z = 0.0625, 0.2  # metres a pixel
GRAIN = 0.03  # metres that one pixel of the fine noise spans


@dataclass(frozen=True, slots=True)
class Layout:
    """The cross-section of a road: x in metres, 0 at the middle of the own lane."""

    style: str  # motorway, city, suburb, country, construction
    left: float  # edges of the carriageway
    right: float
    lanes: tuple[float, ...]  # middles of the lanes
    oncoming: tuple[float, ...]  # of these, with traffic towards us
    pavement: float  # width of the sidewalks, 0 for none


def make_layout(rng: np.random.Generator) -> Layout:
    """A random road."""
    styles = ["motorway", "city", "suburb", "country", "construction"]
    style = str(rng.choice(styles, p=[0.2, 0.33, 0.2, 0.19, 0.08]))
    lane = {"motorway": 3.6, "country": 2.9}.get(style, 3.2) * float(rng.uniform(0.93, 1.1))
    if style == "motorway":
        count = int(rng.integers(2, 5))
        own = int(rng.integers(count))
        shoulder = float(rng.uniform(0.8, 2.8))
        lanes = tuple((i - own) * lane for i in range(count))
        return Layout(style, lanes[0] - lane / 2 - 0.6, lanes[-1] + lane / 2 + shoulder, lanes, (), 0.0)
    own_side = int(rng.integers(1, 3)) if style == "city" else 1
    other = own_side if rng.random() < 0.8 else 0
    own = int(rng.integers(own_side))
    lanes = tuple((i - other - own) * lane for i in range(other + own_side))
    extra = float(rng.uniform(1.6, 2.4)) if style in ("city", "suburb") and rng.random() < 0.6 else 0.3
    pavement = float(rng.uniform(1.4, 4.0)) if style in ("city", "suburb") else 0.0
    mirrored = rng.random() < 0.3  # traffic on the left
    left, right = lanes[0] - lane / 2 - extra, lanes[-1] + lane / 2 + extra
    oncoming = lanes[:other]
    if mirrored:
        left, right = -right, -left
        lanes, oncoming = tuple(-x for x in lanes[::-1]), tuple(-x for x in oncoming)
    return Layout(style, left, right, lanes, oncoming, pavement)


@dataclass(frozen=True, slots=True)
class Ground:
    """The painted ground from above: rows along the road, columns across it.

    `paint` (rows, columns, 4) uint8: RGB, and how strongly the fine noise shows there. `labels` (1, columns).
    """

    paint: npt.NDArray[np.uint8]
    labels: npt.NDArray[np.uint8]
    fine: int
    shift: float
    detail: float

    def render(self, picture: Picture, camera: Camera, s: float, side: float, weather: Weather) -> None:
        """Fill the picture below the horizon. `s`: metres driven, `side`: metres right of the own lane."""
        top = ground_top(camera)
        x, z = camera.ground(top)
        light, haze = weather.ground(x, z)
        columns = (x + (side + WIDE)) * (1.0 / STEP_X)
        np.clip(columns, 0, self.labels.shape[1] - 1, out=columns)
        rows = across((np.minimum(z, 400.0) + s) % PERIOD / STEP_Z, camera.width)
        paint = cv2.remap(self.paint, columns, rows, cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP)
        picture.what[top:] = cv2.remap(self.labels, columns, np.zeros_like(rows), cv2.INTER_NEAREST)
        cut = int(np.searchsorted(-z, -40.0))  # too far to see any grain above this row
        if cut < len(z):
            near = z[cut:]
            tile = noise_tile("fine", self.fine)
            at = across((near + s) * (1 / GRAIN) % TILE, camera.width)
            over = (x[cut:] + (side + self.shift)) * (1 / GRAIN) % TILE
            noise = np.asarray(cv2.remap(tile, over, at, cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP), np.float32)
            # Where a pixel spans several grains they average out.
            noise *= (np.minimum(1.0, 0.6 * GRAIN * camera.focal / near) * (0.0045 * self.detail))[:, None]
            noise *= np.asarray(paint[cut:, :, 3])
            light = light if light.shape[1] > 1 else across(light[:, 0], camera.width)
            light[cut:] *= 1.0 + noise
        elif light.shape[1] == 1:
            light = across(light[:, 0], camera.width)
        region = picture.rgb[top:]
        cv2.multiply(cv2.cvtColor(paint, cv2.COLOR_RGBA2RGB), cv2.cvtColor(light, cv2.COLOR_GRAY2RGB), dst=region,
                     dtype=cv2.CV_8U)  # fmt: skip
        if weather.fog > 0:
            cv2.add(region, cv2.resize(haze, (camera.width, len(z)), interpolation=cv2.INTER_NEAREST), dst=region)


def across(column: npt.NDArray[Any], width: int) -> npt.NDArray[np.float32]:
    return np.repeat(column.astype(np.float32)[:, None], width, axis=1)


def ground_top(camera: Camera) -> int:
    """The first row of pixels that shows the ground."""
    return min(max(int(np.ceil(camera.horizon + 0.5)), 0), camera.height - 2)


def make_ground(rng: np.random.Generator, layout: Layout, tint: Rgb) -> Ground:
    """Paint asphalt, pavements, verges, lane markings, patches, cracks, puddles and shadows.

    `tint` (3,) is the colour of the light.
    """
    rows, columns = round(PERIOD / STEP_Z), round(2 * WIDE / STEP_X)
    profile = np.zeros((columns, 4), np.float32)
    labels = np.zeros((1, columns), np.uint8)

    def col(x: float) -> int:
        return min(max(round((x + WIDE) / STEP_X), 0), columns)

    def band(x0: float, x1: float, label: int, colour: Colour, grain: float) -> None:
        profile[col(x0) : col(x1)] = (*colour, min(grain, 1.0) * 255)
        labels[0, col(x0) : col(x1)] = label

    tone = float(rng.uniform(55, 165))
    tint_off = rng.normal(0, 5, 3)
    asphalt = (tone + tint_off[0], tone + tint_off[1], tone + tint_off[2])
    earth = pick(rng, (96, 112, 58), (120, 116, 70), (82, 98, 52), (146, 124, 86), (150, 142, 112))
    if layout.style == "construction":
        earth = pick(rng, (150, 122, 86), (168, 146, 110), (120, 100, 78))
    band(-WIDE, WIDE, TERRAIN, earth, 0.75)
    if layout.style == "city":
        band(-WIDE, WIDE, SIDEWALK, jitter(rng, (142, 138, 132), 0.12), 0.22)
    slab = jitter(rng, pick(rng, (150, 146, 140), (168, 150, 132), (128, 126, 126)), 0.08)
    walks = ((layout.left - layout.pavement, layout.left), (layout.right, layout.right + layout.pavement))
    if layout.pavement:
        for x0, x1 in walks:
            band(x0, x1, SIDEWALK, slab, 0.22)
            for x in np.arange(x0, x1, float(rng.uniform(0.4, 1.2))):
                profile[col(x), :3] = scaled(slab, 0.8)
    band(layout.left, layout.right, ROAD, asphalt, float(rng.uniform(0.2, 0.55)))
    if layout.pavement:
        kerb = jitter(rng, (170, 168, 162), 0.08)
        band(layout.left - 0.16, layout.left, SIDEWALK, kerb, 0.15)
        band(layout.right, layout.right + 0.16, SIDEWALK, kerb, 0.15)
    profile[:, :3] *= tint
    paint = np.repeat(np.clip(profile, 0, 255).astype(np.uint8)[None], rows, axis=0)
    if layout.pavement:
        joint = int(rng.integers(4, 9))
        for x0, x1 in walks:
            paint[::joint, col(x0) : col(x1), :3] = np.clip(np.array(scaled(slab, 0.85)) * tint, 0, 255)
    road = paint[:, col(layout.left) : col(layout.right)]
    _age(rng, road, layout)
    _mark(rng, road, layout, tone, tint)
    # Shadows, and broad blotches so that no surface is one colour.
    gain = 1.0 + noise_patch(rng, "cloud", rows // 4, columns // 4) * float(rng.uniform(0.03, 0.12))
    gain *= _shadows(rng, rows // 4, columns // 4, layout)
    full = np.asarray(cv2.resize(gain, (columns, rows), interpolation=cv2.INTER_LINEAR), np.float32)
    lit = np.asarray(cv2.multiply(paint, cv2.merge([full, full, full, np.ones_like(full)]), dtype=cv2.CV_8U), np.uint8)
    return Ground(np.concatenate([lit, lit[:1]]), labels, int(rng.integers(3)), float(rng.uniform(0, 15)),
                  float(rng.uniform(0.5, 1.3)))  # fmt: skip


def _age(rng: np.random.Generator, road: npt.NDArray[np.uint8], layout: Layout) -> None:
    """Repairs, cracks, manholes, puddles, skid marks: all of them road, none of them an object."""
    rows, columns = road.shape[:2]
    base = road[0, columns // 2, :3].astype(float)

    def tinted(gain: float) -> tuple[float, float, float, float]:
        r, g, b = np.clip(base * gain, 0, 255)
        return float(r), float(g), float(b), 110.0

    for _ in range(int(rng.poisson(2.5))):
        at = rng.uniform(0, columns), rng.uniform(0, rows)
        w, h = rng.uniform(0.4, 2.8) / STEP_X, rng.uniform(0.6, 9.0) / STEP_Z
        p = np.array([(0, 0), (w, rng.normal(0, 2)), (w, h), (0, h + rng.normal(0, 2))]) + at
        cv2.fillPoly(road, [p.astype(np.int32)], tinted(float(rng.choice([0.72, 0.82, 1.15, 1.25]))))
    for _ in range(int(rng.poisson(3))):
        n = int(rng.integers(4, 12))
        along = rng.random() < 0.5
        dx = rng.normal(0, 4 if along else 9, n).cumsum()
        dz = rng.normal(4 if along else 0, 3, n).cumsum()
        p = np.stack([rng.uniform(0, columns) + dx, rng.uniform(0, rows) + dz], axis=1)
        cv2.polylines(road, [p.astype(np.int32)], False, tinted(float(rng.uniform(0.4, 0.65))), int(rng.integers(1, 3)))
    for _ in range(int(rng.poisson(0.8))):
        centre = (int(rng.integers(8, columns - 8)), int(rng.integers(4, rows - 4)))
        cv2.ellipse(road, centre, (round(0.33 / STEP_X), max(round(0.33 / STEP_Z), 1)), 0, 0, 360, tinted(0.5), -1)
    for _ in range(int(rng.poisson(1.0)) if rng.random() < 0.4 else 0):
        centre = (int(rng.integers(0, columns)), int(rng.integers(0, rows)))
        size = (round(rng.uniform(0.3, 1.4) / STEP_X), round(rng.uniform(0.4, 2.5) / STEP_Z))
        puddle = rng.uniform(90, 190)
        wet = (puddle * 0.94, puddle, puddle * 1.06, 12.0)
        cv2.ellipse(road, centre, size, float(rng.normal(0, 8)), 0, 360, wet, -1)
    if rng.random() < 0.4:  # tyre tracks
        for lane in layout.lanes:
            for x in (lane - 0.75, lane + 0.75):
                c = round((x - layout.left) / STEP_X)
                cut = np.s_[:, max(c - 3, 0) : c + 4, :3]
                road[cut] = (road[cut] * 0.88).astype(np.uint8)


def _mark(rng: np.random.Generator, road: npt.NDArray[np.uint8], layout: Layout, tone: float, tint: Rgb) -> None:
    """Lane markings, crossings and arrows."""
    rows, columns = road.shape[:2]
    if layout.style in ("country", "construction") and rng.random() < 0.3:
        return
    worn = float(rng.uniform(0.55, 1.0))
    white = np.clip((np.array([225, 225, 220]) * worn + tone * (1 - worn)) * tint, 0, 255)
    yellow = np.clip((np.array([222, 170, 50]) * worn + tone * (1 - worn)) * tint, 0, 255)
    width = float(rng.uniform(0.1, 0.2))
    dash, gap = ((6.0, 6.0), (3.0, 9.0), (3.0, 5.0), (2.0, 4.0))[int(rng.integers(4))]
    phase = (np.arange(rows) * STEP_Z) % (dash + gap) < dash

    def col(x: float) -> int:
        return min(max(round((x - layout.left) / STEP_X), 0), int(columns))

    def line(x: float, colour: npt.NDArray[np.float64], dashed: bool) -> None:
        road[phase if dashed else slice(None), col(x - width / 2) : col(x + width / 2) + 1, :3] = colour

    lanes = layout.lanes
    middle = yellow if rng.random() < 0.35 else white
    for a, b in pairwise(lanes):
        meets = (a in layout.oncoming) != (b in layout.oncoming)
        if meets and rng.random() < 0.3:
            line((a + b) / 2 - 0.14, middle, False)
            line((a + b) / 2 + 0.14, middle, rng.random() < 0.4)
        else:
            line((a + b) / 2, middle if meets else white, not (meets and rng.random() < 0.3))
    if rng.random() < 0.75 and len(lanes) > 1:
        half = (lanes[1] - lanes[0]) / 2
        line(lanes[0] - half + 0.1, middle if rng.random() < 0.3 else white, False)
        line(lanes[-1] + half - 0.1, white, False)
    if layout.style == "city" and rng.random() < 0.4:
        z = int(rng.integers(12, rows - 30))
        for x in np.arange(layout.left + 0.3, layout.right - 0.5, 1.0):
            road[z : z + 18, col(x) : col(x + 0.5), :3] = white
        road[z - 10 : z - 8, :, :3] = white
    if layout.style in ("city", "motorway") and rng.random() < 0.4:
        at = col(float(rng.choice(lanes))), float(rng.uniform(5, rows - 40))
        arrow = np.array([(-0.08, 0), (0.08, 0), (0.08, 2.4), (0.35, 2.4), (0, 4.2), (-0.35, 2.4), (-0.08, 2.4)])
        p = arrow / (STEP_X, STEP_Z) + at
        cv2.fillPoly(road, [p.astype(np.int32)], (*white.tolist(), 60.0))


def _shadows(rng: np.random.Generator, rows: int, columns: int, layout: Layout) -> npt.NDArray[np.float32]:
    """Gain (rows, columns) of the light where trees, poles and houses throw their shadows on the ground."""
    mask = np.zeros((rows, columns), np.uint8)
    if rng.random() < 0.45:
        return np.ones((rows, columns), np.float32)
    wide = columns / (2 * WIDE)
    long = rows / PERIOD
    for _ in range(int(rng.integers(1, 6))):
        z, reach = rng.uniform(0, rows), rng.uniform(3, 16) * wide
        sign = float(rng.choice([-1, 1]))
        x0 = ((layout.left - 3 if sign > 0 else layout.right + 3) + WIDE) * wide
        x1 = x0 + sign * reach
        style = rng.integers(3)
        if style == 0:
            cv2.line(mask, (int(x0), int(z)), (int(x1), int(z + rng.normal(0, 3))), 255, 1)
        elif style == 1:
            for _ in range(14):
                centre = (int(rng.uniform(min(x0, x1), max(x0, x1))), int(z + rng.normal(0, 2)))
                cv2.ellipse(mask, centre, (int(rng.integers(2, 10)), int(rng.integers(1, 4))), 0, 0, 360, 255, -1)
        else:
            d = rng.uniform(2, 8) * long
            p = np.array([(x0, z), (x1, z + rng.normal(0, 3)), (x1, z + d), (x0, z + d)])
            cv2.fillPoly(mask, [p.astype(np.int32)], 255)
    return 1.0 - mask.astype(np.float32) * (float(rng.uniform(0.2, 0.6)) / 255.0)
