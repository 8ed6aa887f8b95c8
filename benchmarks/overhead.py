"""A whole inline scan against the bare forward passes of the same frames in the same process.

``python -m benchmarks.overhead --archive FOLDER``. An untrained ViT-B/16 at 448x896, which runs as fast as a trained
one; with random weights everything or nothing is unknown, so both are measured.
"""

import argparse
import tempfile
from pathlib import Path

import open_clip
import torch
from safetensors.torch import save_file
from torch import Tensor

from benchmarks.results import interleaved, ratio, write_results
from clipomaly_core.dense import dense_features
from flows.nightly_scan import model_settings, run_scan
from flows.parameters import ScanParameters
from tasks.archive import list_sources
from tasks.frames import read_frames
from tasks.model import get_model

_NOTHING, _EVERYTHING = 1.0, 0.0  # thresholds: no region, and one region a frame that is named


def measure(archive: str, fps: float, repeats: int) -> dict[str, object]:
    """Seconds of scans and of bare forward passes, and their ratio."""
    figures: dict[str, object] = {}
    with tempfile.TemporaryDirectory() as folder:
        weights = Path(folder) / "vit-b-16.safetensors"
        torch.manual_seed(0)
        save_file(open_clip.create_model("ViT-B-16-quickgelu", load_weights=False).state_dict(), weights)
        for name, threshold in (("nothing found", _NOTHING), ("everything found", _EVERYTHING)):
            figures[name] = _measure(archive, fps, repeats, Path(folder), weights, threshold)
    return figures


def _measure(archive: str, fps: float, repeats: int, folder: Path, weights: Path, threshold: float) -> dict[str, float]:
    parameters = ScanParameters(
        archive=archive, tables="", model="ViT-B-16-quickgelu", weights=str(weights), fps=fps,
        method={"threshold": threshold},
    )  # fmt: skip
    model = get_model(model_settings(parameters))
    frames = [
        frame.image
        for source in list_sources(archive).sources
        for frame in read_frames(source, fps)
        if frame.image is not None
    ]
    batches = _ready(model, frames)
    runs = 0

    def scan() -> None:
        nonlocal runs
        runs += 1
        run_scan(parameters.model_copy(update={"tables": str(folder / f"{threshold}-{runs}")}))

    def bare() -> None:
        with torch.inference_mode():
            for batch in batches:
                dense_features(model._network.visual, batch, "naclip")

    seconds = interleaved({"scan": scan, "bare": bare}, repeats)
    return {
        "frames": len(frames),
        "scan_seconds": min(seconds["scan"]),
        "bare_seconds": min(seconds["bare"]),
        "scan_against_bare": ratio(seconds["scan"], seconds["bare"]),
    }


def _ready(model, frames) -> list[Tensor]:  # type: ignore[no-untyped-def]
    """The frames as the tower takes them, in batches of one size."""
    by_shape: dict[tuple[int, ...], list[object]] = {}
    for frame in frames:
        by_shape.setdefault(frame.shape, []).append(frame)
    batches = []
    for shape, group in by_shape.items():
        size = model._working_size(*shape[:2])
        for start in range(0, len(group), model.batch_size):
            pixels = model._pixels(group[start : start + model.batch_size])
            resized = torch.nn.functional.interpolate(pixels, size=size, mode="bilinear", antialias=True)
            batches.append(model._normalised(resized))
    return batches


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--archive", required=True)
    parser.add_argument("--fps", type=float, default=2.0)
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    figures = measure(arguments.archive, arguments.fps, arguments.repeats)
    for name, values in figures.items():
        print(f"{name}: {values}")
    print(write_results("overhead", figures))


if __name__ == "__main__":
    main()
