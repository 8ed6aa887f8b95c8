"""Light, weather and what a cheap camera makes of both."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
import numpy.typing as npt

from demo_fleet.picture import Rgb
from demo_fleet.textures import TILE, noise_tile

Array = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Weather:
    """Light falls as `light` (RGB gain); distance z takes exp(-fog·z) of it and adds `fog_colour` instead."""

    night: bool
    overcast: bool
    light: Rgb
    fog: float
    fog_colour: Rgb
    rain: float  # 0…1
    beam: float  # strength of the own headlights, 0 by day

    def at(self, z: float, x: float, lit: bool = False) -> tuple[Rgb, Rgb]:
        """Gain and haze of a thing at this place; `lit` when its picture already has the light of the night."""
        seen = float(np.exp(-self.fog * z))
        light = np.ones(3, np.float32) if lit and self.night else self.light
        if self.night and not lit:
            light = light + self.beam * float(np.exp(-((x / (1.5 + 0.14 * z)) ** 2)) * np.exp(-((z / 34.0) ** 2)))
        return light * seen, self.fog_colour * (1.0 - seen)

    def ground(self, x: Array, z: Array) -> tuple[Array, npt.NDArray[np.uint8]]:
        """The same for the rows of the ground: gain (rows, 1 or width), haze (rows, 1, 3) uint8."""
        z = np.minimum(z, 400.0)
        seen = np.exp(-self.fog * z)
        haze = (self.fog_colour * (1.0 - seen)[:, None]).astype(np.uint8)[:, None]
        if not self.night:
            return np.float32(self.level) * seen[:, None], haze
        across = np.exp(-np.square(x * (1.0 / (1.5 + 0.14 * z))[:, None]))
        along = np.exp(-np.square(z / 30.0)) * np.clip((z - 2.0) / 4.0, 0.35, 1.0)
        across *= (self.beam * along * seen)[:, None]
        across += (self.level * seen)[:, None]
        return across, haze

    @property
    def level(self) -> float:
        """How bright the light is, colour aside."""
        return float(self.light.mean())

    @property
    def tint(self) -> Rgb:
        """The colour of the light, brightness aside."""
        return self.light / np.float32(self.level)


def make_weather(rng: np.random.Generator, night: bool | None) -> Weather:
    """A random one; `night` None decides that too (one in six)."""
    dark = bool(rng.random() < 1 / 6) if night is None else night
    overcast = bool(rng.random() < 0.4)
    rain = float(rng.uniform(0.3, 1.0)) if rng.random() < (0.3 if overcast else 0.03) else 0.0
    foggy = rng.random() < 0.15 or rain > 0.7
    fog = float(rng.uniform(0.008, 0.04)) if foggy else float(rng.uniform(0.0, 0.004))
    tint = np.array([1.0, 1.0, 1.0]) + rng.normal(0, 0.035, 3)
    if dark:
        light, colour, beam = tint * rng.uniform(0.12, 0.34), np.array([20, 22, 30.0]), float(rng.uniform(0.6, 1.1))
    else:
        light = tint * (rng.uniform(0.62, 0.95) if overcast else rng.uniform(0.8, 1.15))
        grey = rng.uniform(170, 230)
        colour, beam = grey * np.array([0.97, 1.0, 1.03]), 0.0
    return Weather(dark, overcast, light.astype(np.float32), fog, colour.astype(np.float32), rain, beam)


@dataclass(frozen=True, slots=True)
class Lens:
    """What the camera does to every frame of a drive."""

    gain: Rgb  # exposure and white balance
    gamma: float
    noise: float
    blur: float
    vignette: float
    jpeg: int  # quality, 0 for none
    saturation: float


def make_lens(rng: np.random.Generator, night: bool) -> Lens:
    """A random camera."""
    gain = np.exp(rng.normal(0, 0.12)) * np.exp(rng.normal(0, 0.05, 3))
    gamma = float(np.exp(rng.normal(0, 0.16)))
    if night:  # an automatic exposure never leaves the picture black
        gain, gamma = np.maximum(gain, 1.0), min(gamma, 1.0)
    return Lens(
        gain.astype(np.float32),
        gamma,
        float(rng.exponential(3.0) + (4.0 if night else 0.0)),
        float(rng.choice([0.0, 0.0, 0.5, 0.8, 1.2])),
        float(rng.uniform(0, 0.4)) if rng.random() < 0.5 else 0.0,
        int(rng.integers(25, 90)) if rng.random() < 0.35 else 0,
        float(rng.uniform(0.55, 1.3)),
    )


def develop(
    rgb: npt.NDArray[np.uint8], lens: Lens, weather: Weather, rng: np.random.Generator, scale: float
) -> npt.NDArray[np.uint8]:
    """The (H, W, 3) uint8 frame that the camera makes of the scene `rgb`, which is changed.

    `scale` is the height of the picture over 360: blur and streaks keep their look at every size.
    """
    h, w = rgb.shape[:2]
    if weather.rain:
        _rain(rgb, weather, rng, scale)
    sigma = lens.blur * scale
    if sigma > 0.25:
        rgb = np.asarray(cv2.GaussianBlur(rgb, (0, 0), sigma), np.uint8)
    if abs(lens.saturation - 1) > 0.03:
        mix = lens.saturation * np.eye(3) + (1 - lens.saturation) * np.array([0.3, 0.59, 0.11])
        rgb = np.asarray(cv2.transform(rgb, mix.astype(np.float32)), np.uint8)
    if lens.vignette:
        ys, xs = np.linspace(-1, 1, h, dtype=np.float32), np.linspace(-1, 1, w, dtype=np.float32)
        fall = 1.0 - 0.5 * np.float32(lens.vignette) * (ys[:, None] ** 2 + xs[None, :] ** 2)
        rgb = np.asarray(cv2.multiply(rgb, cv2.cvtColor(fall, cv2.COLOR_GRAY2RGB), dtype=cv2.CV_8U), np.uint8)
    if lens.noise > 0.5:
        y, x = (int(v) for v in rng.integers(0, TILE, 2))
        grain = _grain(h, w)[y : y + h, x : x + w] * np.float32(1.6 * lens.noise)
        rgb = np.asarray(cv2.add(rgb, cv2.cvtColor(grain, cv2.COLOR_GRAY2RGB), dtype=cv2.CV_8U), np.uint8)
    ramp = np.arange(256, dtype=np.float64)[:, None] / 255.0 * lens.gain
    curve = (255.0 * np.clip(ramp, 0, 1) ** lens.gamma).astype(np.uint8)[None]
    image = np.asarray(cv2.LUT(rgb, curve), np.uint8)
    if lens.jpeg:
        _, code = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, lens.jpeg])
        image = np.asarray(cv2.imdecode(code, cv2.IMREAD_COLOR), np.uint8)
    return image


@lru_cache(maxsize=4)
def _grain(height: int, width: int) -> Array:
    """Noise from which a picture of this size can be cut at any offset below TILE."""
    tile = noise_tile("fine", 0)
    return np.tile(tile, (-(-height // TILE) + 1, -(-width // TILE) + 1))


def _rain(rgb: npt.NDArray[np.uint8], weather: Weather, rng: np.random.Generator, scale: float) -> None:
    h, w = rgb.shape[:2]
    layer = np.zeros((h, w), np.uint8)
    lean = float(rng.normal(0.1, 0.06))
    count = int(160 * weather.rain)
    at = rng.uniform(-20, 1, (count, 2)) + rng.uniform(0, 1, (count, 2)) * (w, h)
    long = rng.uniform(6, 26, count) * scale
    tip = at + np.stack([lean * long, long], axis=1)
    ends = np.concatenate([16 * at, 16 * tip], axis=1).astype(int).tolist()
    for (x0, y0, x1, y1), level in zip(ends, rng.integers(24, 78, count).tolist(), strict=True):
        cv2.line(layer, (x0, y0), (x1, y1), level, 1, cv2.LINE_AA, 4)
    bright = 70 if weather.night else 210
    drops = cv2.cvtColor(layer, cv2.COLOR_GRAY2RGB)
    behind = cv2.multiply(rgb, cv2.bitwise_not(drops), scale=1 / 255)
    cv2.add(behind, cv2.convertScaleAbs(drops, alpha=bright / 255), dst=rgb)
