"""Who else is on the road of a scene: vehicles in the lanes, and those who cross."""

from __future__ import annotations

import numpy as np

from demo_fleet.canvas import Sprite
from demo_fleet.ground import Layout
from demo_fleet.scene_records import Thing
from demo_fleet.traffic import VARIANTS, class_of, known_sprite

VIEW = 105.0  # metres ahead that are drawn


def some_sprite(rng: np.random.Generator, kind: str) -> Sprite:
    """One of the sprites of a usual kind."""
    return known_sprite(kind, int(rng.integers(VARIANTS)))


def make_traffic(rng: np.random.Generator, layout: Layout, own_speed: float, seconds: float) -> list[Thing]:
    """Vehicles that drive along the lanes, and people and vehicles that cross the street."""
    movers: list[Thing] = []
    reach = VIEW + own_speed * seconds
    for lane in layout.lanes:
        towards = lane in layout.oncoming
        s = float(rng.uniform(8, 45)) if lane else float(rng.uniform(9, 60))
        pace = own_speed * float(rng.uniform(0.95, 1.2 if not lane else 1.35))
        span = reach + (pace * seconds if towards else 0.0)
        gap = float(rng.uniform(14, 60))
        while s < span:
            kinds = ["car", "van", "truck", "bus", "motorcyclist", "cyclist"]
            fast = layout.style == "motorway"
            kind = str(rng.choice(kinds, p=[0.66, 0.1, 0.12, 0.04, 0.06, 0.02] if fast else
                                  [0.6, 0.1, 0.08, 0.07, 0.07, 0.08]))  # fmt: skip
            end = "" if kind.endswith("ist") else " front" if towards else " rear"
            x = lane + float(rng.normal(0, 0.2))
            movers.append(
                Thing(
                    s,
                    x,
                    some_sprite(rng, kind + end),
                    class_of(kind + end),
                    speed=-pace if towards else pace,
                    lights="head" if towards else "tail",
                )
            )
            s += gap * float(rng.uniform(0.5, 2.0)) + 6.0
    if layout.style in ("city", "suburb") and rng.random() < 0.5:  # crossing the street
        for _ in range(int(rng.integers(1, 4))):
            kind = str(rng.choice(["person", "person", "cyclist side", "motorcyclist side", "car side", "bus side",
                                   "truck side"]))  # fmt: skip
            pace = {"person": 1.2, "cyclist side": 3.5}.get(kind, 6.0)
            pace *= float(rng.choice([-1, 1]))
            x = float(rng.uniform(-8, 8))
            movers.append(Thing(float(rng.uniform(14, 70)), x, some_sprite(rng, kind), class_of(kind), drift=pace))
    return movers
