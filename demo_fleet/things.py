"""Vehicles that are none of the usual classes, and other things that turn up on a road."""

from __future__ import annotations

import numpy as np

from demo_fleet.canvas import Canvas, smooth
from demo_fleet.kinds import Kind
from demo_fleet.leisure import (
    BLACK,
    GLASS,
    STEEL,
    WHITE,
    balloon,
    beach_ball,
    boat,
    canoe,
    drone,
    football,
    guitar,
    kite,
    rowing_ball,
    skateboard,
    surfboard,
    teddy,
    tent,
    toy_balloon,
)
from demo_fleet.textures import any_colour, pick, scaled


def _caravan(c: Canvas, rng: np.random.Generator) -> None:
    body, trim = pick(rng, WHITE, (222, 216, 200), (206, 212, 214)), any_colour(rng, 0.7)
    c.limb([(0.75, 0.17), (1.08, 0.15)], 0.05, BLACK)
    c.limb([(1.04, 0.15), (1.04, 0.03)], 0.03, STEEL)
    c.blob([(-0.85, 0.16), (-0.9, 0.6), (-0.82, 0.94), (-0.6, 1.0), (0.5, 1.0), (0.74, 0.92), (0.84, 0.55), (0.8, 0.16),
            (0, 0.12)], body, 0.25)  # fmt: skip
    c.rectangle(-0.86, 0.34, 0.82, 0.42, trim, 0)
    for x0, x1 in ((-0.7, -0.25), (0.32, 0.66)):
        c.rectangle(x0, 0.55, x1, 0.8, GLASS, 0.2)
        c.rectangle(x0, 0.55, x0 + 0.1, 0.8, (150, 140, 130), 0)
    c.rectangle(-0.1, 0.18, 0.18, 0.86, scaled(body, 0.85), 0.1)
    c.rectangle(-0.05, 0.58, 0.13, 0.8, GLASS, 0)
    c.wheel((0.06, 0.12), 0.125)


def _trailer(c: Canvas, rng: np.random.Generator) -> None:
    paint = pick(rng, STEEL, (90, 110, 70), (70, 90, 140), (150, 60, 50))
    c.limb([(0.8, 0.34), (1.35, 0.32)], 0.06, BLACK)
    c.limb([(1.25, 0.32), (1.25, 0.04)], 0.05, STEEL)
    if rng.random() < 0.5:
        c.blob([(-0.9, 0.6), (-0.5, 0.92), (0.1, 1.0), (0.6, 0.88), (0.86, 0.6)], any_colour(rng, 0.4), 0.4, "mottle")
    c.rectangle(-0.95, 0.3, 0.85, 0.7, paint, 0.2)
    for x in np.linspace(-0.95, 0.8, 6):
        c.rectangle(float(x), 0.3, float(x) + 0.05, 0.7, scaled(paint, 0.7), 0)
    c.rectangle(-0.95, 0.28, 0.85, 0.34, BLACK, 0)
    c.wheel((-0.08, 0.22), 0.22)
    c.rectangle(-0.98, 0.34, -0.9, 0.46, (200, 30, 30), 0)


def _shopping_cart(c: Canvas, rng: np.random.Generator) -> None:
    wire = pick(rng, (186, 190, 196), (150, 154, 160))
    accent = any_colour(rng, 0.9)
    c.limb([(-0.3, 0.5), (-0.26, 0.2), (0.4, 0.18)], 0.03, wire)
    for x in (-0.26, 0.38):
        c.wheel((x, 0.07), 0.07)
        c.limb([(x, 0.1), (x, 0.2)], 0.03, wire)
    corners = [(-0.38, 0.88), (0.5, 0.78), (0.42, 0.46), (-0.3, 0.42)]
    for t in np.linspace(0, 1, 11):
        top = (corners[0][0] + t * 0.88, corners[0][1] - 0.1 * t)
        bottom = (corners[3][0] + t * 0.72, corners[3][1] + 0.04 * t)
        c.limb([top, bottom], 0.013, wire, 0)
    for t in np.linspace(0, 1, 6):
        c.limb(
            [(corners[0][0] + 0.08 * t, 0.88 - 0.46 * t), (corners[1][0] - 0.08 * t, 0.78 - 0.32 * t)], 0.014, wire, 0
        )
    c.limb([*corners, corners[0]], 0.03, wire)
    c.limb([(-0.36, 0.84), (-0.52, 0.98)], 0.03, wire)
    c.limb([(-0.56, 0.97), (-0.44, 0.99)], 0.06, accent)


def _stroller(c: Canvas, rng: np.random.Generator) -> None:
    cloth = any_colour(rng, 0.5)
    c.limb([(-0.5, 0.92), (0.28, 0.12)], 0.035, STEEL)
    c.limb([(0.2, 0.5), (-0.26, 0.12)], 0.035, STEEL)
    c.limb([(-0.56, 0.93), (-0.46, 0.93)], 0.055, BLACK)
    c.wheel((-0.28, 0.11), 0.11)
    c.wheel((0.3, 0.11), 0.11)
    c.blob([(-0.3, 0.4), (-0.32, 0.56), (0.3, 0.56), (0.4, 0.5), (0.24, 0.34), (-0.1, 0.32)], cloth, 0.35)
    t = np.linspace(np.pi * 0.5, np.pi * 1.08, 8)
    hood = [(0.05 + 0.4 * float(np.cos(a)), 0.55 + 0.4 * float(np.sin(a))) for a in t]
    c.polygon([(0.05, 0.55), (0.2, 0.9), *hood], scaled(cloth, 0.75), 0.3)
    for i in (2, 4, 6):
        c.limb([(0.05, 0.55), hood[i]], 0.014, scaled(cloth, 0.45), 0)


def _tractor(c: Canvas, rng: np.random.Generator) -> None:
    paint = pick(rng, (50, 120, 50), (190, 36, 30), (40, 90, 170), (220, 130, 30))
    c.limb([(0.32, 0.6), (0.32, 0.84)], 0.04, BLACK)
    c.blob([(-0.1, 0.34), (-0.08, 0.62), (0.6, 0.58), (0.68, 0.5), (0.66, 0.32)], paint, 0.3)
    c.polygon([(-0.52, 0.5), (-0.48, 0.96), (-0.08, 0.96), (0.0, 0.56)], GLASS, 0.1)
    for p, q in (((-0.52, 0.5), (-0.48, 0.96)), ((-0.08, 0.96), (0.0, 0.56)), ((-0.28, 0.5), (-0.27, 0.96))):
        c.limb([p, q], 0.035, scaled(paint, 0.8))
    c.limb([(-0.54, 0.97), (-0.04, 0.97)], 0.05, scaled(paint, 1.05))
    c.limb(smooth([(-0.72, 0.5), (-0.5, 0.64), (-0.2, 0.62), (-0.06, 0.44)]), 0.07, scaled(paint, 0.85))
    c.wheel((-0.4, 0.29), 0.3, hub=pick(rng, (226, 196, 50), (210, 60, 40), WHITE))
    for a in np.linspace(0, 2 * np.pi, 16, endpoint=False):
        x, y = -0.4 + 0.29 * float(np.cos(a)), 0.29 + 0.29 * float(np.sin(a))
        c.limb([(x, max(y, 0.01)), (-0.4 + 0.24 * float(np.cos(a)), 0.29 + 0.24 * float(np.sin(a)))], 0.035, BLACK, 0)
    c.wheel((0.52, 0.17), 0.17, hub=(226, 196, 50))
    c.rectangle(0.62, 0.36, 0.67, 0.52, (40, 40, 40), 0)


def _scooter(c: Canvas, rng: np.random.Generator) -> None:
    paint = pick(rng, (60, 200, 110), BLACK, STEEL, (210, 60, 50), (50, 110, 200))
    c.limb([(-0.42, 0.13), (0.22, 0.12), (0.34, 0.2)], 0.07, paint)
    c.limb([(0.36, 0.14), (0.22, 0.95)], 0.045, scaled(paint, 0.85))
    c.limb([(0.12, 0.93), (0.3, 0.98)], 0.05, BLACK)
    c.limb([(-0.5, 0.22), (-0.36, 0.2)], 0.03, paint)
    c.wheel((-0.44, 0.085), 0.085)
    c.wheel((0.37, 0.085), 0.085)


def _wheelchair(c: Canvas, rng: np.random.Generator) -> None:
    cloth = pick(rng, (40, 60, 110), BLACK, (120, 36, 40))
    c.limb([(-0.4, 0.96), (-0.26, 0.9), (-0.24, 0.42), (0.26, 0.44), (0.36, 0.14), (0.48, 0.12)], 0.04, STEEL)
    c.polygon([(-0.3, 0.46), (-0.32, 0.88), (-0.22, 0.88), (-0.18, 0.5)], cloth)
    c.limb([(-0.24, 0.47), (0.26, 0.49)], 0.09, cloth)
    c.limb([(-0.24, 0.66), (0.18, 0.66), (0.2, 0.46)], 0.04, BLACK)
    c.ring((-0.14, 0.3), 0.29, 0.045, BLACK)
    c.ring((-0.14, 0.3), 0.25, 0.014, STEEL)
    for a in np.linspace(0, np.pi, 6, endpoint=False):
        dx, dy = 0.27 * float(np.cos(a)), 0.27 * float(np.sin(a))
        c.limb([(-0.14 - dx, 0.3 - dy), (-0.14 + dx, 0.3 + dy)], 0.008, (190, 190, 190), 0)
    c.wheel((0.3, 0.09), 0.09)


def _container(c: Canvas, rng: np.random.Generator) -> None:
    paint = pick(rng, (170, 60, 40), (40, 80, 140), (60, 110, 80), (190, 140, 50), (120, 120, 124))
    side = float(rng.uniform(0.2, 0.5))
    c.box(-1.2, 0.02, 0.9, 0.96, side, 0.03, paint)
    for x in np.arange(-1.16, 0.88, 0.1):
        c.rectangle(float(x), 0.07, float(x) + 0.045, 0.92, scaled(paint, 0.78), 0)
    for x in (0.9 + 0.25 * side, 0.9 + 0.55 * side, 0.9 + 0.8 * side):
        c.limb([(x, 0.06), (x, 0.94)], 0.018, scaled(paint, 0.9), 0)
    c.rectangle(-1.2, 0.93, 0.9, 0.97, scaled(paint, 0.8), 0)
    c.rectangle(-1.2, 0.0, 0.9, 0.06, scaled(paint, 0.6), 0)
    c.rectangle(-1.0, 0.66, -0.55, 0.8, WHITE, 0)


def _dumpster(c: Canvas, rng: np.random.Generator) -> None:
    paint = pick(rng, (40, 100, 60), (60, 90, 130), (110, 110, 112), (180, 90, 40))
    for x in (-0.6, 0.55):
        c.wheel((x, 0.07), 0.07)
    c.polygon([(-0.82, 0.8), (0.78, 0.8), (0.68, 0.1), (-0.7, 0.1)], paint, 0.3, "mottle")
    for x in (-0.45, 0.0, 0.4):
        c.limb([(x, 0.14), (x * 1.08, 0.76)], 0.05, scaled(paint, 0.75), 0)
    c.polygon([(-0.86, 0.8), (0.82, 0.8), (0.7, 0.98), (-0.72, 0.98)], scaled(paint, 0.5), 0.2)
    c.limb([(-0.86, 0.8), (0.82, 0.8)], 0.06, scaled(paint, 1.15))
    c.rectangle(-0.92, 0.5, -0.72, 0.58, scaled(paint, 0.6))
    c.rectangle(0.68, 0.5, 0.88, 0.58, scaled(paint, 0.6))


def _helmet(c: Canvas, rng: np.random.Generator) -> None:
    paint = any_colour(rng, 0.8)
    c.blob([(-0.55, 0.1), (-0.6, 0.5), (-0.4, 0.88), (0.05, 0.98), (0.45, 0.8), (0.58, 0.45), (0.55, 0.1), (0.2, 0.02),
            (-0.3, 0.02)], paint, 0.4)  # fmt: skip
    c.blob([(0.02, 0.36), (0.08, 0.66), (0.5, 0.7), (0.6, 0.42), (0.5, 0.34)], (26, 30, 38), 0.3)
    c.limb([(0.16, 0.6), (0.44, 0.62)], 0.04, (110, 120, 136), 0)
    c.limb([(-0.5, 0.55), (-0.2, 0.84), (0.1, 0.9)], 0.06, scaled(paint, 1.6), 0)


def _glove(c: Canvas, rng: np.random.Generator) -> None:
    colour = pick(rng, (196, 150, 80), (40, 40, 44), (210, 80, 40), (90, 110, 150), (220, 200, 60))
    for i, (x, y) in enumerate(((-0.26, 0.86), (-0.1, 0.97), (0.07, 0.95), (0.23, 0.84))):
        c.limb([(0.6 * x, 0.5), (x, y)], [0.17, 0.13], scaled(colour, 1.05 - 0.07 * i), 0.4)
    c.limb([(0.14, 0.3), (0.38, 0.45), (0.45, 0.6)], [0.2, 0.16, 0.13], scaled(colour, 0.9), 0.4)
    c.blob([(-0.28, 0.2), (-0.28, 0.55), (0, 0.64), (0.26, 0.55), (0.24, 0.2)], colour, 0.35, "mottle")
    c.rectangle(-0.25, 0.0, 0.22, 0.22, scaled(colour, 0.6), 0.2)


def _trash_can(c: Canvas, rng: np.random.Generator) -> None:
    paint = pick(rng, (60, 62, 66), (40, 90, 60), (40, 70, 130), (200, 170, 40), (120, 80, 50))
    c.polygon([(-0.3, 0.85), (0.3, 0.85), (0.23, 0.04), (-0.23, 0.04)], paint, 0.3)
    c.polygon([(0.08, 0.83), (0.3, 0.85), (0.23, 0.04), (0.06, 0.04)], scaled(paint, 0.75), 0)
    c.blob([(-0.34, 0.85), (-0.3, 0.94), (0, 0.99), (0.3, 0.94), (0.34, 0.85), (0, 0.83)], scaled(paint, 1.2), 0.3)
    c.limb([(-0.36, 0.9), (-0.36, 0.8)], 0.04, scaled(paint, 0.7))
    c.wheel((0.2, 0.08), 0.08)
    c.rectangle(-0.14, 0.5, 0.04, 0.64, WHITE, 0)


def _piano(c: Canvas, rng: np.random.Generator) -> None:
    wood = pick(rng, (30, 26, 26), (90, 48, 28), (120, 76, 44))
    c.rectangle(-0.62, 0.42, 0.62, 0.98, wood, 0.2, "grain")
    c.rectangle(-0.66, 0.95, 0.66, 1.0, scaled(wood, 1.4), 0.1)
    c.rectangle(-0.55, 0.55, 0.55, 0.9, scaled(wood, 1.25), 0.1)
    c.rectangle(-0.62, 0.06, 0.62, 0.42, scaled(wood, 0.75), 0.1)
    for s in (-1, 1):
        c.limb([(s * 0.6, 0.4), (s * 0.6, 0.02)], 0.09, wood)
    c.polygon([(-0.64, 0.4), (0.64, 0.4), (0.6, 0.48), (-0.6, 0.48)], (236, 234, 226), 0)
    for x in np.linspace(-0.56, 0.54, 22):
        c.limb([(float(x), 0.44), (float(x), 0.475)], 0.022, BLACK, 0)
    c.rectangle(-0.66, 0.35, 0.66, 0.41, scaled(wood, 1.2), 0.1)


def _shoe(c: Canvas, rng: np.random.Generator) -> None:
    colour = any_colour(rng, 0.6)
    c.blob([(-0.95, 0.9), (-1.0, 0.3), (-0.9, 0.16), (1.0, 0.16), (1.1, 0.34), (0.8, 0.52), (0.2, 0.68), (-0.25, 0.98)],
           colour, 0.35)  # fmt: skip
    c.ellipse((-0.6, 0.94), 0.34, 0.07, scaled(colour, 0.4), shade=0)
    c.limb([(-0.95, 0.1), (1.0, 0.1)], 0.2, WHITE, 0.3)
    for i in range(4):
        c.limb([(-0.12 + 0.15 * i, 0.84 - 0.07 * i), (0.06 + 0.15 * i, 0.6 - 0.05 * i)], 0.05, WHITE, 0)
    c.limb([(-0.8, 0.3), (-0.2, 0.55), (0.0, 0.3)], 0.08, WHITE, 0)


def _hat(c: Canvas, rng: np.random.Generator) -> None:
    colour = pick(rng, (200, 170, 110), BLACK, (110, 74, 44), (60, 70, 100))
    c.ellipse((0, 0.2), 1.15, 0.2, scaled(colour, 0.9), shade=0.4)
    c.blob([(-0.58, 0.22), (-0.52, 0.8), (-0.2, 0.98), (0.0, 0.9), (0.2, 0.98), (0.52, 0.8), (0.58, 0.22), (0, 0.12)],
           colour, 0.35, "grain")  # fmt: skip
    c.limb([(-0.56, 0.32), (0, 0.24), (0.56, 0.32)], 0.16, any_colour(rng, 0.8), 0)


def _statue(c: Canvas, rng: np.random.Generator) -> None:
    stone = pick(rng, (206, 202, 190), (150, 148, 142), (110, 130, 112))
    c.box(-0.17, 0.0, 0.13, 0.3, 0.06, 0.03, stone, "mottle")
    c.limb([(-0.05, 0.32), (-0.05, 0.6)], 0.11, stone, 0.4, "mottle")
    c.limb([(0.05, 0.32), (0.04, 0.6)], 0.11, scaled(stone, 0.85), 0.4, "mottle")
    c.blob([(-0.13, 0.55), (-0.14, 0.8), (0.14, 0.8), (0.12, 0.55)], stone, 0.4, "mottle")
    c.limb([(0.1, 0.78), (0.2, 0.88), (0.22, 1.0)], [0.08, 0.07, 0.05], stone, 0.4)
    c.limb([(-0.1, 0.78), (-0.2, 0.66), (-0.1, 0.58)], 0.07, stone, 0.4)
    c.ellipse((0, 0.9), 0.065, 0.085, stone, shade=0.4)


THINGS: tuple[Kind, ...] = (
    Kind("caravan", ("camper", "mobile home"), "vehicle", 2.5, _caravan, 2.2),
    Kind("trailer", ("car trailer",), "vehicle", 1.3, _trailer, 2.8, tips=0.05),
    Kind("shopping cart", ("shopping trolley", "trolley"), "thing", 1.0, _shopping_cart, 1.2, tips=0.2),
    Kind("baby stroller", ("pram", "pushchair", "baby carriage"), "thing", 1.0, _stroller, 1.2, tips=0.1),
    Kind("boat", ("motorboat", "sailing boat"), "vehicle", 2.0, boat, 2.1),
    Kind("canoe", ("kayak",), "vehicle", 0.6, canoe, 5.4),
    Kind("tractor", ("farm tractor",), "vehicle", 2.6, _tractor, 1.6),
    Kind("hot air balloon", (), "vehicle", 9.0, balloon, 0.9, "fly"),
    Kind("balloon", ("party balloon",), "thing", 1.2, toy_balloon, 0.8, "fly"),
    Kind("kick scooter", ("electric scooter", "scooter"), "vehicle", 1.1, _scooter, 1.1, tips=0.4),
    Kind("wheelchair", (), "vehicle", 0.95, _wheelchair, 1.1, tips=0.1),
    Kind("shipping container", ("container",), "thing", 2.6, _container, 2.9),
    Kind("dumpster", ("skip", "waste container"), "thing", 1.3, _dumpster, 1.9),
    Kind("trash can", ("garbage can", "dustbin", "waste bin"), "thing", 1.0, _trash_can, 0.8, tips=0.3),
    Kind("football", ("soccer ball",), "thing", 0.24, football, 1.05, "roll"),
    Kind("basketball", (), "thing", 0.25, rowing_ball, 1.05, "roll"),
    Kind("beach ball", (), "thing", 0.5, beach_ball, 1.05, "roll"),
    Kind("kite", (), "thing", 1.2, kite, 0.8, "fly"),
    Kind("drone", ("quadcopter",), "thing", 0.35, drone, 3.0, "fly"),
    Kind("helmet", ("motorcycle helmet",), "thing", 0.3, _helmet, 1.3, tips=0.4),
    Kind("glove", ("work glove",), "thing", 0.28, _glove, 1.0, tips=0.6),
    Kind("shoe", ("sneaker", "boot"), "thing", 0.16, _shoe, 2.3, tips=0.1),
    Kind("hat", (), "thing", 0.22, _hat, 2.4, tips=0.1),
    Kind("skateboard", (), "thing", 0.13, skateboard, 6.4),
    Kind("surfboard", (), "thing", 2.0, surfboard, 0.5, tips=0.6),
    Kind("teddy bear", ("stuffed toy", "plush toy"), "thing", 0.45, teddy, 1.1, tips=0.3),
    Kind("piano", (), "thing", 1.25, _piano, 1.5),
    Kind("tent", (), "thing", 1.3, tent, 2.5),
    Kind("guitar", (), "thing", 1.0, guitar, 0.6, tips=0.6),
    Kind("statue", ("sculpture",), "thing", 2.0, _statue, 0.7, tips=0.1),
)
