"""What wind, weather and fields bring onto the road."""

from __future__ import annotations

import numpy as np

from demo_fleet.canvas import Canvas, Point, smooth
from demo_fleet.kinds import Draw, Kind
from demo_fleet.textures import Colour, jitter, pick, scaled

BARK: Colour = (92, 72, 54)
LEAF: Colour = (70, 104, 44)


def _rough(rng: np.random.Generator, rx: float, ry: float, cy: float, n: int, wild: float) -> list[Point]:
    a = np.linspace(0, 2 * np.pi, n, endpoint=False) + rng.uniform(-0.15, 0.15, n)
    r = 1 + wild * rng.normal(size=n)
    return [(float(rx * k * np.cos(t)), max(float(cy + ry * k * np.sin(t)), 0.0)) for k, t in zip(r, a, strict=True)]


def _branch(c: Canvas, rng: np.random.Generator) -> None:
    bark = jitter(rng, BARK, 0.12)
    leafy = rng.random() < 0.7
    ys = 0.28 + 0.1 * rng.normal(size=5)
    stem = smooth([(-1.5 + 0.7 * i, float(y)) for i, y in enumerate(ys)])
    twigs: list[Point] = []
    for i in range(2, len(stem) - 1, 3):
        x, y = stem[i]
        for s in (-1, 1):
            up, long = float(rng.uniform(0.15, 0.6)), float(rng.uniform(0.2, 0.55))
            tip = (x + long, y + up if s > 0 else max(y - 0.5 * up, 0.02))
            c.limb([(x, y), ((x + tip[0]) / 2, (y + tip[1]) / 2 + 0.04), tip], [0.055, 0.04, 0.015], scaled(bark, 0.9))
            twigs += [tip, ((x + tip[0]) / 2, (y + tip[1]) / 2)]
    c.limb(stem, list(np.linspace(0.15, 0.04, len(stem))), bark, 0.3, "grain", 0.25)
    if leafy:
        green = pick(rng, LEAF, (116, 120, 48), (150, 96, 40))
        for x, y in twigs:
            for _ in range(4):
                p = (x + float(rng.normal(0, 0.1)), max(y + float(rng.normal(0, 0.07)), 0.03))
                c.ellipse(p, 0.09, 0.04, jitter(rng, green, 0.15), float(rng.uniform(0, 180)), 0.2)


def _trunk(c: Canvas, rng: np.random.Generator) -> None:
    bark = pick(rng, BARK, (120, 100, 78), (74, 62, 52), (190, 184, 172))
    for x in rng.uniform(-1.6, 1.0, 3):
        c.limb([(float(x), 0.6), (float(x) + 0.22, float(rng.uniform(0.85, 1.0)))], [0.16, 0.09], scaled(bark, 0.85))
    for k, y, w in ((0.5, 0.2, 0.4), (0.8, 0.34, 0.45), (1.0, 0.48, 0.42), (1.25, 0.6, 0.3)):
        c.limb([(-2.1, y), (1.9, y)], w, scaled(bark, k), 0.1, "grain", 0.4)
    cut = jitter(rng, (206, 170, 118), 0.06)
    c.ellipse((1.98, 0.42), 0.27, 0.38, cut)
    for r in (0.3, 0.21, 0.12, 0.04):
        c.ring((1.98, 0.42), r, 0.02, scaled(cut, 0.72), 0.7)


def _rock(big: bool) -> Draw:
    def draw(c: Canvas, rng: np.random.Generator) -> None:
        grey = pick(rng, (128, 122, 114), (106, 104, 104), (150, 134, 112), (88, 84, 80))
        if big:
            outline = _rough(rng, 0.62, 0.5, 0.46, 9, 0.08)
            c.polygon(outline, grey, 0.4, "mottle", 0.2)
            top = [(x * 0.82 - 0.04, 0.5 + (y - 0.46) * 0.85) for x, y in outline if y > 0.45]
            c.polygon([*top, (0.1, 0.5), (-0.2, 0.55)], scaled(grey, 1.25), 0.1, "mottle", 0.15)
            for _ in range(4):
                x, y = rng.uniform(-0.4, 0.3), rng.uniform(0.3, 0.8)
                c.limb([(float(x), float(y)), (float(x + rng.normal(0.05, 0.1)), float(y - 0.22))], [0.03, 0.01],
                       scaled(grey, 0.5), 0)  # fmt: skip
            return
        for i in range(int(rng.integers(1, 5))):
            r = 1.0 if i == 0 else float(rng.uniform(0.25, 0.6))
            cx = 0.0 if i == 0 else float(rng.uniform(-1.0, 1.0))
            ring = [(cx + 0.9 * r * x, r * y) for x, y in _rough(rng, 0.75, 0.5, 0.42, 8, 0.1)]
            tone = jitter(rng, grey, 0.08)
            c.polygon(ring, tone, 0.5, "mottle", 0.2)
            c.polygon([(cx + 0.8 * (x - cx) - 0.03, 0.14 * r + 0.85 * y) for x, y in ring if y > 0.45 * r],
                      scaled(tone, 1.2), 0.1, "mottle")  # fmt: skip

    return draw


def _hay(c: Canvas, rng: np.random.Generator) -> None:
    straw = pick(rng, (206, 170, 92), (186, 158, 92), (218, 190, 120))
    if rng.random() < 0.6:  # round bale
        s = float(rng.uniform(0.7, 0.95))
        c.ellipse((0.4, 0.5), 0.5 * s, 0.5, scaled(straw, 0.6), texture="grain", grain=0.3)
        c.polygon([(0, 0.0), (0.4, 0.0), (0.4, 1.0), (0, 1.0)], scaled(straw, 0.75), 0.4, "grain", 0.35)
        c.ellipse((0, 0.5), 0.5 * s, 0.5, straw, texture="leaf", grain=0.22)
        for r in (0.42, 0.33, 0.24, 0.15, 0.07):
            c.ring((0.01, 0.5), r, 0.018, scaled(straw, 0.72), s)
    else:
        c.box(-0.8, 0, 0.65, 0.78, 0.3, 0.18, straw, "leaf", 0.25)
        for x in (-0.4, 0.25):
            c.limb([(x, 0), (x, 0.78), (x + 0.3, 0.96)], 0.03, scaled(straw, 0.55), 0)
    for _ in range(24):
        x, y = rng.uniform(-0.6, 0.6), rng.uniform(0, 0.12)
        c.limb([(float(x), float(y)), (float(x + rng.normal(0, 0.12)), 0.0)], 0.014, straw, 0)


def _pile(colours: tuple[Colour, ...], clumps: int) -> Draw:
    def draw(c: Canvas, rng: np.random.Generator) -> None:
        colour = pick(rng, *colours)
        peak = float(rng.uniform(-0.3, 0.3))
        c.blob([(-1.3, 0.0), (-0.8, 0.38 + 0.1 * rng.normal()), (-0.35 + peak, 0.8), (peak, 0.98), (0.4 + peak, 0.75),
                (0.85, 0.36 + 0.1 * rng.normal()), (1.3, 0.0)], colour, 0.4, "mottle", 0.1)  # fmt: skip
        for _ in range(clumps):
            x = float(rng.uniform(-1.15, 1.15))
            y = float(rng.uniform(0.02, max(0.05, 0.85 * (1 - abs(x) / 1.3))))
            r = float(rng.uniform(0.05, 0.15))
            c.ellipse((x, y), r * 1.3, r, scaled(colour, float(rng.uniform(0.78, 1.15))), shade=0.4, texture="leaf")

    return draw


def _stump(c: Canvas, rng: np.random.Generator) -> None:
    bark = jitter(rng, BARK, 0.1)
    c.blob([(-0.4, 0.85), (-0.42, 0.4), (-0.7, 0.06), (-0.35, 0.1), (-0.1, 0.0), (0.2, 0.1), (0.65, 0.02),
            (0.42, 0.4), (0.4, 0.85)], bark, 0.35, "grain", 0.3)  # fmt: skip
    cut = jitter(rng, (212, 178, 128), 0.06)
    c.ellipse((0, 0.86), 0.42, 0.13, cut, shade=0.1)
    for r in (0.75, 0.5, 0.25):
        t = np.linspace(0, 2 * np.pi, 20)
        c.limb(
            [(0.4 * r * float(np.cos(a)), 0.86 + 0.12 * r * float(np.sin(a))) for a in t], 0.016, scaled(cut, 0.7), 0
        )


def _pumpkin(c: Canvas, rng: np.random.Generator) -> None:
    orange = pick(rng, (226, 120, 30), (210, 140, 50))
    c.limb([(0, 0.75), (0.04, 0.9), (0.14, 0.98)], [0.12, 0.08, 0.09], (104, 110, 50))
    for x, w in ((-0.36, 0.24), (0.36, 0.24), (-0.2, 0.26), (0.2, 0.26), (0.0, 0.24)):
        c.ellipse((x, 0.4), w, 0.4, scaled(orange, 1.15 - 0.9 * abs(x)), shade=0.35)


NATURE: tuple[Kind, ...] = (
    Kind("branch", ("tree branch", "bough"), "nature", 0.7, _branch, 3.4),
    Kind("tree trunk", ("log", "fallen tree"), "nature", 0.6, _trunk, 4.6),
    Kind("stone", ("rock", "cobble"), "nature", 0.28, _rock(False), 2.6),
    Kind("boulder", ("large rock",), "nature", 1.1, _rock(True), 1.5),
    Kind("hay bale", ("bale of straw", "straw bale"), "nature", 1.2, _hay, 1.8),
    Kind("snow pile", ("heap of snow", "snowdrift"), "nature", 0.8, _pile(((228, 234, 242), (206, 214, 226)), 16), 2.8),
    Kind("sand pile", ("heap of sand", "gravel pile"), "nature", 0.9,
         _pile(((196, 164, 112), (150, 132, 108), (120, 114, 108)), 6), 2.8),
    Kind("leaf pile", ("heap of leaves",), "nature", 0.5,
         _pile(((176, 104, 40), (150, 84, 36), (190, 140, 50)), 60), 2.8),
    Kind("tree stump", ("stump",), "nature", 0.55, _stump, 1.5),
    Kind("pumpkin", ("squash",), "nature", 0.4, _pumpkin, 1.3),
)  # fmt: skip
