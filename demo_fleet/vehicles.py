"""Cars, vans, trucks, buses and trains."""

from __future__ import annotations

import numpy as np

from demo_fleet.canvas import Canvas
from demo_fleet.textures import Colour, any_colour, pick, scaled

GLASS: Colour = (46, 56, 68)
BLACK: Colour = (26, 26, 28)
STEEL: Colour = (130, 134, 138)


def any_paint(rng: np.random.Generator) -> Colour:
    grey = pick(rng, (232, 232, 232), (30, 30, 34), (120, 124, 130), (176, 180, 184), (70, 74, 80))
    return grey if rng.random() < 0.6 else any_colour(rng, 0.55)


def car_end(c: Canvas, rng: np.random.Generator, front: bool) -> None:
    paint = any_paint(rng)
    tall = float(rng.uniform(0.94, 1.0))
    side = float(rng.uniform(-0.5, 0.5))
    waist = float(rng.uniform(0.52, 0.62))
    w = 0.58
    for x in (-w + 0.1, w - 0.1):
        c.rectangle(x - 0.09, 0.0, x + 0.09, 0.26, BLACK, 0.3)
    if abs(side) > 0.12:
        e = np.sign(side) * w
        far = e + side
        c.polygon([(e, 0.14), (far, 0.2), (far, waist + 0.02), (e, waist)], scaled(paint, 0.7), 0.15)
        c.polygon([(0.82 * e, waist), (far - 0.1 * np.sign(side), waist + 0.02), (0.72 * e + 0.8 * side, 0.9 * tall),
                   (0.7 * e, tall)], scaled(GLASS, 0.8), 0.1)  # fmt: skip
        for t in (0.2, 0.85):
            c.ellipse((float(e + t * side), 0.14 + 0.03 * t), 0.1 * abs(side) + 0.03, 0.14, BLACK)
    c.blob([(-w, 0.14), (-w - 0.02, 0.4), (-w + 0.04, waist), (-0.4, tall - 0.05), (-0.3, tall), (0.3, tall),
            (0.4, tall - 0.05), (w - 0.04, waist), (w + 0.02, 0.4), (w, 0.14)], paint, 0.3)  # fmt: skip
    c.polygon([(-0.45, waist + 0.02), (-0.34, tall - 0.07), (0.34, tall - 0.07), (0.45, waist + 0.02)], GLASS, -0.25)
    if rng.random() < 0.6:
        c.polygon([(-0.3, waist + 0.06), (-0.2, tall - 0.1), (0.0, tall - 0.1), (-0.1, waist + 0.06)],
                  scaled(GLASS, 1.8), 0)  # fmt: skip
    c.rectangle(-w, 0.12, w, 0.24, scaled(paint, 0.45 if rng.random() < 0.6 else 0.85), 0.1)
    lamp: Colour = (236, 234, 220) if front else (176, 22, 24)
    for s in (-1, 1):
        c.rectangle(s * 0.46 - 0.1, 0.38, s * 0.46 + 0.1, 0.47 + 0.06 * rng.random(), lamp, 0.2)
        c.ellipse((s * 0.68, waist + 0.05), 0.07, 0.05, scaled(paint, 0.7))
    if front:
        c.rectangle(-0.3, 0.3, 0.3, 0.42, (30, 30, 32), 0.2)
    c.rectangle(-0.14, 0.26, 0.14, 0.33, (226, 224, 210), 0)


def car_side(c: Canvas, rng: np.random.Generator) -> None:
    paint = any_paint(rng)
    estate = rng.random() < 0.4
    rear = -1.25 if estate else -0.85
    c.blob([(-1.48, 0.2), (-1.5, 0.5), (-1.38, 0.62), (-0.8, 0.66), (0.8, 0.62), (1.3, 0.52), (1.48, 0.4), (1.46, 0.18),
            (0, 0.12)], paint, 0.3)  # fmt: skip
    c.polygon(
        [(rear - 0.12, 0.62), (rear + 0.1, 0.96), (rear + 0.3, 1.0), (0.2, 1.0), (0.45, 0.94), (0.85, 0.62)], paint, 0.2
    )
    c.polygon([(rear + 0.02, 0.64), (rear + 0.2, 0.91), (-0.26, 0.93), (-0.26, 0.64)], GLASS, 0.1)
    c.polygon([(-0.18, 0.64), (-0.18, 0.93), (0.22, 0.93), (0.38, 0.88), (0.68, 0.64)], GLASS, 0.1)
    c.limb([(-0.22, 0.18), (-0.22, 0.62)], 0.012, scaled(paint, 0.5), 0)
    c.rectangle(-1.48, 0.44, -1.36, 0.54, (180, 26, 26), 0)
    c.rectangle(1.3, 0.4, 1.45, 0.48, (236, 234, 220), 0)
    for x in (-0.92, 0.92):
        c.ellipse((x, 0.21), 0.25, 0.24, (14, 14, 14), shade=0)
        c.wheel((x, 0.2), 0.2)


def van_end(c: Canvas, rng: np.random.Generator, front: bool, tall: bool) -> None:
    paint = any_paint(rng) if rng.random() < 0.4 else pick(rng, (226, 226, 224), (196, 198, 200))
    w = 0.36 if tall else 0.44
    side = float(rng.uniform(-0.3, 0.3))
    for x in (-w + 0.07, w - 0.07):
        c.rectangle(x - 0.05, 0.0, x + 0.05, 0.16, BLACK, 0.3)
    if front:
        c.box(-w, 0.2, w, 0.98, side, 0.0, scaled(paint, 0.95))
        c.blob(
            [
                (-w + 0.02, 0.1),
                (-w + 0.02, 0.66),
                (-w + 0.06, 0.74),
                (w - 0.06, 0.74),
                (w - 0.02, 0.66),
                (w - 0.02, 0.1),
            ],
            any_paint(rng),
            0.2,
        )
        c.rectangle(-w + 0.06, 0.46, w - 0.06, 0.68, GLASS, -0.2)
        c.rectangle(-w + 0.1, 0.2, w - 0.1, 0.36, BLACK, 0.2)
        for s in (-1, 1):
            c.ellipse((s * (w - 0.08), 0.2), 0.045, 0.035, (238, 236, 220))
            c.rectangle(s * (w + 0.05) - 0.03, 0.46, s * (w + 0.05) + 0.03, 0.6, BLACK)
        return
    c.box(-w, 0.12, w, 0.98, side, 0.0, paint)
    c.rectangle(-0.008, 0.16, 0.008, 0.96, scaled(paint, 0.5), 0)
    c.rectangle(-w, 0.09, w, 0.15, (40, 40, 42), 0)
    if not tall:
        for s in (-1, 1):
            c.rectangle(s * 0.2 - 0.14, 0.6, s * 0.2 + 0.14, 0.86, GLASS, 0.1)
    elif rng.random() < 0.4:
        c.rectangle(-0.26, 0.5, 0.26, 0.82, any_colour(rng, 0.6), 0)
    for s in (-1, 1):
        c.rectangle(s * (w - 0.05) - 0.035, 0.1, s * (w - 0.05) + 0.035, 0.16, (190, 26, 26), 0)
    c.rectangle(-0.09, 0.17, 0.09, 0.21, (224, 222, 210), 0)


def truck_side(c: Canvas, rng: np.random.Generator) -> None:
    cab, load = any_paint(rng), any_paint(rng) if rng.random() < 0.5 else (222, 222, 220)
    c.rectangle(-2.1, 0.14, 2.0, 0.24, BLACK, 0)
    c.rectangle(-2.1, 0.22, 1.1, 0.98, load, 0.1, "mottle", 0.04)
    if rng.random() < 0.5:
        c.rectangle(-1.6, 0.45, 0.6, 0.78, any_colour(rng, 0.7), 0)
    c.blob([(1.22, 0.16), (1.22, 0.84), (1.4, 0.92), (1.85, 0.86), (1.98, 0.5), (2.0, 0.16)], cab, 0.2)
    c.polygon([(1.5, 0.5), (1.5, 0.78), (1.84, 0.76), (1.93, 0.5)], GLASS, 0)
    for x in (-1.8, -1.45, -1.1, 1.6):
        c.wheel((x, 0.13), 0.14)


def bus(c: Canvas, rng: np.random.Generator, front: bool) -> None:
    paint = pick(rng, (210, 50, 40), (230, 190, 40), (50, 100, 180), (226, 226, 224), (60, 140, 90))
    w = 0.41
    for x in (-w + 0.08, w - 0.08):
        c.rectangle(x - 0.05, 0.0, x + 0.05, 0.14, BLACK, 0.3)
    c.box(-w, 0.08, w, 0.98, float(rng.uniform(-0.35, 0.35)), 0.0, paint)
    c.rectangle(-w + 0.03, 0.4 if front else 0.55, w - 0.03, 0.82, GLASS, -0.2)
    c.rectangle(-w + 0.05, 0.86, w - 0.05, 0.95, BLACK, 0)
    c.rectangle(-0.2, 0.88, 0.2, 0.93, (240, 160, 40), 0)
    if not front:
        c.rectangle(-w + 0.08, 0.2, w - 0.08, 0.42, scaled(paint, 0.7), 0)
    lamp: Colour = (236, 234, 220) if front else (190, 26, 26)
    for s in (-1, 1):
        c.rectangle(s * (w - 0.08) - 0.05, 0.2, s * (w - 0.08) + 0.05, 0.28, lamp, 0)


def bus_side(c: Canvas, rng: np.random.Generator) -> None:
    paint = pick(rng, (210, 50, 40), (230, 190, 40), (50, 100, 180), (226, 226, 224))
    c.blob([(-1.9, 0.1), (-1.92, 0.9), (-1.8, 0.98), (1.8, 0.98), (1.9, 0.88), (1.92, 0.1), (0, 0.08)], paint, 0.2)
    for x in np.arange(-1.78, 1.7, 0.46):
        c.rectangle(float(x), 0.5, float(x) + 0.4, 0.84, GLASS, 0.1)
    c.rectangle(-1.9, 0.26, 1.9, 0.32, any_colour(rng, 0.6), 0)
    for x in (-1.2, 1.2):
        c.wheel((x, 0.14), 0.15)


def train(c: Canvas, rng: np.random.Generator) -> None:
    paint = pick(rng, (200, 40, 40), (60, 90, 160), (224, 224, 222), (90, 140, 90))
    for i in range(3):
        x = -4.2 + 2.8 * i
        c.rectangle(x, 0.08, x + 2.72, 0.95, paint, 0.15)
        c.rectangle(x, 0.26, x + 2.72, 0.34, scaled(paint, 0.55), 0)
        for j in range(6):
            c.rectangle(x + 0.12 + 0.44 * j, 0.5, x + 0.46 + 0.44 * j, 0.8, GLASS, 0.1)
        for axle in (0.4, 0.8, 2.0, 2.4):
            c.ellipse((x + axle, 0.08), 0.09, 0.08, BLACK)
