"""How cost grows with the work: clips, names, regions, rows, workers. ``python -m benchmarks growth``.

Clips are one drawn clip under many names, one small frame of each scanned by ``nano``, so that what grows is not the
model. Names are random directions in place of embedded words, which cost the same. Regions are squares of a drawn
scene, named by ``nano``; what 50 of them cost beside the frame itself is also measured with an untrained ViT-B/16. Rows
are drawn ones, of which a query counts names. Workers are processes that share the clips of one archive.
"""

import os
import statistics
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any
from unittest.mock import patch

import matplotlib
import numpy as np
import open_clip
import torch
from safetensors.torch import save_file
from torch import Tensor
from torch.nn.functional import normalize

from benchmarks.drawn_rows import drawn_rows
from benchmarks.footage import footage
from benchmarks.query import by_query, multiply
from benchmarks.results import Clock, Figures, Goal, Ran, interleaved, run_command
from clipomaly_core import Clipomaly
from clipomaly_core.dense import choose_device
from clipomaly_core.naming import name_frame_regions
from clipomaly_core.options import default_options
from clipomaly_core.regions import Region
from clipomaly_core.towers.load import load_tower
from clipomaly_core.vocabulary import Vocabulary
from clipomaly_core.weights import find_checkpoint
from demo_fleet import sample_scene

matplotlib.use("Agg")
from matplotlib import pyplot as plt
from matplotlib.ticker import LogLocator, NullFormatter, NullLocator, StrMethodFormatter

GOALS = {
    # Linear is 1; the rest is for the noise of a machine.
    "clips, last tenfold against the one before": Goal(at_most=1.2),
    "clips, most memory against ten times fewer": Goal(at_most=1.1),
    "names, seconds against ten times fewer": Goal(at_most=10),
    "naming 50 regions, share of a frame": Goal(at_most=1),
    "naming 50 without crops, share of a frame": Goal(at_most=0.15),
}
_NAMES_BESIDE_REGIONS = 5_000
_ROWS_OF_A_CAR, _ROWS_OF_A_DAY = 3_334, 333_400
_QUESTION = "SELECT name, count(*) FROM {instances} GROUP BY name ORDER BY 2 DESC"
_SMALL = ["--model", "nano", "--fps", "0.01", "--set", "short_side=64", "--set", "scales=1", "--no-reference"]


def measure(
    repeats: int = 3,
    clock: Clock = time.perf_counter,
    clips: Sequence[int] = (1, 10, 100, 1_000, 10_000),
    names: Sequence[int] = (10, 100, 1_000, 10_000, 100_000),
    regions: Sequence[int] = (0, 1, 10, 50, 200),
    rows: Sequence[int] = (100_000, 1_000_000, 10_000_000),
    workers: Sequence[int] = (1, 2, 4, 8),
    model: str = "ViT-B-16-quickgelu",
) -> Figures:
    """Seconds and memory over each kind of work, and how they grow.

    Args:
        repeats: interleaved runs, of names and regions.
        clock: what is timed with.
        clips, names, regions, rows, workers: amounts of work, each at least two, but no ``workers`` is fine, too.
        model: ``nano`` or an open_clip name with random weights, for the share of naming.
    """
    by_clips = grow_clips(clips, clock)
    by_names = grow_names(names, repeats, clock)
    by_regions = grow_regions(regions, repeats, clock)
    by_rows = grow_rows(rows, repeats, clock)
    by_workers = grow_workers(workers, clock)
    with_crops, without = naming_shares(model, 50, clock)
    most, fewer = by_clips[clips[-1]], by_clips[clips[-2]]
    return {
        "clips, last tenfold against the one before": _rise(by_clips, clips),
        "clips, seconds each": (most.seconds - by_clips[clips[0]].seconds) / (clips[-1] - clips[0]),
        "clips, most memory, MiB": most.peak_mib,
        "clips, most memory against ten times fewer": most.peak_mib / fewer.peak_mib,
        "names, seconds against ten times fewer": by_names[names[-1]] / by_names[names[-2]],
        "regions, seconds each": (by_regions[regions[-1]] - by_regions[regions[0]]) / (regions[-1] - regions[0]),
        "naming 50 regions, share of a frame": with_crops,
        "naming 50 without crops, share of a frame": without,
        "by clips": {count: asdict(ran) for count, ran in by_clips.items()},
        "by names, seconds a frame": by_names,
        "by regions, seconds a frame": by_regions,
        "by rows, seconds a query": by_rows,
        "by workers, seconds": by_workers,
    }


def _rise(ran: Mapping[int, Ran], counts: Sequence[int]) -> float:
    """Seconds a clip between the last two counts, by those between the two before: 1 where growth is linear."""
    each = [(ran[b].seconds - ran[a].seconds) / (b - a) for a, b in pairwise(counts)]
    return each[-1] / each[-2] if len(each) > 1 else 1.0


def grow_clips(counts: Sequence[int], clock: Clock) -> dict[int, Ran]:
    """What a scan of one frame of each of so many clips takes, in a process of its own."""
    ran = {}
    with tempfile.TemporaryDirectory() as folder, footage(None) as drawn:
        for count in counts:
            archive = _many(drawn, count, Path(folder) / f"archive-{count}")
            ran[count] = run_command(["scan", str(archive), "--out", f"{folder}/tables-{count}", *_SMALL], clock)
    return ran


def grow_rows(counts: Sequence[int], repeats: int, clock: Clock) -> dict[int, float]:
    """Seconds of counting the names of so many rows, by ``clipomaly.query`` over compacted days."""
    runs = {}
    with tempfile.TemporaryDirectory() as folder:
        found = drawn_rows(min(_ROWS_OF_A_CAR, min(counts)))
        for count in counts:
            tables = Path(folder) / str(count)
            days = max(1, count // _ROWS_OF_A_DAY)
            cars = max(1, count // days // _ROWS_OF_A_CAR)
            multiply(found, tables, days, cars, count // days // cars)
            runs[str(count)] = partial(by_query, tables, _QUESTION)
        return {int(name): statistics.median(times) for name, times in interleaved(runs, repeats, clock).items()}


def grow_workers(counts: Sequence[int], clock: Clock) -> dict[int, float]:
    """Seconds of a scan of 48 clips by so many processes, for each count."""
    seconds: dict[int, float] = {}
    if not counts:
        return seconds
    with tempfile.TemporaryDirectory() as folder, footage(None) as drawn:
        archive = _many(drawn, 48, Path(folder) / "archive")
        for count in counts:
            out = f"{folder}/tables-{count}"
            command = ["scan", str(archive), "--out", out, "--model", "nano", "--fps", "0.25", "--shard-minutes", "0.5"]
            ran = run_command([*command, "--runner", "processes", "--workers", str(count)], clock)
            seconds[count] = ran.seconds
    return seconds


def _many(drawn: Path, count: int, archive: Path) -> Path:
    """One clip under many names."""
    [clip] = drawn.rglob("*.mp4")
    for number in range(count):
        minute = f"2026-11-22T{number // 60 % 24:02d}-{number % 60:02d}-00"
        target = archive / f"drive-{number % 10}" / f"{minute}-{number}.mp4"
        target.parent.mkdir(parents=True, exist_ok=True)
        os.link(clip, target)
    return archive


def grow_names(counts: Sequence[int], repeats: int, clock: Clock) -> dict[int, float]:
    """Seconds a frame with so many candidate names."""
    frame = sample_scene(1, (360, 640)).image
    runs = {str(count): partial(_with_names("nano", None, count), [frame]) for count in counts}
    return {int(name): statistics.median(times) for name, times in interleaved(runs, repeats, clock).items()}


def grow_regions(counts: Sequence[int], repeats: int, clock: Clock) -> dict[int, float]:
    """Seconds to name so many regions of a frame."""
    model = Clipomaly.load("nano", device="cpu")
    frame, regions = sample_scene(1, (360, 640)).image, _squares(model, max(counts))
    with torch.inference_mode():
        features = [*model.encoder.dense([frame])]

        def name(count: int) -> object:
            return name_frame_regions(
                [frame], features, [regions[:count]], model.words, None, model.encoder, model.options
            )

        runs = {str(count): partial(name, count) for count in counts}
        return {int(count): statistics.median(times) for count, times in interleaved(runs, repeats, clock).items()}


def naming_shares(model: str, count: int, clock: Clock) -> tuple[float, float]:
    """Seconds of naming so many regions of a frame among 5,000 names, by those of the frame's dense features: with
    crops, and from these features alone (``region_weight`` 1)."""
    with tempfile.TemporaryDirectory() as folder:
        weights = None
        if model != "nano":
            weights = f"{folder}/weights.safetensors"
            save_file(open_clip.create_model(model, load_weights=False).state_dict(), weights)
        loaded = _with_names(model, weights, _NAMES_BESIDE_REGIONS)
    frame, regions = sample_scene(1, (360, 640)).image, _squares(loaded, count)
    with torch.inference_mode():
        started = clock()
        features = [*loaded.encoder.dense([frame])]
        dense = clock() - started
        shares = []
        for options in (loaded.options, replace(loaded.options, region_weight=1.0)):
            started = clock()
            name_frame_regions([frame], features, [regions], loaded.words, None, loaded.encoder, options)
            shares.append((clock() - started) / dense)
    return shares[0], shares[1]


class _RandomText:
    """A text tower that gives each text a random direction: names cost no embedding here."""

    def __init__(self, dimension: int) -> None:
        self._dimension = dimension

    def tokenize(self, texts: Sequence[str]) -> Tensor:
        return torch.arange(len(texts))[:, None]

    def embed(self, tokens: Tensor) -> Tensor:
        return normalize(torch.randn(len(tokens), self._dimension), dim=-1)


def _with_names(name: str, weights: str | None, count: int) -> Clipomaly:
    """A model whose candidate names are so many made-up ones."""
    checkpoint, device = find_checkpoint(name, weights), choose_device("cpu")
    tower = load_tower(checkpoint, device)
    text = _RandomText(tower.image.embedding_dimension)
    vocabulary = replace(Vocabulary.load(), candidates=()).extend(f"thing {number}" for number in range(count))
    with tempfile.TemporaryDirectory() as cache, patch.dict(os.environ, CLIPOMALY_CACHE=cache):
        return Clipomaly(checkpoint, replace(tower, text=text), vocabulary, default_options(name), device)


def _squares(model: Clipomaly, count: int) -> list[Region]:
    size = model.encoder.working_size(360, 640, max(model.options.scales))
    rows, columns = (4 * side // model.tower.image.patch for side in size)
    rng = np.random.default_rng(0)
    regions = []
    for _ in range(count):
        mask = np.zeros((rows, columns), bool)
        top, left = int(rng.integers(rows - 8)), int(rng.integers(columns - 8))
        mask[top : top + 8, left : left + 8] = True
        regions.append(Region(mask, (left, top, 8, 8), 64))
    return regions


def _curve(figures: Figures, name: str) -> Mapping[Any, Any]:
    """A figure that grows with an amount: values by amount."""
    curve = figures[name]
    assert isinstance(curve, Mapping)
    return curve


def exponent(values: Mapping[int, float]) -> float:
    """The power with which values grow, by least squares on logarithms over the last hundredfold of amounts."""
    most = max(values)
    amounts = [amount for amount in values if amount and 100 * amount >= most]
    slope: float = np.polyfit(np.log(amounts), np.log([values[amount] for amount in amounts]), 1)[0]
    return slope


def draw(figures: Figures, path: Path) -> None:
    """One page, a plot a kind of work: seconds over amount, both logarithmic, with the fitted exponent; memory over
    clips."""
    ran = _curve(figures, "by clips")
    curves = {
        "clips, a small frame of each": ({count: one["seconds"] for count, one in ran.items()}, "seconds of a scan"),
        "clips": ({count: one["peak_mib"] for count, one in ran.items()}, "most memory, MiB"),
        "candidate names": (_curve(figures, "by names, seconds a frame"), "seconds a frame"),
        "regions of a frame": (_curve(figures, "by regions, seconds a frame"), "seconds of naming"),
        "rows": (_curve(figures, "by rows, seconds a query"), "seconds of counting names"),
        "worker processes": (_curve(figures, "by workers, seconds"), "seconds of a scan"),
    }
    figure, axes = plt.subplots(2, 3, figsize=(9.6, 6), layout="constrained")
    for axis, (name, (values, unit)) in zip(axes.flat, curves.items(), strict=True):
        points = {int(amount): value for amount, value in values.items() if int(amount)}
        axis.plot([*points], [*points.values()], "o-")
        axis.set(xscale="log", xlabel=name, title=f"{unit}\nexponent {exponent(points):.2f}")
        axis.set_xticks([*points], [f"{amount:,}" for amount in points], fontsize=8)
        axis.xaxis.set_minor_locator(NullLocator())
        if unit.startswith("seconds"):
            axis.set(yscale="log")
            axis.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            axis.yaxis.set_minor_formatter(NullFormatter())
        else:
            axis.set(ylim=(0, None))
        axis.yaxis.set_major_formatter(StrMethodFormatter("{x:,g}"))
        axis.grid(alpha=0.3, which="both")
    path.parent.mkdir(exist_ok=True)
    figure.savefig(path, dpi=110)
    plt.close(figure)
