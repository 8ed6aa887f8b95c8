"""One parametric four-legged body, of which most animals are made."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from demo_fleet.canvas import Canvas, Point
from demo_fleet.kinds import Draw
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


def draw_leg(
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
        draw_leg(c, hip + 0.05, belly, -step, spec.leg, far, True, spec.feet)
        draw_leg(c, shoulder + 0.04, belly, step, spec.leg, far, False, spec.feet)
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
        draw_leg(c, hip, belly, step, spec.leg, leg_colour, True, spec.feet)
        draw_leg(c, shoulder, belly, -step, spec.leg, leg_colour, False, spec.feet)
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
