"""What people play, travel and camp with."""

from __future__ import annotations

import numpy as np

from demo_fleet.canvas import Canvas, smooth
from demo_fleet.textures import Colour, any_colour, pick, scaled

BLACK: Colour = (30, 30, 32)
WHITE: Colour = (232, 232, 228)
STEEL: Colour = (156, 160, 166)
GLASS: Colour = (58, 72, 88)
WOOD: Colour = (160, 112, 66)


def boat(c: Canvas, rng: np.random.Generator) -> None:
    hull, stripe = pick(rng, WHITE, (60, 90, 150), (150, 50, 46), (230, 200, 150)), any_colour(rng, 0.8)
    if rng.random() < 0.5:  # sail
        c.limb([(0, 0.4), (0, 1.0)], 0.025, (150, 130, 100))
        c.polygon([(0.03, 0.98), (0.03, 0.45), (0.62, 0.45)], (236, 232, 222), 0.2)
        c.polygon([(-0.04, 0.9), (-0.04, 0.45), (-0.42, 0.45)], scaled(stripe, 1.1), 0.2)
    else:
        c.polygon([(-0.35, 0.42), (-0.3, 0.74), (0.15, 0.74), (0.35, 0.42)], scaled(hull, 0.9), 0.2)
        c.polygon([(-0.24, 0.52), (-0.22, 0.69), (0.1, 0.69), (0.22, 0.52)], GLASS, 0.1)
        c.limb([(-0.2, 0.74), (-0.2, 0.98)], 0.02, STEEL)
    c.blob([(-0.8, 0.44), (-0.72, 0.14), (-0.4, 0.02), (0.3, 0.02), (0.7, 0.2), (1.0, 0.52), (0.4, 0.42)], hull, 0.35)
    c.limb([(-0.78, 0.36), (0, 0.34), (0.88, 0.44)], 0.05, stripe, 0)


def canoe(c: Canvas, rng: np.random.Generator) -> None:
    hull = pick(rng, (190, 50, 40), (40, 110, 70), (214, 160, 60), (60, 100, 170), WOOD)
    c.blob(
        [
            (-2.6, 0.98),
            (-2.4, 0.4),
            (-1.8, 0.06),
            (0, 0.0),
            (1.8, 0.06),
            (2.4, 0.4),
            (2.6, 0.98),
            (1.7, 0.66),
            (0, 0.56),
            (-1.7, 0.66),
        ],
        hull,
        0.45,
    )
    c.limb(smooth([(-2.55, 0.95), (-1.6, 0.68), (0, 0.58), (1.6, 0.68), (2.55, 0.95)]), 0.07, scaled(hull, 0.5), 0)


def balloon(c: Canvas, rng: np.random.Generator) -> None:
    a, b = any_colour(rng, 0.9), any_colour(rng, 0.9)
    for s in (-1, 1):
        c.limb([(s * 0.05, 0.13), (s * 0.12, 0.34)], 0.01, (80, 66, 50), 0)
    c.box(-0.06, 0.0, 0.06, 0.12, 0.0, 0.0, (130, 90, 50), "grain")
    xs = np.linspace(-1, 1, 8)
    for i in range(7):
        u, v = float(xs[i]), float(xs[i + 1])
        gore = [(0.1 * u, 0.28), (0.34 * u, 0.5), (0.39 * u, 0.7), (0.26 * u, 0.92), (0.02 * u, 1.0), (0.02 * v, 1.0),
                (0.26 * v, 0.92), (0.39 * v, 0.7), (0.34 * v, 0.5), (0.1 * v, 0.28)]  # fmt: skip
        c.polygon(gore, scaled(a if i % 2 else b, (0.7, 0.85, 1.0, 1.15, 1.05, 0.85, 0.62)[i]), 0.15)


def toy_balloon(c: Canvas, rng: np.random.Generator) -> None:
    for i in range(int(rng.integers(1, 4))):
        x, y = 0.16 * (i - 0.5) * (i > 0), 0.76 - 0.06 * i
        colour = any_colour(rng, 1.0)
        c.limb(smooth([(x, y - 0.24), (x * 0.6 + 0.04, 0.3), (-0.02, 0.15), (0.0, 0.0)]), 0.012, (120, 120, 120), 0)
        c.ellipse((x, y), 0.18, 0.23, colour, shade=0.4)
        c.ellipse((x - 0.06, y + 0.09), 0.04, 0.06, scaled(colour, 1.7), shade=0)
        c.polygon([(x, y - 0.22), (x - 0.03, y - 0.26), (x + 0.03, y - 0.26)], colour)


def football(c: Canvas, rng: np.random.Generator) -> None:
    c.ellipse((0, 0.5), 0.5, 0.5, (238, 238, 236), shade=0.4)
    spin = float(rng.uniform(0, 6))
    for r, n in ((0.0, 1), (0.36, 5)):
        for k in range(n):
            a = spin + 2 * np.pi * k / 5
            x, y = r * float(np.cos(a)), 0.5 + r * float(np.sin(a))
            q = np.linspace(0, 2 * np.pi, 5, endpoint=False) + a
            size = 0.15 if r == 0 else 0.115
            pts = [(x + size * float(np.cos(t)), y + size * float(np.sin(t))) for t in q]
            c.polygon(pts, (24, 24, 26), 0)
            if r:
                c.limb([(0.5 * x, 0.5 + 0.5 * (y - 0.5)), (x, y)], 0.016, (80, 80, 80), 0)


def beach_ball(c: Canvas, rng: np.random.Generator) -> None:
    tones = (any_colour(rng, 1.0), WHITE, any_colour(rng, 1.0), WHITE, (240, 200, 40), WHITE)
    xs = np.linspace(-1, 1, 7)
    c.ellipse((0, 0.5), 0.5, 0.5, WHITE, shade=0.4)
    ys = np.linspace(-1, 1, 9)
    for i, colour in enumerate(tones):
        left = [(0.5 * float(xs[i] * np.sqrt(1 - y * y)), 0.5 + 0.5 * float(y)) for y in ys]
        right = [(0.5 * float(xs[i + 1] * np.sqrt(1 - y * y)), 0.5 + 0.5 * float(y)) for y in ys[::-1]]
        c.polygon(left + right, scaled(colour, (0.75, 0.95, 1.1, 1.1, 0.9, 0.7)[i]), 0.2)
    c.ellipse((-0.04, 0.93), 0.08, 0.04, WHITE)


def kite(c: Canvas, rng: np.random.Generator) -> None:
    tones = [any_colour(rng, 1.0) for _ in range(4)]
    mid, tips = (0.0, 0.7), [(0, 1.0), (0.32, 0.72), (0, 0.3), (-0.32, 0.72)]
    tail = smooth([(0, 0.3), (0.1, 0.22), (-0.06, 0.13), (0.08, 0.03)])
    c.limb(tail, 0.018, (90, 90, 90), 0)
    for x, y in tail[3::4]:
        c.polygon([(x, y), (x - 0.07, y + 0.035), (x - 0.07, y - 0.035)], tones[0])
        c.polygon([(x, y), (x + 0.07, y + 0.035), (x + 0.07, y - 0.035)], tones[1])
    for i in range(4):
        c.polygon([mid, tips[i], tips[(i + 1) % 4]], tones[i], 0.15)
    c.limb([tips[0], tips[2]], 0.014, BLACK, 0)
    c.limb([tips[1], tips[3]], 0.014, BLACK, 0)


def drone(c: Canvas, rng: np.random.Generator) -> None:
    body = pick(rng, WHITE, BLACK, (120, 124, 130))
    for s in (-1, 1):
        c.limb([(0, 0.55), (s * 0.95, 0.78)], 0.09, scaled(body, 0.8))
        c.limb([(0, 0.5), (s * 0.6, 0.6)], 0.08, scaled(body, 0.6))
        c.limb([(s * 0.95, 0.74), (s * 0.95, 0.92)], 0.12, BLACK)
        c.ellipse((s * 0.95, 0.94), 0.5, 0.05, (90, 92, 96), shade=0)
        c.ellipse((s * 0.6, 0.72), 0.36, 0.035, (120, 122, 126), shade=0)
        c.limb([(s * 0.25, 0.45), (s * 0.4, 0.05), (s * 0.55, 0.03)], 0.05, scaled(body, 0.7))
    c.blob([(-0.42, 0.5), (-0.3, 0.7), (0.3, 0.7), (0.42, 0.5), (0.2, 0.38), (-0.2, 0.38)], body, 0.3)
    c.ellipse((0.0, 0.32), 0.12, 0.12, BLACK)
    c.ellipse((0.02, 0.33), 0.05, 0.05, (90, 110, 150), shade=0)


def skateboard(c: Canvas, rng: np.random.Generator) -> None:
    deck = any_colour(rng, 0.8)
    for x in (-1.6, 1.6):
        c.wheel((x, 0.28), 0.28, tyre=pick(rng, WHITE, (220, 200, 60), (210, 70, 60)))
    c.limb([(-3.0, 0.98), (-2.3, 0.68), (2.3, 0.68), (3.0, 0.98)], 0.24, deck, 0.3)
    c.limb([(-2.9, 0.98), (-2.3, 0.76), (2.3, 0.76), (2.9, 0.98)], 0.08, BLACK, 0)


def teddy(c: Canvas, rng: np.random.Generator) -> None:
    fur = pick(rng, (160, 108, 60), (206, 170, 120), (230, 190, 200), (110, 74, 48))
    for s in (-1, 1):
        c.ellipse((s * 0.22, 0.92), 0.11, 0.1, fur)
        c.ellipse((s * 0.22, 0.92), 0.06, 0.055, scaled(fur, 1.3))
        c.limb([(s * 0.2, 0.48), (s * 0.42, 0.3)], [0.18, 0.16], fur, texture="leaf")
        c.limb([(s * 0.12, 0.16), (s * 0.38, 0.1)], [0.22, 0.2], scaled(fur, 0.92), texture="leaf")
        c.ellipse((s * 0.42, 0.1), 0.08, 0.1, scaled(fur, 1.25))
    c.ellipse((0, 0.32), 0.27, 0.28, fur, texture="leaf")
    c.ellipse((0, 0.3), 0.16, 0.18, scaled(fur, 1.22), shade=0.1)
    c.ellipse((0, 0.74), 0.29, 0.24, fur, texture="leaf")
    c.ellipse((0, 0.67), 0.13, 0.1, scaled(fur, 1.3))
    c.ellipse((0, 0.71), 0.045, 0.035, BLACK)
    for s in (-1, 1):
        c.ellipse((s * 0.11, 0.79), 0.03, 0.03, BLACK, shade=0)


def tent(c: Canvas, rng: np.random.Generator) -> None:
    cloth = pick(rng, (220, 120, 40), (60, 120, 70), (60, 110, 180), (200, 60, 60), (200, 190, 60))
    c.polygon([(0.0, 1.0), (0.75, 0.92), (1.2, 0.0), (0.6, 0.0)], scaled(cloth, 0.7), 0.15)
    c.polygon([(0.0, 1.0), (-0.8, 0.0), (0.6, 0.0)], cloth, 0.2)
    c.polygon([(0.0, 0.85), (-0.3, 0.0), (0.2, 0.0)], (44, 40, 38), 0)
    c.polygon([(0.0, 0.85), (-0.3, 0.0), (-0.46, 0.0)], scaled(cloth, 1.25), 0.1)


def guitar(c: Canvas, rng: np.random.Generator) -> None:
    wood = pick(rng, (190, 120, 50), (140, 60, 30), (30, 30, 34), (214, 170, 96))
    c.limb([(0, 0.4), (0, 0.9)], 0.055, (70, 46, 30))
    c.polygon([(-0.05, 0.88), (0.05, 0.88), (0.07, 1.0), (-0.07, 1.0)], (60, 38, 24))
    c.blob(
        [
            (-0.08, 0.56),
            (-0.15, 0.46),
            (-0.11, 0.35),
            (-0.2, 0.18),
            (-0.12, 0.02),
            (0.12, 0.02),
            (0.2, 0.18),
            (0.11, 0.35),
            (0.15, 0.46),
            (0.08, 0.56),
        ],
        wood,
        0.3,
        "grain",
    )
    c.ellipse((0, 0.36), 0.06, 0.06, (20, 16, 14), shade=0)
    c.rectangle(-0.07, 0.16, 0.07, 0.19, (50, 34, 22), 0)
    c.limb([(0, 0.17), (0, 0.97)], 0.014, (226, 222, 210), 0)


def surfboard(c: Canvas, rng: np.random.Generator) -> None:
    a, b = any_colour(rng, 0.8), any_colour(rng, 0.9)
    c.blob([(0, 1.0), (-0.11, 0.75), (-0.14, 0.4), (-0.07, 0.02), (0.07, 0.02), (0.14, 0.4), (0.11, 0.75)], a, 0.25)
    c.limb([(0, 0.05), (0, 0.95)], 0.03, b, 0)
    c.polygon([(-0.13, 0.5), (0.13, 0.62), (0.12, 0.72), (-0.12, 0.6)], b, 0)


def rowing_ball(c: Canvas, rng: np.random.Generator) -> None:
    orange = pick(rng, (220, 110, 40), (196, 90, 40))
    c.ellipse((0, 0.5), 0.5, 0.5, orange, shade=0.45, texture="fine", grain=0.08)
    for dx in (-0.28, 0.28):
        c.limb(smooth([(dx * 1.3, 0.12), (dx * 0.45, 0.5), (dx * 1.3, 0.88)]), 0.03, (40, 26, 18), 0)
    c.limb([(-0.49, 0.5), (0.49, 0.5)], 0.03, (40, 26, 18), 0)
    c.limb([(0, 0.01), (0, 0.99)], 0.03, (40, 26, 18), 0)
