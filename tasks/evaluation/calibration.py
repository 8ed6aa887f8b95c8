"""The threshold for a stated false-positive rate, from frames that hold no anomaly."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import floor
from typing import Any

import numpy as np
import numpy.typing as npt

from tasks.errors import UsageError
from tasks.model_settings import Value


@dataclass(frozen=True, slots=True)
class Calibration:
    """A threshold and what it rests on.

    Of ``pixels`` pixels without anomaly, in ``frames`` frames, the share ``reached`` scores above
    ``threshold``: at most ``wanted``, and less only where scores are tied.
    """

    wanted: float
    reached: float
    threshold: float
    pixels: int
    frames: int


def calibrate(scores: Iterable[npt.NDArray[np.float32]], pixels: int, frames: int, rate: float) -> Calibration:
    """Find the lowest threshold that at most a share ``rate`` of the pixels is above.

    Args:
        scores: (N,) float32 of the pixels without anomaly, frame by frame; only the largest are kept.
        pixels: how many these are in all frames.
        frames: how many frames that is.
        rate: the wanted false-positive rate a pixel, in (0, 1).

    Raises:
        UsageError: a rate out of range, no pixels, or a threshold out of [0, 1], which no option can hold.
    """
    check_rate(rate)
    if not pixels:
        raise UsageError("Calibration needs pixels without anomaly, and there are none: use other frames.")
    keep = floor(rate * pixels) + 1
    largest: npt.NDArray[Any] = np.empty(0, np.float32)
    for values in scores:
        if largest.size == keep:
            values = values[values > largest.min()]
        largest = np.concatenate([largest, values])
        if largest.size > keep:
            largest = np.partition(largest, largest.size - keep)[largest.size - keep :]
    threshold = float(largest.min())
    if not 0 <= threshold <= 1:
        raise UsageError(f"The calibrated threshold is {threshold:g}: scale the scores to 0 to 1 first.")
    return Calibration(rate, float(np.count_nonzero(largest > threshold)) / pixels, threshold, pixels, frames)


def check_rate(rate: float) -> None:
    """Raises UsageError for a rate that no threshold can be calibrated to."""
    if not 0 < rate < 1:
        raise UsageError(f"--calibrate {rate:g}: give a false-positive rate between 0 and 1, such as 0.01.")


def config_text(
    calibration: Calibration, origin: str, parameters: Mapping[str, Value], method: Mapping[str, Value]
) -> str:
    """TOML for ``clipomaly scan --config``: the parameters, and the method's options with the threshold.

    Args:
        calibration: the threshold.
        origin: one line that says on what and when it was calibrated.
        parameters: of a scan, by name; those that are ``None`` are left to their defaults.
        method: options of the method; its threshold is replaced.
    """
    lines = [f"{name} = {_toml(value)}" for name, value in parameters.items() if value is not None]
    options = {**method, "threshold": calibration.threshold}
    return "\n".join(
        [
            *lines,
            *([""] if lines else []),
            "[method]",
            f"# {' '.join(origin.split())}",
            f"# {calibration.reached:.4%} of {calibration.pixels} pixels without anomaly, in {calibration.frames} "
            f"frames, score above it; {calibration.wanted:.4%} was asked for.",
            *(f"{name} = {_toml(value)}" for name, value in options.items() if value is not None),
            "",
        ]
    )


def _toml(value: Value) -> str:
    # What JSON writes of text, numbers and truth values, TOML reads.
    return json.dumps(value, ensure_ascii=False)
