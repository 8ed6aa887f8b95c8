"""Animals: one parametric four-legged body, one parametric bird, and the few that are built otherwise."""

from __future__ import annotations

import numpy as np

from demo_fleet.canvas import Canvas
from demo_fleet.kinds import Draw, Kind
from demo_fleet.quadrupeds import BLACK, BROWN, CREAM, GINGER, GREY, PINK, TAN, WHITE, Beast, beast
from demo_fleet.textures import Colour, jitter, pick, scaled


def _bird(
    coats: tuple[Colour, ...],
    neck: float,
    leg: float,
    beak: Colour,
    *,
    bill: float = 0.12,
    comb: bool = False,
    neck_coat: Colour | None = None,
    head_coat: Colour | None = None,
    girth: float = 0.2,
    tail: float = 0.16,
    s_neck: bool = False,
) -> Draw:
    """A bird standing in profile, facing right: `neck` and `leg` are lengths in units of its height."""

    def draw(c: Canvas, rng: np.random.Generator) -> None:
        coat = pick(rng, *coats)
        y = leg + girth
        step = c.step(0.09, float(rng.uniform(0.02, 0.09)))
        orange = jitter(rng, beak, 0.06)
        for x, tone in ((-0.02 + step, 0.7), (0.02 - step, 1.0)):
            c.limb([(0, leg + 0.08), (x - 0.02, 0.5 * leg), (x, 0.02)], [0.05, 0.03, 0.028], scaled(orange, tone))
            c.limb([(x - 0.03, 0.018), (x + 0.09, 0.018)], 0.032, scaled(orange, tone))
        c.blob([(-0.36 - tail, y + 0.1 + 0.4 * tail), (-0.2, y + 0.6 * girth), (0.1, y + 0.95 * girth),
                (0.3, y + 0.6 * girth), (0.34, y), (0.15, y - 0.95 * girth), (-0.12, y - 0.85 * girth),
                (-0.34, y)], coat, 0.35, "leaf", 0.08)  # fmt: skip
        c.blob([(-0.38, y + 0.12), (-0.1, y + 0.55 * girth), (0.16, y + 0.5 * girth), (0.18, y - 0.15 * girth),
                (-0.05, y - 0.4 * girth), (-0.25, y)], scaled(coat, float(rng.uniform(0.6, 0.9))), 0.3,
               "grain", 0.14)  # fmt: skip
        base = (0.25, y + 0.45 * girth)
        top = (0.34, y + 0.5 * girth + neck)
        bend = (0.42, y + 0.6 * girth + 0.25 * neck) if s_neck else (0.33, y + 0.5 * girth + 0.45 * neck)
        mid = (0.26, y + 0.5 * girth + 0.75 * neck) if s_neck else (0.33, y + 0.5 * girth + 0.8 * neck)
        width = min(0.24, 0.9 * girth)
        c.limb([base, bend, mid, top], [1.2 * width, 0.62 * width, 0.48 * width, 0.5 * width], neck_coat or coat,
               0.25)  # fmt: skip
        head = head_coat or neck_coat or coat
        r = 0.33 * width + 0.03
        c.polygon([(top[0] + 0.4 * r, top[1] + 0.6 * r), (top[0] + r + bill, top[1] - 0.2 * r),
                   (top[0] + 0.4 * r, top[1] - 0.5 * r)], orange, 0.2)  # fmt: skip
        c.ellipse(top, 1.15 * r, r, head)
        c.ellipse((top[0] + 0.3 * r, top[1] + 0.25 * r), 0.015, 0.015, (10, 10, 10), shade=0)
        if comb:
            red = jitter(rng, (200, 34, 30), 0.06)
            for i in range(3):
                c.ellipse((top[0] - 0.05 + 0.05 * i, top[1] + 1.1 * r), 0.035, 0.05, red)
            c.ellipse((top[0] + 0.9 * r, top[1] - 1.1 * r), 0.028, 0.055, red)
            for i in range(3):
                c.limb([(-0.3, y + 0.05), (-0.46, y + 0.2 + 0.06 * i), (-0.5 - 0.03 * i, y + 0.12 + 0.09 * i)],
                       [0.08, 0.06, 0.02], scaled(coat, 0.6))  # fmt: skip

    return draw


def _kangaroo(c: Canvas, rng: np.random.Generator) -> None:
    coat = pick(rng, (164, 118, 82), (136, 120, 108))
    c.limb([(-0.12, 0.24), (-0.35, 0.12), (-0.62, 0.035)], [0.16, 0.09, 0.035], scaled(coat, 0.85))
    c.limb([(-0.02, 0.3), (0.1, 0.14), (-0.08, 0.06), (0.18, 0.03)], [0.2, 0.1, 0.07, 0.05], scaled(coat, 0.6))
    c.blob([(-0.2, 0.26), (-0.12, 0.5), (0.0, 0.68), (0.1, 0.74), (0.16, 0.66), (0.16, 0.5), (0.12, 0.3),
            (0.0, 0.18)], coat, 0.35, "mottle", 0.06)  # fmt: skip
    c.ellipse((-0.04, 0.27), 0.16, 0.14, coat, shade=0.3)
    c.limb([(-0.02, 0.22), (0.12, 0.13), (-0.12, 0.05), (0.16, 0.03)], [0.16, 0.1, 0.07, 0.055], coat)
    c.limb([(0.12, 0.6), (0.22, 0.47), (0.28, 0.5)], [0.07, 0.045, 0.04], scaled(coat, 0.85))
    c.limb([(0.07, 0.68), (0.13, 0.82)], [0.14, 0.1], coat)
    for dx in (0.04, -0.01):
        c.limb([(0.1 + dx, 0.86), (0.07 + dx, 0.99)], [0.05, 0.03], scaled(coat, 0.8 if dx else 1.0))
    c.limb([(0.13, 0.84), (0.26, 0.79)], [0.12, 0.06], coat)
    c.ellipse((0.28, 0.79), 0.02, 0.02, BLACK)
    c.ellipse((0.17, 0.86), 0.013, 0.013, BLACK, shade=0)


def _elephant(c: Canvas, rng: np.random.Generator) -> None:
    coat = pick(rng, (122, 118, 116), (136, 124, 112), (98, 98, 102))
    far = scaled(coat, 0.62)
    step = c.step(0.06, float(rng.uniform(-0.05, 0.05)))
    for x, s, tone in ((-0.36, step, far), (0.3, -step, far), (-0.44, -step, coat), (0.2, step, coat)):
        c.limb([(x, 0.5), (x + 0.5 * s, 0.25), (x + s, 0.06)], [0.24, 0.18, 0.18], tone, 0.25, "mottle")
    c.limb([(-0.58, 0.72), (-0.66, 0.5), (-0.64, 0.36)], [0.04, 0.025, 0.03], far)
    c.blob([(-0.6, 0.66), (-0.5, 0.86), (-0.15, 0.97), (0.2, 0.9), (0.34, 0.7), (0.25, 0.42), (-0.1, 0.36),
            (-0.5, 0.4)], coat, 0.35, "mottle", 0.1)  # fmt: skip
    for x, s in ((-0.44, -step), (0.2, step)):
        c.limb([(x, 0.5), (x + 0.5 * s, 0.25), (x + s, 0.06)], [0.24, 0.18, 0.18], coat, 0.2, "mottle")
    swing = float(rng.uniform(-0.06, 0.14))
    c.limb([(0.6, 0.76), (0.7, 0.5), (0.68, 0.25), (0.72 + swing, 0.1)], [0.24, 0.15, 0.1, 0.06], coat, 0.3, "mottle")
    c.blob([(0.28, 0.9), (0.45, 0.98), (0.62, 0.92), (0.68, 0.74), (0.58, 0.6), (0.38, 0.6)], coat, 0.3, "mottle")
    c.limb([(0.6, 0.6), (0.74, 0.5), (0.84, 0.52)], [0.06, 0.05, 0.02], (232, 222, 200))
    c.blob([(0.4, 0.88), (0.3, 0.93), (0.14, 0.82), (0.14, 0.6), (0.26, 0.44), (0.4, 0.58)], scaled(coat, 0.86), 0.3,
           "mottle")  # fmt: skip
    c.ellipse((0.55, 0.8), 0.014, 0.014, BLACK, shade=0)


def _hedgehog(c: Canvas, rng: np.random.Generator) -> None:
    spine = pick(rng, (92, 74, 56), (74, 62, 52))
    for x in (-0.3, 0.35):
        c.limb([(x, 0.2), (x + 0.05, 0.04)], 0.1, (120, 96, 74))
    c.blob([(0.4, 0.45), (0.75, 0.3), (0.86, 0.2), (0.7, 0.1), (0.4, 0.1)], (172, 140, 104), 0.3)
    c.blob([(-0.65, 0.2), (-0.6, 0.6), (-0.2, 0.9), (0.2, 0.88), (0.5, 0.55), (0.45, 0.18), (0.0, 0.08),
            (-0.5, 0.08)], spine, 0.35, "leaf", 0.3)  # fmt: skip
    for _ in range(70):
        a, r = rng.uniform(-0.1, np.pi), rng.uniform(0.45, 1.0)
        x, y = -0.08 + 0.56 * r * np.cos(a), 0.2 + 0.66 * r * np.sin(a)
        tip = (float(x + 0.13 * np.cos(a) - 0.04), float(y + 0.13 * np.sin(a)))
        c.limb([(float(x), float(y)), tip], [0.03, 0.012], scaled(spine, float(rng.choice([0.5, 1.3, 1.7]))), 0)
    c.ellipse((0.87, 0.21), 0.04, 0.04, BLACK)
    c.ellipse((0.66, 0.32), 0.03, 0.03, BLACK, shade=0)


def _turtle(c: Canvas, rng: np.random.Generator) -> None:
    skin, shell = pick(rng, (124, 128, 76), (110, 100, 70)), pick(rng, (92, 84, 46), (110, 82, 48), (72, 84, 50))
    for x, d in ((-0.55, -0.18), (0.5, 0.14)):
        c.limb([(x, 0.3), (x + d, 0.06)], [0.3, 0.18], skin, texture="leaf")
    c.limb([(0.7, 0.35), (1.0, 0.55)], [0.22, 0.2], skin, texture="leaf")
    c.ellipse((1.05, 0.58), 0.17, 0.13, skin)
    c.ellipse((1.12, 0.63), 0.025, 0.025, BLACK, shade=0)
    c.limb([(-0.8, 0.25), (-1.0, 0.15)], [0.12, 0.02], skin)
    c.blob([(-0.88, 0.28), (-0.7, 0.65), (-0.3, 0.94), (0.2, 0.96), (0.62, 0.68), (0.84, 0.3), (0.0, 0.2)], shell, 0.4)
    for x, y, r in ((-0.5, 0.52, 0.2), (0.0, 0.62, 0.24), (0.5, 0.5, 0.19), (-0.22, 0.86, 0.1), (0.25, 0.86, 0.1)):
        a = np.linspace(0, 2 * np.pi, 6, endpoint=False)
        c.polygon([(x + r * float(np.cos(t)), y + 0.85 * r * float(np.sin(t))) for t in a], scaled(shell, 1.35), 0.3)
    c.limb([(-0.86, 0.28), (0, 0.2), (0.84, 0.3)], 0.08, scaled(shell, 1.25))


DEER = Beast(((150, 100, 60), (128, 92, 64)), back=0.58, depth=0.22, length=0.6, leg=0.055, neck=(0.14, 0.17),
             neck_width=0.1, head=0.062, muzzle=0.11, snout=0.05, ear="side", ear_size=0.12, tail="stub",
             tail_size=0.14, coat="belly", patch=(214, 196, 168), horns="deer")  # fmt: skip
_BEASTS: dict[str, Beast] = {
    "dog": Beast((BROWN, BLACK, CREAM, TAN, GREY), back=0.68, depth=0.27, length=0.82, leg=0.085, neck=(0.1, 0.17),
                 neck_width=0.18, head=0.13, muzzle=0.16, snout=0.1, ear="flop", ear_size=0.2, tail="up",
                 tail_size=0.3),
    "cat": Beast((GREY, BLACK, GINGER, (150, 130, 104), WHITE), back=0.62, depth=0.24, length=0.95, leg=0.08,
                 neck=(0.1, 0.12), neck_width=0.17, head=0.16, muzzle=0.03, snout=0.1, ear="point", ear_size=0.16,
                 tail="up", tail_size=0.55, coat="plain"),
    "deer": DEER,
    "wild boar": Beast(((64, 54, 46), (50, 44, 40)), back=0.84, depth=0.5, length=1.25, leg=0.1, neck=(0.12, -0.16),
                       neck_width=0.44, head=0.2, muzzle=0.3, snout=0.12, ear="point", ear_size=0.16, tail="thin",
                       tail_size=0.25, coat="bristle", mane=True),
    "cow": Beast((WHITE, BROWN, BLACK, (150, 80, 50)), back=0.86, depth=0.44, length=1.25, leg=0.1,
                 neck=(0.17, 0.0), neck_width=0.24, head=0.12, muzzle=0.17, snout=0.13, ear="side", ear_size=0.13,
                 tail="tuft", tail_size=0.42, coat="patches", patch=BLACK, horns="cow"),
    "horse": Beast((BROWN, (92, 54, 34), BLACK, WHITE, (150, 96, 60)), back=0.68, depth=0.27, length=0.82, leg=0.075,
                   neck=(0.16, 0.22), neck_width=0.15, head=0.075, muzzle=0.16, snout=0.075, ear="point",
                   ear_size=0.07, tail="horse", tail_size=0.32, mane=True),
    "sheep": Beast((WHITE, (206, 198, 178)), back=0.8, depth=0.44, length=1.0, leg=0.075, neck=(0.1, 0.05),
                   neck_width=0.2, head=0.1, muzzle=0.12, snout=0.1, ear="side", ear_size=0.14, tail="stub",
                   tail_size=0.15, coat="wool"),
    "goat": Beast((WHITE, BROWN, GREY, BLACK), back=0.66, depth=0.28, length=0.8, leg=0.07, neck=(0.13, 0.14),
                  neck_width=0.15, head=0.085, muzzle=0.12, snout=0.075, ear="side", ear_size=0.13, tail="up",
                  tail_size=0.12, horns="goat"),
    "fox": Beast((GINGER, (178, 92, 44)), back=0.7, depth=0.25, length=1.0, leg=0.07, neck=(0.12, 0.1),
                 neck_width=0.18, head=0.14, muzzle=0.16, snout=0.05, ear="point", ear_size=0.19, tail="bushy",
                 tail_size=0.55, coat="belly", patch=WHITE, feet=BLACK),
    "moose": Beast(((72, 54, 42), (86, 64, 48)), back=0.74, depth=0.27, length=0.78, leg=0.075, neck=(0.15, 0.0),
                   neck_width=0.19, head=0.085, muzzle=0.18, snout=0.1, ear="side", ear_size=0.09, tail="stub",
                   tail_size=0.1, horns="moose", hump=0.05, feet=(150, 138, 122)),
    "bear": Beast(((70, 48, 34), BLACK, (104, 72, 46)), back=0.84, depth=0.5, length=1.15, leg=0.16,
                  neck=(0.12, 0.0), neck_width=0.36, head=0.19, muzzle=0.15, snout=0.13, ear="round", ear_size=0.13,
                  tail="stub", tail_size=0.08, coat="bristle", hump=0.03),
    "pig": Beast((PINK, (216, 168, 156), (196, 150, 130)), back=0.86, depth=0.54, length=1.35, leg=0.1,
                 neck=(0.13, -0.1), neck_width=0.42, head=0.2, muzzle=0.17, snout=0.17, ear="point", ear_size=0.2,
                 tail="curl", tail_size=0.2),
    "donkey": Beast((GREY, (110, 98, 88), (128, 100, 80)), back=0.66, depth=0.29, length=0.84, leg=0.07,
                    neck=(0.14, 0.13), neck_width=0.16, head=0.09, muzzle=0.17, snout=0.1, ear="long",
                    ear_size=0.26, tail="tuft", tail_size=0.3, coat="belly", patch=(206, 200, 190), mane=True),
    "camel": Beast((TAN, (170, 128, 82)), back=0.66, depth=0.26, length=0.78, leg=0.065, neck=(0.3, 0.22),
                   neck_width=0.1, head=0.07, muzzle=0.12, snout=0.075, ear="round", ear_size=0.05, tail="tuft",
                   tail_size=0.25, hump=0.22),
    "zebra": Beast((WHITE,), back=0.72, depth=0.31, length=0.86, leg=0.075, neck=(0.16, 0.18), neck_width=0.17,
                   head=0.085, muzzle=0.14, snout=0.08, ear="point", ear_size=0.08, tail="tuft", tail_size=0.3,
                   coat="stripes", patch=BLACK, mane=True),
    "giraffe": Beast(((222, 186, 120),), back=0.44, depth=0.15, length=0.4, leg=0.036, neck=(0.17, 0.46),
                     neck_width=0.065, head=0.04, muzzle=0.06, snout=0.035, ear="side", ear_size=0.05, tail="tuft",
                     tail_size=0.16, coat="patches", patch=(142, 82, 36)),
    "raccoon": Beast((GREY, (104, 100, 94)), back=0.72, depth=0.42, length=1.2, leg=0.11, neck=(0.12, 0.0),
                     neck_width=0.3, head=0.19, muzzle=0.13, snout=0.08, ear="round", ear_size=0.14, tail="ringed",
                     tail_size=0.55, coat="bristle", feet=BLACK),
}  # fmt: skip


def _rabbit(c: Canvas, rng: np.random.Generator) -> None:
    coat = pick(rng, (142, 120, 96), GREY, (196, 180, 160), BROWN)
    c.ellipse((-0.42, 0.24), 0.1, 0.1, WHITE, texture="leaf")
    c.blob(
        [(-0.42, 0.16), (-0.38, 0.42), (-0.12, 0.56), (0.14, 0.5), (0.26, 0.3), (0.2, 0.1), (-0.2, 0.04)],
        coat,
        0.35,
        "mottle",
        0.08,
    )
    c.limb([(0.16, 0.26), (0.2, 0.1), (0.26, 0.035)], [0.13, 0.08, 0.07], scaled(coat, 0.85))
    c.ellipse((-0.2, 0.2), 0.2, 0.17, scaled(coat, 0.95))
    c.limb([(-0.26, 0.05), (0.0, 0.04)], 0.08, scaled(coat, 1.05))
    for dx, tone in ((0.05, 0.65), (0.0, 1.0)):
        c.limb([(0.2 + dx, 0.66), (0.14 + dx, 0.84), (0.09 + dx, 0.97)], [0.08, 0.11, 0.04], scaled(coat, tone))
    c.limb([(0.17, 0.8), (0.13, 0.92)], 0.035, PINK, 0.0)
    c.ellipse((0.26, 0.56), 0.16, 0.13, coat, shade=0.3)
    c.ellipse((0.38, 0.52), 0.07, 0.06, scaled(coat, 1.15))
    c.ellipse((0.31, 0.6), 0.028, 0.028, BLACK, shade=0)


_SIZES: dict[str, tuple[float, float, tuple[str, ...]]] = {
    # name: height in metres, aspect, synonyms
    "dog": (0.62, 1.7, ("hound", "puppy")),
    "cat": (0.36, 1.8, ("kitten", "tomcat")),
    "deer": (1.5, 1.2, ("roe deer", "stag", "doe")),
    "wild boar": (0.95, 2.0, ("boar", "wild pig")),
    "cow": (1.5, 2.1, ("cattle", "bull")),
    "horse": (1.75, 1.6, ("pony", "mare")),
    "sheep": (0.85, 1.6, ("lamb", "ewe")),
    "goat": (0.9, 1.4, ("billy goat",)),
    "fox": (0.48, 2.6, ("red fox",)),
    "moose": (2.1, 1.5, ("elk",)),
    "bear": (1.1, 1.9, ("brown bear", "grizzly bear")),
    "pig": (0.8, 2.1, ("hog", "piglet")),
    "donkey": (1.3, 1.6, ("mule", "ass")),
    "camel": (2.2, 1.6, ("dromedary",)),
    "zebra": (1.5, 1.6, ()),
    "giraffe": (4.5, 1.0, ()),
    "raccoon": (0.35, 2.6, ()),
}

ANIMALS: tuple[Kind, ...] = (
    *(
        Kind(name, _SIZES[name][2], "animal", _SIZES[name][0], beast(spec), _SIZES[name][1], "walk")
        for name, spec in _BEASTS.items()
    ),
    Kind("rabbit", ("hare", "bunny"), "animal", 0.35, _rabbit, 1.1, "walk"),
    Kind("hedgehog", (), "animal", 0.2, _hedgehog, 1.9, "walk"),
    Kind("turtle", ("tortoise",), "animal", 0.28, _turtle, 2.5, "walk"),
    Kind("kangaroo", ("wallaby",), "animal", 1.4, _kangaroo, 1.4, "walk"),
    Kind("elephant", (), "animal", 2.8, _elephant, 2.0, "walk"),
    Kind("goose", ("wild goose",), "animal", 0.8,
         _bird(((128, 118, 104), WHITE), 0.36, 0.16, (226, 128, 44), neck_coat=None, bill=0.09), 1.25, "walk"),
    Kind("duck", ("mallard",), "animal", 0.38,
         _bird(((138, 122, 102), (110, 92, 72)), 0.16, 0.12, (224, 168, 44), neck_coat=(36, 96, 60), bill=0.15,
               girth=0.26), 1.4, "walk"),
    Kind("chicken", ("hen", "rooster"), "animal", 0.45,
         _bird(((176, 96, 48), WHITE, (120, 70, 40)), 0.2, 0.22, (228, 176, 60), comb=True, bill=0.08, girth=0.23,
               tail=0.1), 1.4, "walk"),
    Kind("swan", (), "animal", 1.15,
         _bird((WHITE,), 0.5, 0.1, (222, 110, 40), bill=0.09, girth=0.18, s_neck=True, tail=0.22), 1.3, "walk"),
    Kind("ostrich", ("emu",), "animal", 2.3,
         _bird(((36, 34, 34), (96, 82, 70)), 0.26, 0.42, (196, 150, 130), neck_coat=(206, 160, 146), bill=0.06,
               girth=0.13, tail=0.06), 1.0, "walk"),
)  # fmt: skip
