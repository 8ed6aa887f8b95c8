"""What road works leave on and beside the road."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from demo_fleet.canvas import Canvas
from demo_fleet.kinds import Kind
from demo_fleet.textures import Colour, jitter, pick, scaled

ORANGE: Colour = (232, 98, 30)
YELLOW: Colour = (228, 176, 36)
RED: Colour = (196, 36, 34)
WHITE: Colour = (228, 228, 224)
BLACK: Colour = (32, 32, 34)
STEEL: Colour = (140, 144, 150)


def _cone(c: Canvas, rng: np.random.Generator) -> None:
    colour = pick(rng, ORANGE, (220, 60, 30), ORANGE)
    base = colour if rng.random() < 0.5 else BLACK
    c.polygon([(-0.36, 0.02), (0.36, 0.02), (0.28, 0.12), (-0.28, 0.12)], scaled(base, 0.85), 0.2)
    c.rectangle(-0.36, 0.0, 0.36, 0.05, scaled(base, 0.6), 0)

    def half(y: float) -> float:
        return 0.21 - 0.17 * (y - 0.08) / 0.92

    edges = [0.08, 0.32, 0.5, 0.66, 0.8, 1.0] if rng.random() < 0.6 else [0.08, 0.42, 0.68, 1.0]
    for i, (y0, y1) in enumerate(pairwise(edges)):
        tone = WHITE if i % 2 else colour
        c.polygon([(-half(y0), y0), (0, y0 - 0.03), (half(y0), y0), (half(y1), y1), (0, y1 - 0.02), (-half(y1), y1)],
                  tone, 0.0)  # fmt: skip
        c.polygon([(0.35 * half(y0), y0 - 0.015), (half(y0), y0), (half(y1), y1), (0.35 * half(y1), y1)],
                  scaled(tone, 0.68), 0)  # fmt: skip
        c.polygon([(-half(y0), y0), (-0.6 * half(y0), y0 - 0.01), (-0.6 * half(y1), y1), (-half(y1), y1)],
                  scaled(tone, 0.85), 0)  # fmt: skip
    c.ellipse((0, 1.0), 0.04, 0.015, scaled(colour, 0.4), shade=0)


def _stripes(c: Canvas, x0: float, y0: float, x1: float, y1: float, a: Colour, b: Colour, n: int) -> None:
    """Slanted warning stripes in a rectangle."""
    c.rectangle(x0, y0, x1, y1, a, 0.1)
    w, h = (x1 - x0) / n, y1 - y0
    slant = min(h, w)
    for i in range(n):
        p, q = x0 + i * w, x0 + (i + 0.5) * w
        c.polygon([(p, y0), (q, y0), (min(q + slant, x1), y1), (min(p + slant, x1), y1)], b, 0)


def _barrier(c: Canvas, rng: np.random.Generator) -> None:
    red = pick(rng, RED, ORANGE)
    if rng.random() < 0.5:  # water-filled plastic
        c.blob([(-1.15, 0.0), (-1.15, 0.2), (-0.95, 0.36), (-0.9, 0.92), (-0.85, 1.0), (0.85, 1.0), (0.9, 0.92),
                (0.95, 0.36), (1.15, 0.2), (1.15, 0.0)], red if rng.random() < 0.5 else WHITE, 0.3)  # fmt: skip
        for x in (-0.55, 0.0, 0.55):
            c.ellipse((x, 0.66), 0.14, 0.11, (40, 36, 36), shade=-0.3)
        c.rectangle(-0.8, 0.05, 0.8, 0.13, (60, 56, 54), 0)
        return
    for x in (-0.8, 0.8):
        c.limb([(x - 0.12, 0.02), (x, 0.9)], 0.06, STEEL)
        c.limb([(x + 0.14, 0.02), (x, 0.9)], 0.06, scaled(STEEL, 0.7))
    for y in (0.66, 0.3):
        _stripes(c, -1.1, y, 1.1, y + 0.24, WHITE, red, 6)
    if rng.random() < 0.5:
        for x in (-0.8, 0.8):
            c.ellipse((x, 0.96), 0.08, 0.07, YELLOW)


def _beacon(c: Canvas, rng: np.random.Generator) -> None:
    c.polygon([(-0.3, 0), (0.3, 0), (0.24, 0.09), (-0.24, 0.09)], BLACK, 0.2)
    red = jitter(rng, RED, 0.06)
    c.rectangle(-0.125, 0.09, 0.125, 0.84, WHITE, 0.05)
    for y in np.arange(0.09, 0.8, 0.22):
        c.polygon([(-0.125, float(y)), (0.125, float(y) + 0.1), (0.125, float(y) + 0.21), (-0.125, float(y) + 0.11)],
                  red, 0)  # fmt: skip
    c.rectangle(-0.05, 0.84, 0.05, 0.88, BLACK, 0)
    c.ellipse((0, 0.935), 0.09, 0.065, jitter(rng, (246, 176, 40), 0.05), shade=0.4)


def _concrete_block(c: Canvas, rng: np.random.Generator) -> None:
    colour = jitter(rng, (158, 154, 146), 0.1)
    if rng.random() < 0.5:  # Jersey profile
        c.polygon([(-1.2, 0), (1.2, 0), (1.2, 0.14), (1.08, 0.38), (1.02, 0.92), (-1.02, 0.92), (-1.08, 0.38),
                   (-1.2, 0.14)], colour, 0.15, "mottle", 0.14)  # fmt: skip
        c.polygon([(-1.2, 0.14), (1.2, 0.14), (1.08, 0.38), (-1.08, 0.38)], scaled(colour, 1.15), 0.05, "mottle")
        c.polygon([(-1.02, 0.92), (1.02, 0.92), (0.98, 1.0), (-0.98, 1.0)], scaled(colour, 1.25), 0)
    else:
        c.box(-0.95, 0, 0.85, 0.84, 0.3, 0.16, colour, "mottle", 0.14)
        for x in (-0.45, 0.35):
            c.limb([(x, 0.92), (x + 0.06, 1.0), (x + 0.2, 1.0), (x + 0.26, 0.92)], 0.04, (96, 74, 60))
    for _ in range(4):
        x, y = rng.uniform(-0.9, 0.7), rng.uniform(0.1, 0.7)
        c.limb([(float(x), float(y)), (float(x + rng.normal(0, 0.08)), float(y - 0.16))], [0.03, 0.01],
               scaled(colour, 0.7), 0)  # fmt: skip


def _wheelbarrow(c: Canvas, rng: np.random.Generator) -> None:
    colour = pick(rng, (60, 110, 60), RED, (50, 90, 160), STEEL, ORANGE)
    c.limb([(-1.15, 0.55), (-0.3, 0.42), (0.75, 0.22)], 0.06, BLACK)
    c.limb([(-0.45, 0.42), (-0.5, 0.02), (-0.3, 0.02)], 0.055, scaled(STEEL, 0.7))
    c.wheel((0.78, 0.22), 0.22, hub=YELLOW)
    c.polygon([(-0.72, 0.95), (0.85, 0.9), (0.5, 0.4), (-0.35, 0.42)], colour, 0.35)
    if rng.random() < 0.5:
        c.blob([(-0.65, 0.92), (-0.2, 1.04), (0.3, 1.02), (0.8, 0.88)], (126, 100, 70), 0.3, "leaf", 0.25)
    c.limb([(-0.74, 0.95), (0.87, 0.9)], 0.045, scaled(colour, 1.3))
    c.limb([(-1.25, 0.58), (-1.05, 0.53)], 0.09, (30, 30, 30))


def _excavator(c: Canvas, rng: np.random.Generator) -> None:
    paint = pick(rng, YELLOW, ORANGE, YELLOW)
    c.blob([(-0.62, 0.12), (-0.55, 0.24), (0.3, 0.24), (0.38, 0.12), (0.3, 0.0), (-0.55, 0.0)], (44, 42, 42), 0.3)
    for x in np.linspace(-0.5, 0.26, 6):
        c.ellipse((float(x), 0.1), 0.05, 0.05, (84, 80, 76))
    c.rectangle(-0.3, 0.22, 0.06, 0.3, BLACK)
    c.blob([(-0.72, 0.3), (-0.7, 0.52), (-0.3, 0.56), (0.1, 0.5), (0.12, 0.3)], paint, 0.3)
    c.limb([(0.05, 0.42), (0.3, 0.86), (0.52, 0.97)], [0.13, 0.12, 0.09], scaled(paint, 0.9), 0.3)
    tip = (0.92, float(rng.uniform(0.3, 0.55)))
    c.limb([(0.52, 0.97), (0.78, 0.7), tip], [0.09, 0.09, 0.06], paint, 0.3)
    c.limb([(0.15, 0.6), (0.4, 0.86)], 0.035, STEEL)
    c.blob([(tip[0] + 0.08, tip[1] + 0.04), (tip[0] + 0.04, tip[1] - 0.18), (tip[0] - 0.16, tip[1] - 0.26),
            (tip[0] - 0.2, tip[1] - 0.1), (tip[0] - 0.06, tip[1] + 0.02)], (70, 66, 62), 0.3)  # fmt: skip
    c.blob([(-0.32, 0.32), (-0.32, 0.8), (-0.02, 0.8), (0.08, 0.6), (0.08, 0.34)], paint, 0.2)
    c.polygon([(-0.27, 0.5), (-0.27, 0.76), (-0.05, 0.76), (0.04, 0.6), (0.04, 0.5)], (60, 80, 96), 0.2)


def _triangle(c: Canvas, rng: np.random.Generator) -> None:
    red = jitter(rng, (222, 40, 36), 0.08)
    c.limb([(-0.4, 0.0), (0, 0.1), (0.4, 0.0)], 0.05, BLACK)
    c.polygon([(-0.58, 0.06), (0.58, 0.06), (0, 1.0)], red, 0.1)
    c.polygon([(-0.42, 0.15), (0.42, 0.15), (0, 0.83)], scaled(red, 1.35), 0)
    c.polygon([(-0.3, 0.22), (0.3, 0.22), (0, 0.7)], (224, 222, 214) if rng.random() < 0.5 else (120, 116, 110), 0)


def _mixer(c: Canvas, rng: np.random.Generator) -> None:
    paint = pick(rng, ORANGE, YELLOW, (60, 110, 160))
    c.limb([(-0.3, 0.4), (-0.36, 0.05)], 0.05, BLACK)
    c.limb([(0.2, 0.4), (0.3, 0.1)], 0.05, BLACK)
    c.limb([(-0.36, 0.2), (0.3, 0.2)], 0.05, BLACK)
    c.wheel((0.3, 0.14), 0.14)
    c.blob([(-0.42, 0.5), (-0.3, 0.36), (0.06, 0.4), (0.34, 0.8), (0.1, 0.98), (-0.3, 0.82)], paint, 0.45)
    c.limb([(-0.38, 0.72), (0.1, 0.44)], 0.04, scaled(paint, 0.6), 0)
    c.ellipse((0.23, 0.9), 0.17, 0.06, (50, 48, 46), angle=-38, shade=0)
    c.ring((-0.42, 0.52), 0.16, 0.03, BLACK, 0.5)


def _portable_toilet(c: Canvas, rng: np.random.Generator) -> None:
    paint = pick(rng, (40, 100, 180), (50, 130, 80), (180, 60, 60), (230, 140, 40))
    c.box(-0.24, 0.03, 0.2, 0.9, 0.09, 0.02, paint)
    c.blob([(-0.26, 0.9), (-0.2, 0.99), (0.18, 1.0), (0.3, 0.92)], WHITE, 0.2)
    c.rectangle(-0.18, 0.06, 0.14, 0.85, scaled(paint, 0.8), 0.1)
    for i in range(4):
        c.rectangle(-0.14, 0.75 + 0.02 * i, 0.1, 0.758 + 0.02 * i, BLACK, 0)
    c.ellipse((0.1, 0.48), 0.018, 0.018, WHITE)
    c.rectangle(-0.06, 0.58, 0.04, 0.68, WHITE, 0)


def _sandbags(c: Canvas, rng: np.random.Generator) -> None:
    colour = pick(rng, (186, 160, 118), (150, 140, 110), (214, 208, 190))
    rows: tuple[tuple[float, ...], ...] = ((-0.9, 0.0, 0.9), (-0.45, 0.45), (0.0,))
    for j, xs in enumerate(rows[: int(rng.integers(1, 4))]):
        for x in xs:
            y = 0.17 + 0.29 * j
            c.blob([(x - 0.46, y - 0.1), (x - 0.44, y + 0.1), (x, y + 0.17), (x + 0.44, y + 0.1), (x + 0.46, y - 0.1),
                    (x, y - 0.17)], jitter(rng, colour, 0.05), 0.5, "mottle", 0.1)  # fmt: skip


def _cable_drum(c: Canvas, rng: np.random.Generator) -> None:
    wood = pick(rng, (176, 136, 88), (120, 110, 100))
    s = float(rng.uniform(0.6, 0.95))
    c.ellipse((0.5, 0.5), 0.5 * s, 0.5, scaled(wood, 0.55), texture="grain")
    c.polygon([(0, 0.2), (0.5, 0.2), (0.5, 0.8), (0, 0.8)], pick(rng, BLACK, (200, 90, 30), (60, 90, 160)), 0.4)
    c.ellipse((0, 0.5), 0.5 * s, 0.5, wood, shade=0.2, texture="grain", grain=0.25)
    c.ring((0, 0.5), 0.46, 0.02, scaled(wood, 0.6), s)
    for y in (0.3, 0.5, 0.7):
        c.limb([(-0.42 * s, y), (0.42 * s, y)], 0.012, scaled(wood, 0.5), 0)
    c.ellipse((0, 0.5), 0.09 * s, 0.09, (40, 36, 32))


ROADWORKS: tuple[Kind, ...] = (
    Kind("traffic cone", ("cone", "pylon", "road cone"), "roadworks", 0.72, _cone, 0.8, tips=0.25),
    Kind("barrier", ("road barrier", "roadblock"), "roadworks", 0.95, _barrier, 2.4),
    Kind("warning beacon", ("guide beacon", "delineator"), "roadworks", 1.1, _beacon, 0.7, tips=0.15),
    Kind("concrete block", ("concrete barrier", "jersey barrier"), "roadworks", 0.8, _concrete_block, 2.5),
    Kind("wheelbarrow", ("barrow",), "roadworks", 0.65, _wheelbarrow, 2.7, tips=0.1),
    Kind("excavator", ("digger",), "roadworks", 3.0, _excavator, 2.2),
    Kind("warning triangle", ("breakdown triangle",), "roadworks", 0.5, _triangle, 1.3),
    Kind("cement mixer", ("concrete mixer",), "roadworks", 1.4, _mixer, 1.1),
    Kind("portable toilet", ("toilet cabin",), "roadworks", 2.3, _portable_toilet, 0.8),
    Kind("sandbag", ("bag of sand",), "roadworks", 0.55, _sandbags, 2.8),
    Kind("cable drum", ("cable reel", "spool"), "roadworks", 1.3, _cable_drum, 2.0),
)
