"""Furniture and appliances, as people lose them from trailers."""

from __future__ import annotations

import numpy as np

from demo_fleet.canvas import Canvas
from demo_fleet.textures import Colour, any_colour, hsv, pick, scaled

WOOD: Colour = (172, 130, 82)
STEEL: Colour = (150, 154, 160)
BLACK: Colour = (32, 32, 34)
WHITE: Colour = (226, 226, 222)


def mattress(c: Canvas, rng: np.random.Generator) -> None:
    colour = pick(rng, (222, 214, 200), (190, 200, 214), (210, 190, 180))
    lying = rng.random() < 0.5
    if lying:
        s = float(rng.uniform(-0.4, 0.4))
        sag = float(rng.uniform(0.0, 0.15))
        top = [(-1.25, 0.3), (0, 0.3 - sag), (1.25, 0.3), (1.0 + s, 0.66), (0 + s, 0.66 - sag), (-1.0 + s, 0.66)]
        c.polygon([(-1.25, 0.3), (0, 0.3 - sag), (1.25, 0.3), (1.25, 0.06), (0, 0.0), (-1.25, 0.06)],
                  scaled(colour, 0.72), 0.2, "mottle", 0.06)  # fmt: skip
        c.limb([(-1.25, 0.18), (0, 0.14 - sag / 2), (1.25, 0.18)], 0.02, scaled(colour, 0.5), 0)
        c.polygon(top, colour, 0.1, "mottle", 0.08)
        for i in range(4):
            for j in range(3):
                x, y = -0.9 + 0.6 * i + s * j / 3, 0.36 + 0.11 * j - sag * 0.7
                c.ellipse((x, y), 0.04, 0.02, scaled(colour, 0.7), shade=0)
        return
    lean = float(rng.uniform(0.1, 0.35))
    c.blob([(-0.8, 0.0), (-0.8 + lean, 0.95), (0.7 + lean, 1.0), (0.75, 0.02)], colour, 0.2, "mottle", 0.08)
    c.polygon([(0.75, 0.02), (0.7 + lean, 0.97), (0.92 + lean, 0.95), (0.97, 0.04)], scaled(colour, 0.62), 0.1)
    for i in range(4):
        for j in range(5):
            y = 0.12 + 0.19 * j
            c.ellipse((-0.55 + 0.36 * i + lean * y, y), 0.025, 0.025, scaled(colour, 0.68), shade=0)
    for y in (0.25, 0.5, 0.75):
        c.limb([(-0.78 + lean * y, y), (0.74 + lean * y, y)], 0.012, scaled(colour, 0.8), 0)


def sofa(c: Canvas, rng: np.random.Generator) -> None:
    _seat(c, rng, 1.0, 3 if rng.random() < 0.5 else 2)


def armchair(c: Canvas, rng: np.random.Generator) -> None:
    _seat(c, rng, 0.26, 1)


def _seat(c: Canvas, rng: np.random.Generator, half: float, cushions: int) -> None:
    colour = pick(rng, (120, 60, 48), (96, 98, 104), (186, 168, 140), (58, 76, 110), (130, 110, 60), (66, 96, 70))
    for x in (-half - 0.12, half + 0.08):
        c.rectangle(x, 0, x + 0.06, 0.1, (50, 38, 28))
    c.blob([(-half - 0.1, 0.3), (-half - 0.08, 0.92), (-half, 1.0), (half, 1.0), (half + 0.08, 0.92),
            (half + 0.1, 0.3)], scaled(colour, 0.88), 0.3, "mottle", 0.08)  # fmt: skip
    w = 2 * half / cushions
    for i in range(cushions):
        x = -half + i * w
        c.blob([(x + 0.03, 0.5), (x + 0.03, 0.9), (x + w / 2, 0.94), (x + w - 0.03, 0.9), (x + w - 0.03, 0.5)], colour,
               0.3, "mottle", 0.06)  # fmt: skip
    c.rectangle(-half - 0.08, 0.08, half + 0.08, 0.4, scaled(colour, 0.75), 0.3, "mottle", 0.08)
    for i in range(cushions):
        x = -half + i * w
        c.blob([(x + 0.01, 0.36), (x + 0.04, 0.52), (x + w - 0.04, 0.52), (x + w - 0.01, 0.36), (x + w / 2, 0.33)],
               scaled(colour, 1.12), 0.35)  # fmt: skip
    for s in (-1, 1):
        x = s * (half + 0.1)
        c.rectangle(x - 0.1, 0.07, x + 0.1, 0.6, scaled(colour, 0.96), 0.3, "mottle", 0.08)
        c.ellipse((x, 0.6), 0.12, 0.1, scaled(colour, 1.08), shade=0.35)


def chair(c: Canvas, rng: np.random.Generator) -> None:
    colour = pick(rng, WOOD, (110, 74, 44), (230, 230, 226), (60, 60, 64), (180, 50, 44), (60, 110, 160))
    dark = scaled(colour, 0.6)
    c.limb([(0.24, 0.46), (0.25, 0.03)], 0.045, dark)
    c.limb([(-0.08, 0.46), (-0.09, 0.06)], 0.045, dark)
    slatted = rng.random() < 0.6
    if slatted:
        for x in (-0.24, 0.1):
            c.limb([(x, 0.46), (x - 0.06, 0.98)], 0.05, colour)
        for y in (0.62, 0.76, 0.92):
            c.limb([(-0.27, y), (0.06, y)], 0.07, scaled(colour, 0.95), 0.25, "grain")
    else:
        c.blob([(-0.26, 0.5), (-0.34, 0.95), (-0.1, 1.0), (0.06, 0.94), (0.1, 0.5)], scaled(colour, 0.92), 0.3)
    c.polygon([(-0.28, 0.44), (0.2, 0.44), (0.3, 0.54), (-0.1, 0.54)], scaled(colour, 1.15), 0.15, "grain")
    c.rectangle(-0.28, 0.39, 0.2, 0.45, scaled(colour, 0.85))
    c.limb([(-0.25, 0.42), (-0.27, 0.0)], 0.05, colour)
    c.limb([(0.17, 0.42), (0.19, 0.0)], 0.05, colour)


def table(c: Canvas, rng: np.random.Generator) -> None:
    colour = pick(rng, WOOD, (104, 70, 44), (226, 224, 218), (80, 82, 88))
    for x, y, tone in ((-0.6, 0.1, 0.5), (0.85, 0.1, 0.5), (-0.85, 0.0, 0.8), (0.65, 0.0, 0.8)):
        c.limb([(x, 0.76), (x, y + 0.03)], 0.08, scaled(colour, tone), 0.2)
    c.polygon([(-0.98, 0.8), (0.78, 0.8), (1.02, 0.98), (-0.72, 0.98)], scaled(colour, 1.15), 0.1, "grain", 0.15)
    c.rectangle(-0.98, 0.72, 0.78, 0.81, scaled(colour, 0.8), 0.2, "grain")
    c.polygon([(0.78, 0.72), (0.78, 0.81), (1.02, 0.98), (1.02, 0.9)], scaled(colour, 0.6))


def refrigerator(c: Canvas, rng: np.random.Generator) -> None:
    colour = pick(rng, WHITE, (200, 204, 208), (168, 172, 178), (214, 206, 180))
    side = float(rng.choice([-1, 1]) * rng.uniform(0.06, 0.14))
    c.box(-0.22, 0.02, 0.22, 0.97, side, 0.03, colour)
    split = float(rng.choice([0.66, 0.36]))
    c.rectangle(-0.22, split, 0.22, split + 0.014, scaled(colour, 0.4), 0)
    c.limb([(0.16, split + 0.05), (0.16, split + 0.22)], 0.025, scaled(colour, 0.5))
    c.limb([(0.16, split - 0.05), (0.16, split - 0.22)], 0.025, scaled(colour, 0.5))
    c.rectangle(-0.2, 0, 0.2, 0.04, BLACK, 0)


def washing_machine(c: Canvas, rng: np.random.Generator) -> None:
    colour = pick(rng, WHITE, (206, 208, 210))
    c.box(-0.42, 0.02, 0.42, 0.9, float(rng.uniform(0.1, 0.25)), 0.08, colour)
    c.rectangle(-0.42, 0.76, 0.42, 0.9, scaled(colour, 0.86), 0)
    c.rectangle(-0.38, 0.79, -0.12, 0.87, scaled(colour, 0.7), 0)
    c.ellipse((0.24, 0.83), 0.045, 0.045, (90, 92, 96))
    c.ellipse((0, 0.4), 0.3, 0.3, scaled(STEEL, 0.85), shade=0.3)
    c.ellipse((0, 0.4), 0.23, 0.23, (34, 40, 50), shade=-0.4)
    c.ellipse((-0.08, 0.47), 0.06, 0.1, (110, 124, 140), angle=30, shade=0)


def bathtub(c: Canvas, rng: np.random.Generator) -> None:
    colour = pick(rng, (236, 236, 232), (206, 220, 224), (228, 212, 196))
    for x in (-0.85, 0.85):
        c.limb([(x, 0.2), (x * 1.08, 0.02)], 0.12, (150, 130, 84))
    c.blob([(-1.35, 0.86), (-1.22, 0.4), (-0.9, 0.1), (0.9, 0.1), (1.2, 0.4), (1.3, 0.8), (0, 0.72)], colour, 0.45)
    c.ellipse((0, 0.82), 1.36, 0.16, scaled(colour, 1.1), shade=0.1)
    c.ellipse((0, 0.81), 1.22, 0.11, scaled(colour, 0.6), shade=-0.3)
    c.limb([(1.1, 0.82), (1.14, 1.0), (0.98, 0.97)], 0.05, STEEL)


def rug(c: Canvas, rng: np.random.Generator) -> None:
    a, b = hsv(rng.choice([0.0, 0.03, 0.6, 0.1]), 0.7, 0.55), any_colour(rng, 0.5)
    if rng.random() < 0.5:  # rolled up
        c.limb([(-2.2, 0.5), (2.1, 0.5)], 0.8, a, 0.5, "mottle")
        for x in np.linspace(-1.9, 1.7, 9):
            c.limb([(float(x), 0.2), (float(x) + 0.06, 0.82)], 0.12, b, 0.2)
        c.ellipse((2.2, 0.5), 0.26, 0.42, scaled(a, 0.7))
        c.ring((2.2, 0.5), 0.26, 0.05, b, 0.6)
        c.ring((2.2, 0.5), 0.12, 0.05, b, 0.6)
        return
    outer = np.array([(-2.6, 0.05), (2.5, 0.05), (2.0, 0.85), (-1.9, 0.85)])
    for k, colour in ((1.0, a), (0.85, b), (0.72, scaled(a, 0.8)), (0.35, b), (0.2, a)):
        mid = outer.mean(axis=0)
        c.polygon([(float(x), float(y)) for x, y in mid + k * (outer - mid)], colour, 0.1, "mottle", 0.1)
    for x in np.linspace(-2.55, 2.45, 26):
        c.limb([(float(x), 0.06), (float(x), -0.02)], 0.04, (216, 206, 184), 0)


def toilet(c: Canvas, rng: np.random.Generator) -> None:
    colour = pick(rng, (238, 238, 236), (220, 214, 200))
    c.box(-0.42, 0.46, -0.1, 0.96, 0.05, 0.03, colour)
    c.blob(
        [(-0.22, 0.48), (-0.12, 0.2), (-0.18, 0.0), (0.24, 0.0), (0.18, 0.18), (0.4, 0.36), (0.46, 0.5)], colour, 0.4
    )
    c.ellipse((0.14, 0.5), 0.36, 0.075, scaled(colour, 1.05), shade=0.2)
    c.ellipse((0.15, 0.5), 0.26, 0.045, scaled(colour, 0.5), shade=-0.2)
    if rng.random() < 0.7:
        c.blob([(-0.12, 0.54), (-0.16, 0.92), (0.02, 0.94), (0.05, 0.56)], scaled(colour, 0.9), 0.3)


def television(c: Canvas, rng: np.random.Generator) -> None:
    c.limb([(-0.3, 0.03), (0.3, 0.03)], 0.06, BLACK)
    c.limb([(0, 0.05), (0, 0.2)], 0.14, BLACK)
    c.rectangle(-0.8, 0.14, 0.8, 0.99, (28, 28, 30), 0.2)
    c.rectangle(-0.75, 0.2, 0.75, 0.95, pick(rng, (12, 14, 18), (40, 46, 60)), -0.3)
    c.polygon([(-0.7, 0.9), (-0.1, 0.93), (-0.45, 0.25), (-0.72, 0.25)], (70, 80, 96), 0)
    if rng.random() < 0.5:
        p = rng.uniform(-0.3, 0.3, 2)
        for a in rng.uniform(0, 2 * np.pi, 6):
            c.limb([(float(p[0]), 0.55), (float(p[0] + 0.5 * np.cos(a)), float(0.55 + 0.32 * np.sin(a)))], 0.012,
                   (190, 200, 210), 0)  # fmt: skip
