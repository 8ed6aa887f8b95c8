"""How cost grows with the work: clips, names, regions. ``python -m benchmarks.growth``.

Clips are copies of one drawn clip under names of their own; names are numbered things; regions are squares of a
drawn scene. Everything with ``nano``.
"""

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import matplotlib
import numpy as np
import torch

from benchmarks.results import RESULTS, interleaved, write_results
from clipomaly_core import Clipomaly
from clipomaly_core.regions import Region
from clipomaly_core.vocabulary import Vocabulary
from demo_fleet import sample_scene, write_archive

matplotlib.use("Agg")
from matplotlib import pyplot as plt

NAMES = (10, 100, 1_000, 10_000)
REGIONS = (0, 1, 10, 50, 200)


def grow_clips(counts: list[int]) -> dict[int, dict[str, float]]:
    """Seconds and peak memory (MiB) of a scan of so many clips, each in a process of its own."""
    figures = {}
    with tempfile.TemporaryDirectory() as folder:
        drawn = Path(folder) / "drawn"
        write_archive(drawn, drives=1, clips=1, objects=2)
        [clip, *_] = sorted(drawn.rglob("*.mp4"))
        for count in counts:
            archive = Path(folder) / f"archive-{count}"
            for number in range(count):
                target = (
                    archive / f"drive-{number % 10}" / f"2026-11-22T{number // 60 % 24:02d}-{number % 60:02d}-00.mp4"
                )
                target = target.with_stem(f"{target.stem}-{number}")
                target.parent.mkdir(parents=True, exist_ok=True)
                os.link(clip, target)
            before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
            started = time.perf_counter()
            command = [sys.executable, "-m", "flows.cli", "scan", str(archive), "--out", f"{folder}/tables-{count}"]
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            seconds = time.perf_counter() - started
            peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
            # The kernel keeps the largest child so far: where a later scan is not above it, it is not larger.
            figures[count] = {"seconds": seconds, "peak_mib": peak / 1024, "grew_mib": (peak - before) / 1024}
            print(f"{count} clips: {figures[count]}", flush=True)
    return figures


def grow_names(repeats: int) -> dict[int, float]:
    """Seconds a frame with so many candidate names."""
    frame = sample_scene(1, (360, 640)).image
    runs = {}
    for count in NAMES:
        vocabulary = replace(Vocabulary.load(), candidates=()).extend([f"thing {number}" for number in range(count)])
        model = Clipomaly.load("nano", vocabulary=vocabulary, device="cpu")
        runs[str(count)] = lambda model=model: model([frame])
    return {int(name): statistics.median(times) for name, times in interleaved(runs, repeats).items()}


@torch.inference_mode()
def grow_regions(repeats: int) -> dict[int, float]:
    """Seconds to name so many regions of a frame."""
    frame = sample_scene(1, (360, 640)).image
    model = Clipomaly.load("nano", device="cpu")
    features = model._dense([frame])
    rng = np.random.default_rng(0)
    rows, columns = features.shape[1] * 4, features.shape[2] * 4
    regions = []
    for _ in range(max(REGIONS)):
        mask = np.zeros((rows, columns), bool)
        top, left = int(rng.integers(rows - 8)), int(rng.integers(columns - 8))
        mask[top : top + 8, left : left + 8] = True
        regions.append(Region(mask, (left, top, 8, 8), 64))
    runs = {str(count): lambda count=count: model._name([frame], features, [regions[:count]]) for count in REGIONS}
    return {int(name): statistics.median(times) for name, times in interleaved(runs, repeats).items()}


def draw(figures: dict[str, dict[int, float]], path: Path) -> None:
    """One plot a kind of work, seconds over amount, both logarithmic."""
    figure, axes = plt.subplots(1, len(figures), figsize=(4 * len(figures), 3.4), layout="constrained")
    for axis, (name, values) in zip(axes, figures.items(), strict=True):
        amounts = [amount for amount in values if amount]
        axis.loglog(amounts, [values[amount] for amount in amounts], "o-")
        axis.set(xlabel=name, ylabel="seconds")
        axis.grid(alpha=0.3, which="both")
    figure.savefig(path, dpi=100)
    plt.close(figure)


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clips", type=int, nargs="+", default=[1, 10, 100])
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    names, regions = grow_names(arguments.repeats), grow_regions(arguments.repeats)
    print(f"seconds a frame by names: {names}\nseconds of naming by regions: {regions}", flush=True)
    clips = grow_clips(arguments.clips)
    print(write_results("growth", {"clips": clips, "names": names, "regions": regions}))
    seconds = {count: values["seconds"] for count, values in clips.items()}
    draw({"clips": seconds, "names": names, "regions": regions}, RESULTS / "growth.png")


if __name__ == "__main__":
    main()
