"""Dense forward of an untrained ViT-B/16 against a loop of windows and against the device's matrix product.

``python -m benchmarks forward``. Random weights run as fast as trained ones. All runs give the same: cosines to 19
texts for every pixel.
"""

import statistics
import time
from functools import partial
from pathlib import Path

import open_clip
import torch
from open_clip.transformer import VisionTransformer
from torch import Tensor
from torch.nn.functional import interpolate, normalize

from benchmarks.footage import frames_of
from benchmarks.reference import STRIDE, WINDOW, windows_one_by_one
from benchmarks.results import Clock, Figures, Goal, interleaved, ratio
from clipomaly_core.dense import dense_features

_TEXTS = 19

GOALS_CPU = {
    "whole frame, times as fast as the loop": Goal(at_least=1.8),
    "windows, times as fast as the loop": Goal(at_least=1.0),
    "share of the matrix product's peak": Goal(at_least=0.70),
}
GOALS_ACCELERATOR = GOALS_CPU | {
    "whole frame, times as fast as the loop": Goal(at_least=5.0),
    "share of the matrix product's peak": Goal(at_least=0.55),
}
GOALS = GOALS_ACCELERATOR if torch.cuda.is_available() else GOALS_CPU


def forward_gmac(visual: VisionTransformer, height: int, width: int) -> float:
    """Multiply-accumulates of one dense forward, in units of 10^9: projections, attention and MLP of all blocks but
    the last, of which naclip needs key, value, weights and output alone."""
    patch, d = visual.patch_size[0], visual.conv1.out_channels
    n = (height // patch) * (width // patch) + 1
    layers = len(visual.transformer.resblocks)
    block = 12 * n * d * d + 2 * n * n * d
    last = 2 * n * d * d + n * d * d + 2 * n * n * d
    return ((layers - 1) * block + last + n * 3 * patch * patch * d) / 1e9


def matmul_peak(device: torch.device, dtype: torch.dtype, repeats: int, clock: Clock) -> float:
    """The most multiply-accumulates a second (10^9) over a few large products, the best run of each."""
    best = 0.0
    for side in (1024, 2048) if device.type == "cpu" else (4096, 8192):
        a = torch.randn(side, side, device=device, dtype=dtype)
        seconds = interleaved({"matmul": partial(_multiply, a)}, repeats, clock)["matmul"]
        best = max(best, side**3 / min(seconds) / 1e9)
    return best


def _multiply(a: Tensor) -> Tensor:
    return _done(a @ a)


def _done(result: Tensor) -> Tensor:
    if result.is_cuda:
        torch.cuda.synchronize()
    return result


def measure(
    archive: Path | None = None,
    repeats: int = 3,
    clock: Clock = time.perf_counter,
    model: str = "ViT-B-16-quickgelu",
    size: tuple[int, int] = (448, 896),
    batch: int | None = None,
) -> Figures:
    """Frames a second of each way, their ratios, and the share of the peak.

    Args:
        archive: a folder of clips; drawn scenes when left out.
        repeats: interleaved runs.
        clock: what is timed with.
        model: an open_clip name; its weights are random.
        size: height and width in pixels of the frames as they enter the model.
        batch: frames at a time; 2 on a CPU and 32 on an accelerator when left out.
    """
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    batch = batch or (2 if device.type == "cpu" else 32)
    # The loop is of windows of the size that the tower was made for, as published.
    visual = open_clip.create_model(model, load_weights=False, force_image_size=WINDOW).visual
    visual = visual.eval().requires_grad_(False).to(device)
    frames = torch.stack(frames_of(archive, batch)).to(device)
    images = interpolate(frames.permute(0, 3, 1, 2).float() / 255 - 0.5, size=size, mode="bilinear")
    texts = normalize(torch.randn(_TEXTS, visual.output_dim, device=device), dim=-1)

    def ours(window: int | None, stride: int | None, bfloat16: bool = device.type != "cpu") -> None:
        with torch.autocast(device.type, torch.bfloat16, enabled=bfloat16):
            features = dense_features(visual, images, "naclip", window, stride)
        _done(interpolate((features @ texts.T).permute(0, 3, 1, 2), size=size, mode="bilinear"))

    def reference() -> None:
        with torch.autocast(device.type, torch.bfloat16, enabled=device.type != "cpu"):
            for image in images:
                _done(windows_one_by_one(visual, image[None], texts))

    runs = {
        "whole": lambda: ours(None, None),
        "windows": lambda: ours(WINDOW, STRIDE),
        "loop": reference,
        "bfloat16": lambda: ours(None, None, bfloat16=True),
    }
    with torch.inference_mode():
        seconds = interleaved(runs, repeats, clock)
        dtype = torch.float32 if device.type == "cpu" else torch.bfloat16
        peak = matmul_peak(device, dtype, max(repeats, 5), clock)
    rates = {name: batch / statistics.median(times) for name, times in seconds.items()}
    gmac = forward_gmac(visual, *size)
    return {
        "whole frame, frames a second": rates["whole"],
        "windows, frames a second": rates["windows"],
        "loop of windows, frames a second": rates["loop"],
        "whole frame, times as fast as the loop": ratio(seconds["loop"], seconds["whole"]),
        "windows, times as fast as the loop": ratio(seconds["loop"], seconds["windows"]),
        "bfloat16, times as fast as the default": ratio(seconds["whole"], seconds["bfloat16"]),
        "GMAC a frame": gmac,
        "matrix product, peak GMAC a second": peak,
        "share of the matrix product's peak": gmac * batch / min(seconds["whole"]) / peak,
    }
