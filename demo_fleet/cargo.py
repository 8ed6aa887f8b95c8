"""Lost cargo and household things."""

from __future__ import annotations

import numpy as np

from demo_fleet.canvas import Canvas
from demo_fleet.household import (
    BLACK,
    STEEL,
    WHITE,
    WOOD,
    armchair,
    bathtub,
    chair,
    mattress,
    refrigerator,
    rug,
    sofa,
    table,
    television,
    toilet,
    washing_machine,
)
from demo_fleet.kinds import Kind
from demo_fleet.textures import Colour, any_colour, jitter, pick, scaled

CARTON: Colour = (178, 136, 88)


def _cardboard_box(c: Canvas, rng: np.random.Generator) -> None:
    carton = jitter(rng, CARTON, 0.1)
    w, side = float(rng.uniform(0.4, 0.6)), float(rng.uniform(0.15, 0.3))
    opened = rng.random() < 0.45
    h = 0.68 if opened else 0.84
    c.box(-w, 0, w, h, side, 0.14, carton, "mottle", 0.05)
    if opened:
        c.polygon([(-w, h), (w, h), (w + side, h + 0.14), (-w + side, h + 0.14)], scaled(carton, 0.4), 0.1)
        c.polygon([(-w, h), (-w - 0.2, h + 0.06), (-w + side - 0.18, h + 0.24), (-w + side, h + 0.14)],
                  scaled(carton, 1.12))  # fmt: skip
        c.polygon([(-w + side, h + 0.14), (w + side, h + 0.14), (w + side + 0.02, h + 0.3), (-w + side, h + 0.3)],
                  scaled(carton, 1.05))  # fmt: skip
        c.polygon([(-w, h), (w, h), (w - 0.04, h - 0.2), (-w - 0.05, h - 0.2)], scaled(carton, 1.18))
    else:
        tape = scaled((206, 178, 128), float(rng.uniform(0.8, 1.1)))
        c.rectangle(-0.06, 0.62, 0.06, h, tape, 0)
        c.polygon([(-0.06, h), (0.06, h), (0.06 + side, h + 0.14), (-0.06 + side, h + 0.14)], tape, 0)
    if rng.random() < 0.6:
        c.rectangle(0.12, 0.14, w - 0.06, 0.34, pick(rng, WHITE, (150, 96, 50), (60, 60, 60)), 0)


def _crate(c: Canvas, rng: np.random.Generator) -> None:
    wood = jitter(rng, WOOD, 0.12)
    c.box(-0.55, 0, 0.55, 0.82, 0.25, 0.15, scaled(wood, 0.5))
    for y in (0.02, 0.3, 0.58):
        c.rectangle(-0.55, y, 0.55, y + 0.22, wood, 0.25, "grain", 0.2)
        c.polygon([(0.55, y), (0.8, y + 0.15), (0.8, y + 0.37), (0.55, y + 0.22)], scaled(wood, 0.66), 0.2)
    for x in (-0.55, 0.43):
        c.rectangle(x, 0, x + 0.12, 0.82, scaled(wood, 1.12), 0.2, "grain", 0.2)
    c.limb([(-0.42, 0.06), (0.42, 0.76)], 0.11, scaled(wood, 1.05), 0.2)


def _pallet(c: Canvas, rng: np.random.Generator) -> None:
    wood = pick(rng, WOOD, (148, 118, 84), (190, 160, 116))
    shift, depth = float(rng.uniform(-0.5, 0.5)), float(rng.uniform(0.35, 0.55))
    for i in range(7):  # deck boards, back to front
        t = 1 - i / 6
        x, y = shift * t, 0.42 + depth * t
        c.polygon(
            [
                (-3 + x + 0.6 * t, y - 0.03),
                (3 + x - 0.6 * t, y - 0.03),
                (3 + x - 0.6 * t, y + 0.045),
                (-3 + x + 0.6 * t, y + 0.045),
            ],
            scaled(wood, float(rng.uniform(0.85, 1.15))),
            0.2,
            "grain",
            0.2,
        )
    c.rectangle(-3, 0.3, 3, 0.42, wood, 0.3, "grain", 0.2)
    c.rectangle(-3, 0.08, 3, 0.3, scaled(wood, 0.22), 0.0)
    for x in (-3, -0.35, 2.3):
        c.rectangle(x, 0.05, x + 0.7, 0.32, scaled(wood, 0.85), 0.2, "grain")
    c.rectangle(-3, 0, 3, 0.09, scaled(wood, 0.9), 0.2, "grain", 0.2)


def _tire(c: Canvas, rng: np.random.Generator) -> None:
    rubber = jitter(rng, (36, 36, 38), 0.15)
    if rng.random() < 0.35:  # lying flat
        c.blob([(-0.95, 0.2), (-0.8, 0.42), (0, 0.55), (0.8, 0.42), (0.95, 0.2), (0.75, 0.04), (0, 0.0),
                (-0.75, 0.04)], rubber, 0.4, "fine")  # fmt: skip
        c.ellipse((0, 0.36), 0.5, 0.12, (12, 12, 12), shade=0.1)
        c.ellipse((0, 0.33), 0.42, 0.07, (70, 66, 60), shade=0.1)
        return
    squeeze = float(rng.uniform(0.45, 1.0))
    deep = 0.25 * (1.1 - squeeze)
    c.ellipse((deep + 0.1, 0.5), 0.5 * squeeze, 0.5, scaled(rubber, 0.7), texture="fine")
    c.ellipse((0, 0.5), 0.5 * squeeze, 0.5, rubber, shade=0.5, texture="fine")
    for r in (0.44, 0.36):
        c.ring((0, 0.5), r, 0.012, scaled(rubber, 1.7), squeeze)
    if rng.random() < 0.35:
        c.ellipse((0, 0.5), 0.3 * squeeze, 0.3, STEEL, shade=0.4)
        for a in np.linspace(0, 2 * np.pi, 6)[:5]:
            c.limb([(0, 0.5), (0.25 * squeeze * float(np.cos(a)), 0.5 + 0.25 * float(np.sin(a)))], 0.06,
                   (90, 92, 96))  # fmt: skip
    else:
        c.ellipse((0.02, 0.5), 0.28 * squeeze, 0.28, (96, 92, 86), shade=-0.4, texture="fine")


def _suitcase(c: Canvas, rng: np.random.Generator) -> None:
    colour = any_colour(rng, 0.4)
    w = float(rng.uniform(0.26, 0.36))
    for x in (-0.12, 0.12):
        c.limb([(x, 0.75), (x, 0.97)], 0.022, STEEL)
    c.limb([(-0.13, 0.97), (0.13, 0.97)], 0.05, BLACK)
    c.blob([(w, 0.06), (w + 0.12, 0.12), (w + 0.12, 0.76), (w, 0.8)], scaled(colour, 0.6))
    c.blob([(-w, 0.07), (-w, 0.78), (-w + 0.06, 0.82), (w - 0.06, 0.82), (w, 0.78), (w, 0.07), (w - 0.06, 0.05),
            (-w + 0.06, 0.05)], colour, 0.3)  # fmt: skip
    for x in np.linspace(-0.7 * w, 0.7 * w, 5):
        c.limb([(float(x), 0.13), (float(x), 0.74)], 0.02, scaled(colour, 0.72), 0.0)
    c.rectangle(-0.06, 0.66, 0.06, 0.7, STEEL)
    for x in (-w + 0.06, w - 0.04):
        c.ellipse((x, 0.03), 0.035, 0.035, BLACK)


def _backpack(c: Canvas, rng: np.random.Generator) -> None:
    colour = any_colour(rng, 0.6)
    c.ring((0, 0.92), 0.07, 0.03, scaled(colour, 0.5))
    c.blob([(-0.34, 0.05), (-0.38, 0.4), (-0.28, 0.84), (0, 0.95), (0.28, 0.84), (0.38, 0.4), (0.34, 0.05), (0, 0.0)],
           colour, 0.35, "mottle", 0.06)  # fmt: skip
    c.limb([(-0.3, 0.62), (0, 0.72), (0.3, 0.62)], 0.025, scaled(colour, 0.45), 0)
    c.blob([(-0.26, 0.1), (-0.26, 0.42), (0, 0.46), (0.26, 0.42), (0.26, 0.1), (0, 0.06)], scaled(colour, 0.82), 0.35)
    c.limb([(-0.2, 0.38), (0.2, 0.38)], 0.02, STEEL, 0)
    for s in (-1, 1):
        c.limb([(s * 0.38, 0.5), (s * 0.46, 0.28), (s * 0.36, 0.1)], 0.06, scaled(colour, 0.55))


def _crumple(c: Canvas, rng: np.random.Generator, colour: Colour, gains: tuple[float, float]) -> None:
    """Folds that catch the light."""
    for _ in range(9):
        x, y = float(rng.uniform(-0.24, 0.24)), float(rng.uniform(0.1, 0.5))
        tip = (x + float(rng.normal(0, 0.07)), y + 0.1)
        c.limb([(x, y), tip], [0.03, 0.008], scaled(colour, float(rng.choice(gains))), 0.0)


def _garbage_bag(c: Canvas, rng: np.random.Generator) -> None:
    colour = pick(rng, (30, 30, 33), (38, 40, 52), (34, 56, 44), (70, 72, 80))
    a = np.linspace(0, 2 * np.pi, 11, endpoint=False)
    ring = [
        (0.44 * float(k * np.cos(t)), max(0.36 + 0.36 * float(k * np.sin(t)), 0.0))
        for k, t in zip(rng.uniform(0.8, 1.1, 11), a, strict=True)
    ]
    c.polygon([(-0.06, 0.66), (-0.17, 0.98), (0.0, 0.86), (0.15, 0.97), (0.07, 0.66)], scaled(colour, 1.2), 0.3)
    c.blob(ring, colour, 0.5, "mottle", 0.16)
    _crumple(c, rng, colour, (0.7, 2.2))


def _plastic_bag(c: Canvas, rng: np.random.Generator) -> None:
    colour = pick(rng, (238, 238, 236), (200, 214, 230), (226, 60, 50), (60, 130, 200), (240, 220, 90))
    lean = float(rng.uniform(-0.08, 0.08))
    wild = rng.uniform(-0.04, 0.04, 8)
    for s in (-1, 1):  # two carrying loops, open in the middle
        c.limb(
            [
                (s * 0.34, 0.62),
                (s * 0.33 + lean, 0.86),
                (s * 0.22 + lean, 0.96),
                (s * 0.12 + lean, 0.86),
                (s * 0.1, 0.62),
            ],
            [0.12, 0.08, 0.06, 0.08, 0.12],
            scaled(colour, 0.92),
            0.2,
        )
    c.blob(
        [
            (-0.38, 0.06),
            (-0.44 + wild[0], 0.3),
            (-0.4 + wild[1], 0.66),
            (-0.2, 0.64 + wild[2]),
            (0.0, 0.56 + wild[3]),
            (0.2, 0.64 + wild[4]),
            (0.4 + wild[5], 0.66),
            (0.44 + wild[6], 0.3),
            (0.38, 0.05),
            (0.0, 0.0),
        ],
        colour,
        0.4,
        "mottle",
        0.14,
    )
    if rng.random() < 0.5:
        c.rectangle(-0.2, 0.2, 0.2, 0.42, any_colour(rng, 0.8), 0.1)
    _crumple(c, rng, colour, (0.75, 1.2))


def _ladder(c: Canvas, rng: np.random.Generator) -> None:
    colour = pick(rng, (196, 200, 204), (176, 136, 84), (226, 176, 48), (214, 90, 40))
    rungs = 9
    lean = float(rng.uniform(-0.06, 0.06))
    if rng.random() < 0.3:  # step ladder
        for s in (-1, 1):
            c.limb([(s * 0.06 + 0.12, 0.98), (s * 0.2 + 0.34, 0.02)], 0.022, scaled(colour, 0.6))
    for i in range(rungs):
        y = 0.06 + 0.88 * i / (rungs - 1)
        w = 0.15 - 0.04 * y
        c.limb([(-w + lean * y, y), (w + lean * y, y)], 0.024, scaled(colour, 0.9))
    for s in (-1, 1):
        c.limb([(s * 0.16, 0.0), (s * 0.11 + lean, 1.0)], 0.034, colour, 0.2)


def _barrel(c: Canvas, rng: np.random.Generator) -> None:
    wooden = rng.random() < 0.3
    colour = (
        jitter(rng, WOOD, 0.1) if wooden else pick(rng, (40, 90, 170), (170, 50, 40), (120, 110, 100), (50, 110, 70))
    )
    w = 0.33
    swell = 0.06 if wooden else 0.0
    c.blob([(-w, 0.06), (-w - swell, 0.5), (-w, 0.92), (0, 0.95), (w, 0.92), (w + swell, 0.5), (w, 0.06), (0, 0.0)],
           colour, 0.15, "grain" if wooden else "mottle", 0.1)  # fmt: skip
    for x, k in ((-w, 0.5), (-0.6 * w, 0.8), (0.25 * w, 1.25), (0.7 * w, 0.65)):  # the light on a cylinder
        c.limb([(x * 0.9, 0.1), (x * 0.9, 0.9)], 0.12, scaled(colour, k), 0, "mottle", 0.1)
    for y in (0.1, 0.36, 0.64, 0.9) if wooden else (0.08, 0.35, 0.64, 0.92):
        c.limb([(-w - 0.6 * swell, y + 0.03), (0, y - 0.02), (w + 0.6 * swell, y + 0.03)], 0.045,
               (70, 66, 64) if wooden else scaled(colour, 0.72), 0.3)  # fmt: skip
    c.ellipse((0, 0.94), w, 0.055, scaled(colour, 1.3), shade=0.1)
    c.ellipse((0.14, 0.945), 0.05, 0.014, (30, 30, 30), shade=0)


def _pipe(c: Canvas, rng: np.random.Generator) -> None:
    colour = pick(rng, (160, 160, 156), (190, 110, 60), (120, 124, 130), (70, 74, 80))
    lift = float(rng.uniform(0.0, 0.25))
    for k, off in ((0.55, -0.18), (0.9, -0.04), (1.25, 0.14), (1.0, 0.26), (0.75, 0.36)):
        c.limb([(-2.3, 0.36 + off), (2.1, 0.36 + off + lift)], 0.2, scaled(colour, k), 0, "mottle", 0.08)
    c.ellipse((2.15, 0.44 + lift), 0.2, 0.42, scaled(colour, 1.1))
    c.ellipse((2.17, 0.44 + lift), 0.14, 0.32, (14, 14, 14), shade=0)


def _plank(c: Canvas, rng: np.random.Generator) -> None:
    wood = pick(rng, WOOD, (204, 172, 118), (140, 108, 76))
    for i in range(int(rng.integers(1, 4))):
        a, y = float(rng.normal(0, 0.28)), 0.14 + 0.26 * i
        c.polygon(
            [(-4, y - a), (4, y + a), (4.2, y + a + 0.18), (-3.8, y - a + 0.18)], scaled(wood, 1.12), 0.1, "grain", 0.25
        )
        c.polygon([(-4, y - a), (4, y + a), (4, y + a - 0.12), (-4, y - a - 0.12)], scaled(wood, 0.62), 0.1, "grain")


def _bucket(c: Canvas, rng: np.random.Generator) -> None:
    colour = pick(rng, (50, 100, 190), (190, 40, 40), STEEL, (60, 60, 62), (230, 230, 226), (226, 186, 50))
    c.ring((0, 0.72), 0.4, 0.028, STEEL)
    c.polygon([(-0.4, 0.72), (-0.27, 0.04), (0, 0.0), (0.27, 0.04), (0.4, 0.72)], colour, 0.3)
    c.limb([(0.14, 0.1), (0.2, 0.66)], 0.08, scaled(colour, 1.35), 0)
    c.limb([(-0.24, 0.12), (-0.32, 0.66)], 0.06, scaled(colour, 0.6), 0)
    c.ellipse((0, 0.72), 0.41, 0.1, scaled(colour, 1.2), shade=0.1)
    c.ellipse((0, 0.71), 0.35, 0.07, scaled(colour, 0.4), shade=0)


def _jerrycan(c: Canvas, rng: np.random.Generator) -> None:
    colour = pick(rng, (62, 80, 52), (190, 40, 34), (60, 90, 160), (226, 226, 220))
    c.blob(
        [(-0.36, 0.03), (-0.37, 0.7), (-0.3, 0.82), (0.18, 0.86), (0.36, 0.68), (0.37, 0.03), (0, 0.01)], colour, 0.3
    )
    c.limb([(-0.24, 0.8), (-0.22, 0.97), (0.08, 0.98), (0.12, 0.84)], 0.06, scaled(colour, 0.8))
    c.limb([(0.22, 0.76), (0.36, 0.9)], 0.13, scaled(colour, 0.55))
    for p, q in (((-0.24, 0.14), (0.24, 0.64)), ((-0.24, 0.64), (0.24, 0.14))):
        c.limb([p, q], 0.06, scaled(colour, 0.7), 0.3)


def _umbrella(c: Canvas, rng: np.random.Generator) -> None:
    a, b = any_colour(rng, 0.8), any_colour(rng, 0.8)
    c.limb([(0, 0.6), (0, 0.1), (0.04, 0.03), (0.1, 0.03), (0.12, 0.1)], 0.03, (90, 60, 40))
    n = 6
    xs = np.linspace(-0.6, 0.6, n + 1)
    for i in range(n):
        rim = [(float(xs[i]), 0.5), (float(xs[i] + xs[i + 1]) / 2, 0.55), (float(xs[i + 1]), 0.5)]
        x0, x1 = float(xs[i]) * 0.72, float(xs[i + 1]) * 0.72
        c.polygon([*rim, (x1, 0.82), (0, 0.96), (x0, 0.82)], scaled(a if i % 2 else b, 0.72 + 0.1 * i), 0.2)
    c.limb([(0, 0.95), (0, 1.0)], 0.02, BLACK)


CARGO: tuple[Kind, ...] = (
    Kind("cardboard box", ("carton", "box"), "cargo", 0.5, _cardboard_box, 1.7, tips=0.15),
    Kind("crate", ("wooden crate", "wooden box"), "cargo", 0.6, _crate, 1.7, tips=0.1),
    Kind("wooden pallet", ("pallet",), "cargo", 0.2, _pallet, 6.6),
    Kind("tire", ("tyre", "car tire"), "cargo", 0.65, _tire, 2.0),
    Kind("suitcase", ("luggage", "trolley case"), "cargo", 0.75, _suitcase, 1.0, tips=0.35),
    Kind("backpack", ("rucksack", "schoolbag"), "cargo", 0.5, _backpack, 1.0, tips=0.25),
    Kind("plastic bag", ("shopping bag", "carrier bag"), "cargo", 0.45, _plastic_bag, 1.1),
    Kind("garbage bag", ("trash bag", "bin bag"), "cargo", 0.65, _garbage_bag, 1.1),
    Kind("ladder", ("stepladder",), "cargo", 2.4, _ladder, 1.0, tips=0.55),
    Kind("mattress", (), "cargo", 1.0, mattress, 2.7),
    Kind("sofa", ("couch", "settee"), "cargo", 0.85, sofa, 2.6, tips=0.1),
    Kind("armchair", ("easy chair",), "cargo", 0.9, armchair, 1.1, tips=0.15),
    Kind("chair", ("kitchen chair",), "cargo", 0.9, chair, 0.9, tips=0.35),
    Kind("table", ("desk",), "cargo", 0.75, table, 2.2, tips=0.2),
    Kind("refrigerator", ("fridge", "freezer"), "cargo", 1.7, refrigerator, 0.8, tips=0.3),
    Kind("washing machine", ("washer", "dryer"), "cargo", 0.85, washing_machine, 1.5, tips=0.2),
    Kind("bathtub", ("bath",), "cargo", 0.6, bathtub, 2.9),
    Kind("barrel", ("oil drum", "drum", "keg"), "cargo", 0.9, _barrel, 0.95, tips=0.35),
    Kind("pipe", ("tube",), "cargo", 0.45, _pipe, 5.0),
    Kind("plank", ("board", "lumber"), "cargo", 0.3, _plank, 8.6),
    Kind("bucket", ("pail",), "cargo", 0.35, _bucket, 1.0, tips=0.4),
    Kind("jerrycan", ("fuel can", "canister"), "cargo", 0.5, _jerrycan, 0.95, tips=0.3),
    Kind("umbrella", ("parasol",), "cargo", 0.9, _umbrella, 1.4, tips=0.3),
    Kind("rug", ("carpet",), "cargo", 0.35, rug, 5.6),
    Kind("toilet", ("toilet bowl",), "cargo", 0.8, toilet, 1.1, tips=0.15),
    Kind("television", ("tv", "flat screen"), "cargo", 0.7, television, 1.8, tips=0.1),
)  # fmt: skip
