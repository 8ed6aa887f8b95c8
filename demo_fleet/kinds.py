"""What an unusual object is: its name, how big it is, how it is drawn and how it moves."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from demo_fleet.canvas import Canvas, Sprite, mirrored

Draw = Callable[[Canvas, np.random.Generator], None]


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of unusual object.

    `draw` paints it upright in object units (see Canvas), `aspect` is the room it needs sideways.
    `motion`: "still", "walk" (crosses the road on its own), "roll" or "fly" (moves above the ground).
    `tips`: how often it lies on its side.
    """

    name: str
    synonyms: tuple[str, ...]
    category: str
    size_m: float
    draw: Draw
    aspect: float = 1.2
    motion: str = "still"
    tips: float = 0.0


def draw_kind(
    kind: Kind, rng: np.random.Generator, height_px: int = 160, facing: int = 0, phase: float | None = None
) -> Sprite:
    """A new individual of the kind: own shape, pose, colours and size.

    `facing` 1 looks right, -1 left, 0 either. `phase` in [0, 1) is where it is in its stride or its roll; the same
    state of `rng` gives the same individual in every phase.
    """
    canvas = Canvas(height_px, kind.aspect, rng)
    canvas.stride = phase
    kind.draw(canvas, rng)
    turn = 0.0
    if rng.random() < kind.tips:
        turn = float(rng.choice([-1, 1]) * rng.uniform(75, 100))
    elif kind.motion == "roll":
        turn = float(rng.uniform(0, 360)) - 360.0 * (phase or 0.0)
    else:
        turn = float(rng.normal(0, 2.0))
    size = kind.size_m * float(np.exp(rng.normal(0, 0.12)))
    sprite = canvas.sprite(size, turn, squeeze=float(rng.uniform(0.78, 1.08)))
    away = rng.random() < 0.5 if facing == 0 else facing < 0
    return mirrored(sprite) if away else sprite
