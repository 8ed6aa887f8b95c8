"""What a road scene usually shows: vehicles, people, poles, signs and plants, as sprites from a bank."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from demo_fleet.canvas import Canvas, Sprite, mirrored, with_smaller
from demo_fleet.classes import CLASSES
from demo_fleet.kinds import Draw
from demo_fleet.textures import Colour, any_colour, jitter, pick, scaled
from demo_fleet.vehicles import BLACK, GLASS, STEEL, bus, bus_side, car_end, car_side, train, truck_side, van_end

VARIANTS = 32
_INDEX = {name: i for i, name in enumerate(CLASSES)}
SKIN: tuple[Colour, ...] = ((224, 178, 148), (190, 138, 102), (122, 82, 58), (84, 56, 42))


def _person(c: Canvas, rng: np.random.Generator, sitting: bool = False, at: float = 0.0, up: float = 0.0) -> None:
    """A person of height 1, or the rider part when sitting with hips at (at, up)."""
    top, trousers = any_colour(rng, 0.5), pick(rng, (40, 44, 60), (60, 60, 62), (96, 88, 76), (50, 70, 110))
    skin, hair = pick(rng, *SKIN), pick(rng, (30, 24, 20), (90, 60, 36), (190, 160, 110), (120, 120, 120))
    wide = float(rng.uniform(0.85, 1.2))
    if sitting:
        s = 0.62
        hip = (at, up)
        c.limb([hip, (at + 0.26 * s, up - 0.12 * s), (at + 0.14 * s, up - 0.42 * s)], [0.15 * s, 0.12 * s, 0.08 * s],
               trousers)  # fmt: skip
        neck = (at + 0.16 * s, up + 0.46 * s)
        c.limb([hip, neck], [0.2 * s, 0.24 * s * wide], top)
        c.limb([neck, (neck[0] + 0.16 * s, neck[1] - 0.2 * s), (neck[0] + 0.34 * s, neck[1] - 0.24 * s)], 0.08 * s,
               scaled(top, 0.85))  # fmt: skip
        head = (neck[0] + 0.05 * s, neck[1] + 0.2 * s)
        c.ellipse(head, 0.09 * s, 0.115 * s, skin)
        cap = any_colour(rng, 0.7) if rng.random() < 0.6 else hair
        c.ellipse((head[0] - 0.015, head[1] + 0.05 * s), 0.105 * s, 0.08 * s, cap)
        return
    stride = float(rng.uniform(0.0, 0.16))
    coat = rng.random() < 0.3
    c.limb(
        [(0.02, 0.5), (0.03 + 0.5 * stride, 0.26), (stride, 0.04)], [0.11 * wide, 0.08, 0.055], scaled(trousers, 0.75)
    )
    c.limb([(-0.02, 0.5), (-0.02 - 0.2 * stride, 0.26), (-stride, 0.04)], [0.11 * wide, 0.08, 0.055], trousers)
    for x in (stride, -stride):
        c.limb([(x, 0.02), (x + 0.05, 0.02)], 0.035, BLACK)
    c.limb([(0.07, 0.76), (0.1 + 0.5 * stride, 0.6), (0.08 + stride, 0.5)], [0.07, 0.055, 0.045], scaled(top, 0.7))
    c.blob(
        [
            (-0.1 * wide, 0.5 - 0.14 * coat),
            (-0.13 * wide, 0.68),
            (-0.12 * wide, 0.82),
            (0, 0.85),
            (0.12 * wide, 0.82),
            (0.13 * wide, 0.68),
            (0.1 * wide, 0.5 - 0.14 * coat),
        ],
        top,
        0.3,
        "mottle",
        0.05,
    )
    c.limb([(-0.1, 0.78), (-0.14 - 0.3 * stride, 0.62), (-0.12 - stride, 0.5)], [0.07, 0.055, 0.04], scaled(top, 0.9))
    c.ellipse((0, 0.92), 0.055, 0.075, skin)
    c.ellipse((0, 0.955), 0.06, 0.045, hair)
    if rng.random() < 0.25:
        c.ellipse((-0.14 * wide, 0.68), 0.07, 0.12, any_colour(rng, 0.6))


def _bicycle(c: Canvas, rng: np.random.Generator, y: float = 1.0) -> None:
    frame = any_colour(rng, 0.8)
    r = 0.32 * y
    for x in (-0.52 * y, 0.52 * y):
        c.ring((x, r), r, 0.035 * y, BLACK)
        c.limb([(x - r, r), (x + r, r)], 0.006 * y, STEEL, 0)
        c.limb([(x, 0.02), (x, 2 * r)], 0.006 * y, STEEL, 0)
    for p, q in (
        ((-0.52, 0.32), (-0.05, 0.3)),
        ((-0.05, 0.3), (-0.2, 0.8)),
        ((-0.18, 0.72), (0.36, 0.78)),
        ((-0.05, 0.3), (0.36, 0.74)),
        ((-0.52, 0.32), (-0.18, 0.72)),
        ((0.34, 0.9), (0.52, 0.32)),
    ):
        c.limb([(p[0] * y, p[1] * y), (q[0] * y, q[1] * y)], 0.035 * y, frame)
    c.limb([(-0.3 * y, 0.83 * y), (-0.1 * y, 0.83 * y)], 0.06 * y, BLACK)
    c.limb([(0.3 * y, 0.96 * y), (0.46 * y, 0.92 * y)], 0.03 * y, BLACK)


def _motorcycle(c: Canvas, rng: np.random.Generator, y: float = 1.0) -> None:
    paint = any_colour(rng, 0.8)
    for x in (-0.6 * y, 0.62 * y):
        c.wheel((x, 0.29 * y), 0.29 * y)
    c.limb([(0.62 * y, 0.3 * y), (0.4 * y, 0.95 * y)], 0.07 * y, STEEL)
    c.blob([(-0.3 * y, 0.2 * y), (-0.3 * y, 0.5 * y), (0.3 * y, 0.55 * y), (0.34 * y, 0.25 * y)], (60, 60, 64), 0.4)
    c.blob([(-0.1 * y, 0.55 * y), (0.0, 0.82 * y), (0.36 * y, 0.85 * y), (0.42 * y, 0.6 * y)], paint, 0.4)
    c.limb([(-0.75 * y, 0.75 * y), (-0.4 * y, 0.68 * y), (0, 0.66 * y)], [0.1 * y, 0.16 * y, 0.12 * y], BLACK)
    c.limb([(-0.8 * y, 0.24 * y), (-0.1 * y, 0.2 * y)], 0.08 * y, STEEL)
    c.limb([(0.3 * y, 1.0 * y), (0.46 * y, 0.92 * y)], 0.05 * y, BLACK)
    c.ellipse((0.5 * y, 0.8 * y), 0.09 * y, 0.1 * y, (230, 228, 210))


def _bike_end(c: Canvas, rng: np.random.Generator, label: str) -> None:
    """A two-wheeler with its rider, seen from behind or in front."""
    c.label = _INDEX[label]
    thick = 0.035 if label == "bicycle" else 0.09
    c.limb([(0, 0.04), (0, 0.36)], thick, BLACK)
    if label == "motorcycle":
        c.blob([(-0.11, 0.25), (-0.13, 0.42), (0.13, 0.42), (0.11, 0.25)], any_colour(rng, 0.7), 0.3)
        c.rectangle(-0.05, 0.33, 0.05, 0.38, (200, 40, 40), 0)
    c.limb([(-0.2, 0.58), (0.2, 0.58)], 0.03, BLACK)
    c.label = _INDEX["rider"]
    top, trousers = any_colour(rng, 0.6), pick(rng, (40, 44, 60), (60, 60, 62), (96, 88, 76))
    for s in (-1, 1):
        c.limb([(s * 0.06, 0.46), (s * 0.1, 0.3), (s * 0.08, 0.1)], [0.11, 0.08, 0.06], trousers)
        c.limb([(s * 0.13, 0.76), (s * 0.19, 0.64), (s * 0.17, 0.58)], [0.08, 0.06, 0.05], scaled(top, 0.85))
    c.blob([(-0.12, 0.44), (-0.16, 0.7), (-0.11, 0.81), (0.11, 0.81), (0.16, 0.7), (0.12, 0.44)], top, 0.3)
    c.ellipse((0, 0.9), 0.065, 0.085, pick(rng, *SKIN))
    if rng.random() < 0.8:
        c.ellipse((0, 0.94), 0.085, 0.065, any_colour(rng, 0.8), shade=0.4)


def _ridden(c: Canvas, rng: np.random.Generator, label: str) -> None:
    c.label = _INDEX[label]
    if label == "bicycle":
        _bicycle(c, rng, 0.62)
    else:
        _motorcycle(c, rng, 0.62)
    c.label = _INDEX["rider"]
    _person(c, rng, sitting=True, at=-0.13, up=0.53 if label == "bicycle" else 0.47)


def _tree(c: Canvas, rng: np.random.Generator) -> None:
    green = pick(rng, (62, 92, 40), (84, 108, 48), (48, 76, 44), (110, 118, 60), (140, 100, 44))
    bark = pick(rng, (84, 68, 54), (110, 98, 84), (60, 50, 42))
    shape = rng.random()
    if shape < 0.12:  # bare in winter
        c.limb([(0, 0), (0.02, 0.4), (0, 0.6)], [0.06, 0.045, 0.03], bark, texture="grain")
        for _ in range(16):
            y, a = rng.uniform(0.3, 0.65), rng.uniform(0.25, np.pi - 0.25)
            r = rng.uniform(0.2, 0.36)
            c.limb(
                [
                    (0.01, float(y)),
                    (float(0.6 * r * np.cos(a)), float(y + 0.5 * r * np.sin(a))),
                    (float(r * np.cos(a)), float(min(y + r * np.sin(a), 1.0))),
                ],
                [0.022, 0.013, 0.005],
                bark,
                0,
            )
        return
    if shape < 0.32:  # conifer
        c.limb([(0, 0), (0, 0.3)], 0.05, bark)
        for y in np.linspace(0.08, 0.78, 7):
            w = 0.3 * (1 - float(y)) + 0.03
            c.polygon([(-w, float(y)), (-0.4 * w, float(y) - 0.02), (0, float(y) - 0.03), (0.5 * w, float(y) - 0.02),
                       (w, float(y)), (0, min(float(y) + 0.28, 1.0))], scaled(green, 0.7 + 0.2 * rng.random()), 0.25,
                      "leaf", 0.3)  # fmt: skip
        return
    slim = 0.55 if shape > 0.88 else 1.0
    c.limb([(0, 0), (0.01, 0.3), (0, 0.6)], [0.07, 0.05, 0.03], bark, 0.25, "grain", 0.2)
    for _ in range(int(rng.integers(9, 17))):
        a, r = rng.uniform(0, 2 * np.pi), np.sqrt(rng.random())
        x, y = 0.26 * slim * r * np.cos(a), 0.64 + 0.24 * r * np.sin(a)
        size = float(rng.uniform(0.09, 0.17))
        tone = scaled(jitter(rng, green, 0.08), float(0.6 + 0.7 * (y - 0.35)))
        c.ellipse(
            (float(x), float(y)), size * (0.6 + 0.4 * slim), size * 0.85, tone, shade=0.35, texture="leaf", grain=0.35
        )


def _bush(c: Canvas, rng: np.random.Generator) -> None:
    green = pick(rng, (62, 92, 40), (84, 108, 48), (48, 76, 44), (120, 112, 60))
    for _ in range(int(rng.integers(7, 13))):
        x, y = rng.uniform(-0.7, 0.7), rng.uniform(0.1, 0.65)
        size = float(rng.uniform(0.2, 0.35))
        c.ellipse((float(x), float(y)), size * 1.2, size, scaled(jitter(rng, green, 0.1), float(0.6 + 0.6 * y)),
                  shade=0.35, texture="leaf", grain=0.35)  # fmt: skip


def _pole(c: Canvas, rng: np.random.Generator) -> None:
    c.limb([(0, 0), (0, 0.99)], [0.03, 0.022], pick(rng, (130, 134, 138), (110, 90, 70), (70, 74, 72)), 0.3)
    if rng.random() < 0.5:
        for y in (0.88, 0.95):
            c.limb([(-0.12, y), (0.12, y)], 0.015, (90, 80, 70))


def _lamp(c: Canvas, rng: np.random.Generator) -> None:
    steel = pick(rng, (130, 134, 138), (70, 74, 72), (160, 160, 156))
    reach = float(rng.uniform(0.12, 0.3))
    c.limb([(0, 0), (0, 0.9), (0.04, 0.97), (reach, 0.99)], [0.026, 0.018, 0.014, 0.012], steel, 0.3)
    c.limb([(reach - 0.03, 0.985), (reach + 0.06, 0.985)], 0.026, scaled(steel, 0.7))


def _traffic_light(c: Canvas, rng: np.random.Generator) -> None:
    c.label = _INDEX["pole"]
    c.limb([(0, 0), (0, 0.98)], 0.03, (110, 112, 114), 0.3)
    c.label = _INDEX["traffic light"]
    c.blob([(-0.05, 0.72), (-0.05, 0.99), (0.05, 0.99), (0.05, 0.72)], (28, 30, 28), 0.2)
    lit = int(rng.integers(3))
    for i, colour in enumerate(((230, 40, 36), (240, 180, 40), (50, 220, 130))):
        c.ellipse((0, 0.945 - 0.085 * i), 0.03, 0.033, colour if i == lit else scaled(colour, 0.22), shade=0)


def _sign(c: Canvas, rng: np.random.Generator) -> None:
    c.label = _INDEX["pole"]
    c.limb([(0, 0), (0, 0.96)], 0.024, (140, 142, 144), 0.3)
    c.label = _INDEX["traffic sign"]
    red, white, blue = (204, 36, 36), (232, 232, 228), (36, 84, 176)
    style = rng.integers(7)
    y = 0.84
    if style == 0:
        c.ellipse((0, y), 0.14, 0.14, red, shade=0.1)
        c.ellipse((0, y), 0.1, 0.1, white, shade=0)
        c.rectangle(-0.05, y - 0.04, -0.01, y + 0.04, BLACK, 0)
        c.rectangle(0.01, y - 0.04, 0.05, y + 0.04, BLACK, 0)
    elif style == 1:
        c.polygon([(-0.16, y - 0.12), (0.16, y - 0.12), (0, y + 0.15)], red, 0.1)
        c.polygon([(-0.1, y - 0.085), (0.1, y - 0.085), (0, y + 0.08)], white, 0)
        c.limb([(0, y - 0.06), (0, y + 0.02)], 0.03, BLACK, 0)
    elif style == 2:
        c.ellipse((0, y), 0.14, 0.14, blue, shade=0.1)
        c.limb([(-0.06, y - 0.04), (0.05, y + 0.05)], 0.04, white, 0)
    elif style == 3:
        c.rectangle(-0.13, y - 0.13, 0.13, y + 0.13, blue, 0.1)
        c.rectangle(-0.07, y - 0.07, 0.07, y + 0.07, white, 0)
    elif style == 4:
        a = np.linspace(0, 2 * np.pi, 8, endpoint=False) + np.pi / 8
        c.polygon([(0.15 * float(np.cos(t)), y + 0.15 * float(np.sin(t))) for t in a], red, 0.1)
        c.rectangle(-0.1, y - 0.03, 0.1, y + 0.03, white, 0)
    elif style == 5:
        c.polygon([(0, y + 0.15), (0.15, y), (0, y - 0.15), (-0.15, y)], (238, 186, 40), 0.1)
    else:
        board = pick(rng, (30, 110, 70), blue, (236, 196, 50), white)
        c.rectangle(-0.4, y - 0.14, 0.4, y + 0.15, board, 0.1)
        ink = white if sum(board) < 480 else BLACK
        for i in range(3):
            c.rectangle(-0.32, y - 0.1 + 0.08 * i, float(rng.uniform(0.0, 0.3)), y - 0.06 + 0.08 * i, ink, 0)


def _house(c: Canvas, rng: np.random.Generator) -> None:
    wall = pick(rng, (214, 202, 180), (190, 120, 92), (226, 222, 214), (170, 160, 140), (198, 176, 120))
    roof = pick(rng, (120, 62, 46), (80, 78, 80), (96, 70, 56))
    c.rectangle(-0.7, 0, 0.7, 0.62, wall, 0.1, "mottle", 0.06)
    if rng.random() < 0.5:
        c.polygon([(-0.78, 0.6), (0.78, 0.6), (0.0, 1.0)], wall, 0.1, "mottle", 0.06)
        c.limb([(-0.8, 0.58), (0, 1.0), (0.8, 0.58)], 0.05, roof)
    else:
        c.polygon([(-0.8, 0.58), (0.8, 0.58), (0.62, 0.98), (-0.62, 0.98)], roof, 0.15, "grain", 0.15)
    glass = pick(rng, GLASS, (90, 104, 120), (40, 44, 50))
    for x in (-0.52, -0.14, 0.3):
        for y in (0.08, 0.38):
            if y > 0.1 or x != -0.14:
                c.rectangle(x - 0.02, y - 0.015, x + 0.2, y + 0.175, (230, 228, 222), 0)
                c.rectangle(x, y, x + 0.18, y + 0.16, glass, -0.2)
    c.rectangle(-0.12, 0, 0.04, 0.26, pick(rng, (110, 60, 36), (60, 90, 70), (220, 220, 216)), 0.1)


def known_sprite(kind: str, variant: int, height_px: int = 144) -> Sprite:
    """One of VARIANTS individuals of a usual thing; same for the same arguments in every process."""
    return _bank(kind, variant % VARIANTS, height_px)


@lru_cache(maxsize=4096)
def _bank(kind: str, variant: int, height_px: int) -> Sprite:
    order = tuple(KNOWN)
    rng = np.random.default_rng((1907, order.index(kind), variant))
    draw, low, high, aspect = KNOWN[kind]
    canvas = Canvas(height_px, aspect, rng)
    canvas.label = _INDEX.get(LABEL_OF.get(kind, kind), 0)
    draw(canvas, rng)
    sprite = canvas.sprite(float(rng.uniform(low, high)), labelled=kind in MIXED)
    return with_smaller(mirrored(sprite) if rng.random() < 0.5 else sprite)


# kind: how it is drawn, its least and greatest height in metres, its aspect
KNOWN: dict[str, tuple[Draw, float, float, float]] = {
    "car rear": (lambda c, r: car_end(c, r, False), 1.4, 1.65, 2.0),
    "car front": (lambda c, r: car_end(c, r, True), 1.4, 1.65, 2.0),
    "car side": (car_side, 1.4, 1.6, 3.1),
    "van rear": (lambda c, r: van_end(c, r, False, False), 1.9, 2.4, 1.6),
    "van front": (lambda c, r: van_end(c, r, True, False), 1.9, 2.4, 1.6),
    "truck rear": (lambda c, r: van_end(c, r, False, True), 3.2, 3.9, 1.4),
    "truck front": (lambda c, r: van_end(c, r, True, True), 3.0, 3.9, 1.4),
    "truck side": (truck_side, 3.2, 3.9, 4.3),
    "bus rear": (lambda c, r: bus(c, r, False), 2.9, 3.3, 1.6),
    "bus front": (lambda c, r: bus(c, r, True), 2.9, 3.3, 1.6),
    "bus side": (bus_side, 2.9, 3.3, 4.0),
    "train": (train, 3.4, 3.9, 8.6),
    "person": (_person, 1.5, 1.9, 0.7),
    "cyclist side": (lambda c, r: _ridden(c, r, "bicycle"), 1.7, 1.85, 1.2),
    "motorcyclist side": (lambda c, r: _ridden(c, r, "motorcycle"), 1.6, 1.75, 1.3),
    "cyclist": (lambda c, r: _bike_end(c, r, "bicycle"), 1.65, 1.85, 0.6),
    "motorcyclist": (lambda c, r: _bike_end(c, r, "motorcycle"), 1.5, 1.7, 0.6),
    "bicycle": (_bicycle, 1.0, 1.1, 1.9),
    "motorcycle": (_motorcycle, 1.05, 1.2, 2.0),
    "tree": (_tree, 4.0, 11.0, 0.95),
    "bush": (_bush, 0.7, 2.2, 2.2),
    "pole": (_pole, 4.0, 8.0, 0.4),
    "lamp": (_lamp, 6.0, 9.0, 0.85),
    "traffic light": (_traffic_light, 2.8, 4.0, 0.3),
    "traffic sign": (_sign, 2.2, 3.2, 0.95),
    "house": (_house, 6.0, 8.5, 1.8),
}  # fmt: skip
MIXED = frozenset({"cyclist side", "motorcyclist side", "cyclist", "motorcyclist", "traffic light", "traffic sign"})
LABEL_OF = {
    "car rear": "car", "car front": "car", "car side": "car", "van rear": "car", "van front": "car",
    "truck rear": "truck", "truck front": "truck", "truck side": "truck",
    "bus rear": "bus", "bus front": "bus", "bus side": "bus",
    "tree": "vegetation", "bush": "vegetation", "lamp": "pole", "house": "building",
}  # fmt: skip


def class_of(kind: str) -> int:
    """Class index of a usual thing whose pixels are all of one class."""
    return _INDEX.get(LABEL_OF.get(kind, kind), 0)
