"""Dense forward of an untrained ViT-B/16 against a loop of windows and against the device's matrix product.

``python -m benchmarks.forward --clip FILE``. Random weights run as fast as trained ones.
"""

import argparse
import statistics
from pathlib import Path

import open_clip
import torch
from open_clip.transformer import VisionTransformer
from torch import Tensor
from torch.nn.functional import interpolate

from benchmarks.footage import frames_of
from benchmarks.reference import STRIDE, WINDOW, windows_one_by_one
from benchmarks.results import interleaved, ratio, write_results
from clipomaly_core.dense import dense_features

HEIGHT, WIDTH = 448, 896


def forward_gmac(visual: VisionTransformer, height: int, width: int) -> float:
    """Multiply-accumulates of one dense forward, in units of 10^9: projections, attention and MLP of all blocks but
    the last, of which naclip needs key, value, weights and output alone."""
    patch, d = visual.patch_size[0], visual.conv1.out_channels
    n = (height // patch) * (width // patch) + 1
    layers = len(visual.transformer.resblocks)
    block = 12 * n * d * d + 2 * n * n * d
    last = 3 * n * d * d + n * d * d + 2 * n * n * d
    return ((layers - 1) * block + last + n * 3 * patch * patch * d) / 1e9


def matmul_peak(device: torch.device, dtype: torch.dtype, repeats: int) -> float:
    """The most multiply-accumulates a second (10^9) over a few large products, the best run of each."""
    best = 0.0
    for side in (1024, 2048, 4096) if device.type == "cpu" else (4096, 8192):
        a = torch.randn(side, side, device=device, dtype=dtype)
        seconds = interleaved({"matmul": lambda a=a: _done(a @ a)}, repeats)["matmul"]
        best = max(best, side**3 / min(seconds) / 1e9)
    return best


def _done(result: Tensor) -> Tensor:
    if result.is_cuda:
        torch.cuda.synchronize()
    return result


def measure(clip: Path | None, repeats: int) -> dict[str, object]:
    """All figures of this benchmark."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    batch = 2 if device.type == "cpu" else 32
    visual = open_clip.create_model("ViT-B-16-quickgelu", load_weights=False).visual
    visual = visual.eval().requires_grad_(False).to(device)
    frames = torch.stack(frames_of(clip, batch)).to(device)
    images = interpolate(frames.permute(0, 3, 1, 2).float() / 255 - 0.5, size=(HEIGHT, WIDTH), mode="bilinear")

    def ours(window: int | None, stride: int | None) -> None:
        with torch.autocast(device.type, torch.bfloat16, enabled=device.type != "cpu"):
            _done(dense_features(visual, images, "naclip", window, stride))

    def reference() -> None:
        for image in images:
            _done(windows_one_by_one(visual, image[None]))

    runs = {
        "whole frame": lambda: ours(None, None),
        "windows, batched": lambda: ours(WINDOW, STRIDE),
        "windows, one by one": reference,
    }
    with torch.inference_mode():
        seconds = interleaved(runs, repeats)
    rates = {name: batch / statistics.median(times) for name, times in seconds.items()}
    gmac = forward_gmac(visual, HEIGHT, WIDTH)
    dtype = torch.float32 if device.type == "cpu" else torch.bfloat16
    peak = matmul_peak(device, dtype, repeats)
    fastest = batch / min(seconds["whole frame"])
    return {
        "frames_a_second": rates,
        "whole_frame_against_loop": ratio(seconds["windows, one by one"], seconds["whole frame"]),
        "windows_against_loop": ratio(seconds["windows, one by one"], seconds["windows, batched"]),
        "gmac_a_frame": gmac,
        "matmul_peak_gmac_a_second": peak,
        "share_of_peak": gmac * fastest / peak,
    }


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clip", type=Path, help="a video; a drawn scene when left out")
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    figures = measure(arguments.clip, arguments.repeats)
    for name, value in figures.items():
        print(f"{name}: {value}")
    print(write_results("forward", figures))


if __name__ == "__main__":
    main()
