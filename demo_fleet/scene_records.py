"""What a scene is made of, and what a picture of it tells."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from demo_fleet.canvas import Sprite


@dataclass(frozen=True, slots=True)
class Planted:
    """A planted object as one frame shows it: `bbox` (x, y, width, height) and `area` of its visible pixels."""

    track_id: int
    name: str
    bbox: tuple[int, int, int, int]
    area: int


@dataclass(frozen=True, slots=True)
class Rendered:
    """A frame and its truth.

    `image` (H, W, 3) uint8 RGB. `labels` (H, W) uint8: index into CLASSES, 254 planted object, 255 void.
    `instances` (H, W) uint16: 0, or the track id of the planted object seen there.
    """

    image: npt.NDArray[np.uint8]
    labels: npt.NDArray[np.uint8]
    instances: npt.NDArray[np.uint16]
    objects: tuple[Planted, ...]


@dataclass(frozen=True, slots=True)
class Thing:
    """An upright picture on the road: s metres along it, x to the right of the own lane, y above it."""

    s: float
    x: float
    sprite: Sprite
    what: int
    y: float = 0.0
    speed: float = 0.0  # along the road
    drift: float = 0.0  # across it
    lights: str = ""  # what shines at night: "head", "tail", "lamp"
    shadow: bool = True
    lit: bool = False  # its picture holds the night already
    poses: tuple[Sprite, ...] = ()  # a walk or a roll, instead of `sprite`
    pace: float = 0.0  # poses a second


@dataclass(frozen=True, slots=True)
class Strip:
    """A wall along the road from s to s + length."""

    s: float
    length: float
    x: float
    sprite: Sprite
    height: float
    label: int
    lit: bool = False  # its picture holds the night already
