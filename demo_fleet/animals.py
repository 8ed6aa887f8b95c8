"""Animals: one parametric four-legged body, one parametric bird, and the few that are built otherwise."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from demo_fleet.canvas import Canvas, Point
from demo_fleet.kinds import Draw, Kind
from demo_fleet.textures import Colour, jitter, pick, scaled

BROWN: Colour = (118, 78, 46)
DARK: Colour = (48, 40, 36)
BLACK: Colour = (26, 25, 26)
GREY: Colour = (120, 118, 114)
WHITE: Colour = (228, 224, 214)
TAN: Colour = (186, 146, 96)
CREAM: Colour = (222, 200, 160)
GINGER: Colour = (196, 104, 40)
PINK: Colour = (226, 160, 150)


@dataclass(frozen=True, slots=True)
class Beast:
    """Proportions of a four-legged animal seen from its side, facing right, in units of its height."""

    coats: tuple[Colour, ...]
    back: float = 0.72  # height of the back
    depth: float = 0.32  # of the body, back to belly
    length: float = 0.9  # rump to chest
    leg: float = 0.09  # thickness of a leg at its top
    neck: Point = (0.22, 0.16)  # from the withers to the head
    neck_width: float = 0.2
    head: float = 0.13  # radius of the skull
    muzzle: float = 0.14  # how far it stands out
    snout: float = 0.09  # its thickness
    ear: str = "point"  # point, flop, long, round, big
    ear_size: float = 0.1
    tail: str = "thin"  # thin, bushy, curl, stub, tuft, up, long
    tail_size: float = 0.3
    coat: str = "plain"  # plain, patches, stripes, belly, wool, bristle
    patch: Colour = WHITE
    horns: str = ""  # cow, goat, deer, moose
    hump: float = 0.0
    mane: bool = False
    feet: Colour | None = None


def _leg(
    c: Canvas, x: float, top: float, swing: float, width: float, colour: Colour, hind: bool, foot: Colour | None
) -> None:
    bend = -0.10 if hind else 0.035
    knee = (x + 0.45 * swing + bend * top, 0.5 * top)
    hoof = (x + swing, 0.03)
    c.limb([(x, top + width), knee, hoof], [1.7 * width, 0.85 * width, 0.62 * width], colour, 0.2, "fine", 0.08)
    end = foot or scaled(colour, 0.55)
    c.limb([hoof, (hoof[0] + 0.5 * width, 0.022)], 0.72 * width, end, 0.1)


def beast(spec: Beast) -> Draw:
    """A drawing function for the given proportions."""

    def draw(c: Canvas, rng: np.random.Generator) -> None:
        coat = pick(rng, *spec.coats)
        dark = scaled(coat, 0.68)
        back = spec.back * float(rng.uniform(0.96, 1.04))
        length = spec.length * float(rng.uniform(0.93, 1.08))
        depth = spec.depth * float(rng.uniform(0.93, 1.1))
        belly = back - depth
        rump, chest = -length / 2, length / 2
        step = c.step(0.16, float(rng.uniform(-0.16, 0.16))) * (belly + 0.15)
        texture, grain = {"wool": ("leaf", 0.16), "bristle": ("leaf", 0.2)}.get(spec.coat, ("mottle", 0.07))
        hip, shoulder = rump + 0.9 * spec.leg, chest - 1.2 * spec.leg
        leg_colour = dark if spec.coat == "wool" and rng.random() < 0.4 else coat
        far = scaled(leg_colour, 0.58)
        _leg(c, hip + 0.05, belly, -step, spec.leg, far, True, spec.feet)
        _leg(c, shoulder + 0.04, belly, step, spec.leg, far, False, spec.feet)
        _tail(c, rng, spec, (rump + 0.02, back - 0.07), coat)
        low = rng.random() < 0.2 and spec.neck[1] < 0.4  # grazing or sniffing
        nx, ny = spec.neck
        ny = -0.55 * abs(ny) - 0.15 * belly if low else ny * float(rng.uniform(0.85, 1.1))
        root = (chest - 0.10, back - 0.3 * depth)
        skull = (chest - 0.02 + nx, back + ny)
        body = [
            (rump, back - 0.10 * depth),
            (rump + 0.3 * length, back - 0.01),
            (rump + 0.52 * length, back - 0.03 + spec.hump),
            (chest - 0.14, back + 0.01),
            (chest + 0.02, back - 0.28 * depth),
            (chest, back - 0.75 * depth),
            (chest - 0.22 * length, belly - 0.03),
            (rump + 0.4 * length, belly),
            (rump + 0.12, belly + 0.12 * depth),
            (rump - 0.015, back - 0.5 * depth),
        ]
        c.blob(body, coat, 0.34, texture, grain)
        if spec.coat == "wool":
            for x in np.linspace(rump, chest, 9):
                y = back - 0.02 + 0.02 * float(rng.normal())
                c.ellipse((float(x), y), 0.09, 0.06, scaled(coat, 1.04), shade=0.25, texture="leaf")
        if spec.coat == "belly":
            c.blob([(chest - 0.06, belly + 0.12 * depth), (0, belly + 0.28 * depth),
                    (rump + 0.15, belly + 0.2 * depth), (0, belly + 0.01)], spec.patch, 0.1)  # fmt: skip
        if spec.coat == "patches":
            for _ in range(int(rng.integers(3, 6))):
                x, y = (
                    rng.uniform(rump + 0.15 * length, chest - 0.15 * length),
                    rng.uniform(belly + 0.2 * depth, back - 0.2 * depth),
                )
                ring = rng.uniform(0.05, 0.12, 7) * depth * 2.2
                a = np.linspace(0, 2 * np.pi, 7, endpoint=False)
                patch = [(float(x + 1.2 * r * np.cos(t)), float(np.clip(y + 0.7 * r * np.sin(t), belly + 0.02, back)))
                         for r, t in zip(ring, a, strict=True)]  # fmt: skip
                c.blob(patch, jitter(rng, spec.patch, 0.04), 0.1)
        if spec.coat == "stripes":
            for x in np.arange(rump + 0.05, chest - 0.02, 0.085):
                lean = float(rng.normal(0, 0.02))
                c.limb([(x, back - 0.03), (x + 0.02 + lean, back - 0.5 * depth), (x + lean, belly + 0.05)],
                       [0.035, 0.042, 0.012], spec.patch, 0.0)  # fmt: skip
        _leg(c, hip, belly, step, spec.leg, leg_colour, True, spec.feet)
        _leg(c, shoulder, belly, -step, spec.leg, leg_colour, False, spec.feet)
        if spec.coat == "stripes":
            for x, swing in ((hip, step), (shoulder, -step)):
                for t in np.arange(0.25, 0.9, 0.16):
                    y, px = belly * (1 - t), x + swing * t * 0.9
                    c.limb([(px - 0.05, y), (px + 0.04, y)], 0.02, spec.patch, 0.0)
        middle = ((root[0] + skull[0]) / 2 + 0.02, (root[1] + skull[1]) / 2)
        neck_coat = scaled(coat, 0.98)
        c.limb([root, middle, skull], [1.5 * spec.neck_width, 1.1 * spec.neck_width, 0.95 * spec.neck_width],
               neck_coat, 0.25, texture, grain)  # fmt: skip
        if spec.coat == "stripes":
            for t in np.linspace(0.25, 0.85, 4):
                x, y = root[0] + t * (skull[0] - root[0]), root[1] + t * (skull[1] - root[1])
                c.limb([(x - 0.5 * spec.neck_width, y + 0.03), (x + 0.5 * spec.neck_width, y - 0.05)], 0.022,
                       spec.patch, 0.0)  # fmt: skip
        if spec.mane:
            crest = [(skull[0] - 0.10, skull[1] + 0.08), (middle[0] - 0.11, middle[1] + 0.09), (root[0] - 0.1, back)]
            c.limb(crest, [0.05, 0.10, 0.05], scaled(coat, 0.45), 0.15, "grain", 0.2)
        _head(c, rng, spec, skull, coat, low)

    return draw


def _tail(c: Canvas, rng: np.random.Generator, spec: Beast, root: Point, coat: Colour) -> None:
    x, y = root
    s = spec.tail_size * float(rng.uniform(0.85, 1.15))
    if spec.tail == "bushy":
        c.limb([(x, y), (x - 0.55 * s, y - 0.25 * s), (x - s, y - 0.55 * s), (x - 1.25 * s, y - 0.75 * s)],
               [0.07, 0.2 * s + 0.07, 0.3 * s + 0.05, 0.03], scaled(coat, 0.95), 0.3, "leaf", 0.15)  # fmt: skip
        c.limb([(x - 1.1 * s, y - 0.65 * s), (x - 1.3 * s, y - 0.78 * s)], [0.12 * s + 0.03, 0.02], WHITE, 0.1)
    elif spec.tail == "ringed":
        c.limb(
            [(x, y), (x - 0.6 * s, y - 0.2 * s), (x - 1.2 * s, y - 0.6 * s)], [0.1, 0.16, 0.09], coat, 0.3, "leaf", 0.15
        )
        for t in (0.3, 0.5, 0.7, 0.9, 1.1):
            px, py = x - t * s, y - (0.34 * t if t < 0.6 else 0.67 * t - 0.2) * s
            c.limb([(px - 0.02, py + 0.06), (px + 0.02, py - 0.06)], 0.045, BLACK, 0)
    elif spec.tail == "tuft":
        c.limb([(x, y), (x - 0.08, y - 0.5 * s), (x - 0.06, y - s)], [0.04, 0.025, 0.02], coat)
        c.limb([(x - 0.06, y - s), (x - 0.07, y - 1.25 * s)], [0.05, 0.03], scaled(coat, 0.45))
    elif spec.tail == "horse":
        c.limb([(x, y), (x - 0.09, y - 0.3 * s), (x - 0.10, y - s), (x - 0.07, y - 1.4 * s)],
               [0.05, 0.1, 0.09, 0.02], scaled(coat, 0.45), 0.2, "grain", 0.2)  # fmt: skip
    elif spec.tail == "curl":
        turns = np.linspace(0, 5.0, 10)
        c.limb([(x - 0.03 - 0.012 * float(a) + 0.03 * float(np.cos(a)), y + 0.04 * float(np.sin(a))) for a in turns],
               0.022, coat, 0.1)  # fmt: skip
    elif spec.tail == "up":
        bend = float(rng.uniform(-0.1, 0.12))
        c.limb([(x, y), (x - 0.4 * s, y + 0.25 * s), (x - 0.45 * s + bend, y + s)], [0.06, 0.05, 0.035], coat)
    elif spec.tail == "stub":
        c.limb([(x, y), (x - 0.4 * s, y - 0.2 * s)], [0.08, 0.05], coat)
    else:
        c.limb([(x, y), (x - 0.35 * s, y - 0.4 * s), (x - 0.3 * s, y - s)], [0.06, 0.04, 0.025], coat)


def _head(c: Canvas, rng: np.random.Generator, spec: Beast, skull: Point, coat: Colour, low: bool) -> None:
    x, y = skull
    r = spec.head
    drop = float(rng.uniform(0.25, 0.6)) + (0.5 if low else 0.0)
    nose = (x + spec.muzzle + 0.4 * r, y - drop * (spec.muzzle + 0.3 * r))
    for side, tone in ((0.06, 0.62), (-0.02, 1.0)):  # far ear first
        ex, ey, e, ear = x - 0.35 * r + side, y + 0.6 * r, spec.ear_size, scaled(coat, tone)
        if spec.ear == "point":
            c.polygon([(ex - 0.4 * e, ey - 0.2 * e), (ex - 0.1 * e, ey + e), (ex + 0.45 * e, ey)], ear, 0.2)
        elif spec.ear == "long":
            c.limb([(ex, ey), (ex - 0.12 * e, ey + 0.6 * e), (ex - 0.3 * e, ey + 1.1 * e)],
                   [0.22 * e, 0.34 * e, 0.1 * e], ear)  # fmt: skip
        elif spec.ear == "flop":
            c.limb([(ex, ey - 0.1 * e), (ex - 0.35 * e, ey - 0.5 * e), (ex - 0.3 * e, ey - e)],
                   [0.3 * e, 0.5 * e, 0.3 * e], scaled(ear, 0.75))  # fmt: skip
        elif spec.ear == "side":
            c.limb([(ex, ey), (ex - 0.9 * e, ey + 0.15 * e)], [0.45 * e, 0.25 * e], scaled(ear, 0.85))
        else:
            c.ellipse((ex, ey + 0.3 * e), 0.55 * e, 0.55 * e, scaled(ear, 0.85))
        if tone < 1.0:
            _horns(c, rng, spec, (x, y), r)
            c.limb([(x, y), ((x + nose[0]) / 2, (y + nose[1]) / 2), nose], [1.9 * r, 1.35 * max(spec.snout, 0.55 * r),
                   spec.snout], coat, 0.3, "mottle", 0.06)  # fmt: skip
    if spec.coat in ("belly",):
        c.limb([((x + nose[0]) / 2, (y + nose[1]) / 2 - 0.35 * spec.snout), nose], 0.5 * spec.snout, spec.patch, 0.0)
    if spec.coat == "patches" and rng.random() < 0.6:
        c.limb([(x + 0.4 * r, y + 0.45 * r), nose], 0.4 * spec.snout, spec.patch, 0.0)
    if spec.tail == "ringed":  # the mask of a raccoon
        c.limb([(x - 0.3 * r, y + 0.2 * r), (x + 0.8 * r, y + 0.1 * r)], 0.6 * r, BLACK, 0)
        c.limb([(x - 0.2 * r, y + 0.62 * r), (x + 0.6 * r, y + 0.52 * r)], 0.2 * r, WHITE, 0)
    tip = PINK if spec.coats[0] == PINK else BLACK
    c.ellipse((nose[0] + 0.36 * spec.snout, nose[1]), 0.22 * spec.snout + 0.006, 0.3 * spec.snout, tip, shade=0.1)
    c.ellipse((x + 0.45 * r, y + 0.28 * r), 0.014 + 0.07 * r, 0.014 + 0.07 * r, (16, 14, 12), shade=0.0)


def _horns(c: Canvas, rng: np.random.Generator, spec: Beast, skull: Point, r: float) -> None:
    x, y = skull
    bone: Colour = jitter(rng, (198, 180, 146), 0.08)
    if spec.horns == "cow":
        if rng.random() < 0.75:
            c.limb([(x, y + 0.7 * r), (x + 0.35 * r, y + 1.25 * r), (x + 0.9 * r, y + 1.5 * r)],
                   [0.04, 0.032, 0.012], bone)  # fmt: skip
    elif spec.horns == "goat":
        c.limb([(x, y + 0.7 * r), (x - 0.4 * r, y + 1.9 * r), (x - 1.4 * r, y + 2.5 * r), (x - 2.0 * r, y + 2.2 * r)],
               [0.05, 0.045, 0.03, 0.012], scaled(bone, 0.7), texture="grain")  # fmt: skip
    elif spec.horns == "deer" and rng.random() < 0.65:
        bone = jitter(rng, (126, 96, 66), 0.1)
        for lean in (-0.02, 0.07):
            beam = [(x, y + 0.7 * r), (x - 0.09 + lean, y + 0.13 + r), (x - 0.05 + lean, y + 0.26 + r),
                    (x + 0.04 + lean, y + 0.34 + r)]  # fmt: skip
            c.limb(beam, [0.028, 0.024, 0.02, 0.01], bone)
            for (px, py), (dx, dy) in zip(beam[:3], ((0.12, 0.06), (0.11, 0.07), (-0.06, 0.09)), strict=True):
                c.limb([(px, py), (px + dx, py + dy)], [0.02, 0.009], bone)
    elif spec.horns == "moose":
        for lean, tone in ((0.07, 0.7), (-0.03, 1.0)):
            palm = [(x - 0.01, y + 0.6 * r), (x - 0.1 + lean, y + 0.13), (x - 0.2 + lean, y + 0.2),
                    (x - 0.24 + lean, y + 0.3), (x - 0.14 + lean, y + 0.26), (x - 0.12 + lean, y + 0.33),
                    (x - 0.05 + lean, y + 0.26), (x + 0.02 + lean, y + 0.31), (x + 0.03 + lean, y + 0.2),
                    (x + 0.12 + lean, y + 0.24), (x + 0.06 + lean, y + 0.13)]  # fmt: skip
            c.polygon(palm, scaled((168, 138, 100), tone), 0.2, "grain")


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
