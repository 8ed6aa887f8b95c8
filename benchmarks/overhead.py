"""A whole inline scan against the bare forward passes of the same frames in the same process.

``python -m benchmarks overhead``. An untrained ViT-B/16 at 448 short side, which runs as fast as a trained one; with
random weights everything or nothing is unknown, so both are measured. The scan counts from listing to the last commit.
"""

import tempfile
import time
from collections.abc import Sequence
from itertools import product
from pathlib import Path

import open_clip
import torch
from safetensors.torch import save_file
from torch import Tensor
from torch.nn.functional import interpolate

from benchmarks.footage import footage
from benchmarks.results import Clock, Figures, Goal, interleaved, ratio
from clipomaly_core import Clipomaly
from clipomaly_core.dense import dense_features
from clipomaly_core.types import Frame
from flows.parameters import ScanParameters
from flows.scan import run_scan
from tasks.footage.archive import list_sources
from tasks.footage.frames import read_frames
from tasks.model import get_model

GOALS = {"scan, times the bare forward": Goal(at_most=1.10)}

_NOTHING, _EVERYTHING = 1.0, 0.0  # thresholds: no region, and one region a frame that is named


def measure(
    archive: Path | None = None,
    repeats: int = 2,
    clock: Clock = time.perf_counter,
    model: str = "ViT-B-16-quickgelu",
    fps: float = 1.0,
) -> Figures:
    """Seconds of scans and of bare forward passes, and their ratio.

    Args:
        archive: footage; a drawn clip when left out.
        repeats: interleaved runs.
        clock: what is timed with.
        model: ``nano``, or an open_clip name, whose weights are random.
        fps: frames to scan a second of video.
    """
    with tempfile.TemporaryDirectory() as folder, footage(archive) as root:
        weights = None
        if model != "nano":
            weights = f"{folder}/weights.safetensors"
            torch.manual_seed(0)  # the same weights every time, so that text embeddings are found in the cache
            save_file(open_clip.create_model(model, load_weights=False).state_dict(), weights)
        # A reference of so few frames would look at all of them once more.
        base = ScanParameters(archive=str(root), tables="", model=model, weights=weights, fps=fps, no_reference=True)
        nothing = _measure(base, _NOTHING, repeats, clock, folder)
        everything = _measure(base, _EVERYTHING, 1, clock, folder)
    return {
        "frames": nothing["frames"],
        "bare forward, seconds": nothing["bare"],
        "scan, seconds": nothing["scan"],
        "scan, times the bare forward": nothing["ratio"],
        "with a find a frame, times the bare forward": everything["ratio"],
    }


def _measure(base: ScanParameters, threshold: float, repeats: int, clock: Clock, folder: str) -> dict[str, float]:
    parameters = base.model_copy(update={"method": {"threshold": threshold}})
    model = get_model(parameters.model_settings())
    frames = [
        frame.image
        for source in list_sources(parameters.archive).sources
        for frame in read_frames(source, parameters.fps)
        if frame.image is not None
    ]
    batches = _ready(model, frames)
    runs = 0

    def scan() -> None:
        nonlocal runs
        runs += 1
        run_scan(parameters.model_copy(update={"tables": f"{folder}/{threshold}-{runs}"}))

    def bare() -> None:
        with torch.inference_mode():
            for batch in batches:
                dense_features(model.tower.image, batch, model.options.attention)

    seconds = interleaved({"scan": scan, "bare": bare}, repeats, clock)
    return {
        "frames": len(frames),
        "scan": min(seconds["scan"]),
        "bare": min(seconds["bare"]),
        "ratio": ratio(seconds["scan"], seconds["bare"]),
    }


def _ready(model: Clipomaly, frames: Sequence[Frame]) -> list[Tensor]:
    """The frames as the tower takes them, at every scale, in batches of one size."""
    by_shape: dict[tuple[int, ...], list[Frame]] = {}
    for frame in frames:
        by_shape.setdefault(frame.shape, []).append(frame)
    batches = []
    for (shape, group), scale in product(by_shape.items(), model.options.scales):
        size = model.encoder.working_size(shape[0], shape[1], scale)
        for start in range(0, len(group), model.batch_size):
            pixels = model.encoder.pixels(group[start : start + model.batch_size])
            batches.append(model.encoder.normalise(interpolate(pixels, size=size, mode="bilinear", antialias=True)))
    return batches
