"""What finds cost a scan: a drawn street with three finds a frame, against the same scan without them.

``python -m benchmarks street``, and ``fleet`` for a third of the demo fleet, with what is planted there. An untrained
ViT-B/16, which runs as fast as a trained one. Random weights find everything or nothing, so where the finds are is the
drawn truth: it takes the place of the scores, and all the rest is the scan of the clips, from decoding to part files.
Objects drive by as they do on a road, so that a scan sees most of them in several frames.
"""

import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import open_clip
import torch
from safetensors.torch import save_file

from benchmarks.results import Clock, Figures, Goal, interleaved, ratio
from clipomaly_core import Clipomaly
from clipomaly_core.crops import Moment
from clipomaly_core.regions import Logits
from clipomaly_core.scores import Look
from clipomaly_core.types import Finish, Frame
from demo_fleet import write_archive
from tasks.footage.archive import list_sources
from tasks.model import describe_model, get_model
from tasks.model_settings import ModelSettings
from tasks.scanning.plan import plan
from tasks.scanning.scan_record import make_scan_record
from tasks.scanning.shard import scan_shard
from tasks.tables import Tables

GOALS = {"scan with finds, times the same without": Goal(at_most=1.25)}
_FAR = 20.0
"""Logits by which a find stands out of the ordinary."""

_LEAST_AREA = 0.001
"""Smallest object that is found, as a share of the frame: no model here has a larger ``min_area``."""
_KEPT = (("certain_threshold", 0.99),)
"""Random weights take half of the finds for known classes; so far above the ordinary they stay finds."""

Truth = npt.NDArray[np.bool_]


@dataclass(slots=True)
class _Street:
    """A model that finds what is drawn: a mask for each frame of a scan, in order."""

    model: Clipomaly
    truth: Sequence[Truth]
    _next: Iterator[Truth] = field(init=False)

    def __post_init__(self) -> None:
        self._next = iter(self.truth)

    @property
    def batch_size(self) -> int:
        return self.model.batch_size

    @property
    def batches_in_flight(self) -> int:
        return self.model.batches_in_flight

    @property
    def ordinary_logit(self) -> float:
        return self.model.ordinary_logit

    def look(self, frames: Sequence[Frame], /) -> list[Look]:
        return [self._drawn(look, next(self._next)) for look in self.model.look(frames)]

    def _drawn(self, look: Look, mask: Truth) -> Look:
        size = look.logits.shape[::-1]
        there = cv2.resize(mask.astype(np.uint8), (size[0], size[1]), interpolation=cv2.INTER_AREA) > 0
        return replace(look, logits=np.where(there, _FAR, self.ordinary_logit).astype(np.float32))

    def find(
        self,
        looks: Sequence[Look],
        usual: Sequence[Logits | None] | None = None,
        moments: Sequence[Moment | None] | None = None,
        /,
    ) -> list[Finish]:
        return self.model.find(looks, usual, moments)


def measure(
    repeats: int = 1,
    clock: Clock = time.perf_counter,
    drives: int = 1,
    objects: int = 20,
    finds: float | None = 3,
    every_crop: bool = True,
    model: str = "ViT-B-16-quickgelu",
) -> Figures:
    """Seconds of scans with finds and without, and with crops of every sighting, and their ratios.

    Args:
        repeats: interleaved runs.
        clock: what is timed with.
        drives: drawn clips of eight seconds, one a drive, a frame a second of each.
        objects: planted in all of them together.
        finds: take so many of the objects that a frame has as many on average; all when ``None``.
        every_crop: also scan with crops of every sighting.
        model: ``nano``, or an open_clip name, whose weights are random.
    """
    with tempfile.TemporaryDirectory() as folder:
        weights = None
        if model != "nano":
            weights = f"{folder}/weights.safetensors"
            torch.manual_seed(0)  # the same weights every time, so that text embeddings are found in the cache
            save_file(open_clip.create_model(model, load_weights=False).state_dict(), weights)
        root = Path(folder) / "archive"
        write_archive(root, drives=drives, clips=1, objects=objects, nights=drives // 3, seed=5)
        truth = _truth(root, finds)
        nothing = [np.zeros_like(mask) for mask in truth]
        without = ModelSettings(model, weights, method=_KEPT)
        every = replace(without, method=(*_KEPT, ("crop_share", None), ("crop_sightings", None)))
        streets = {
            "without finds": (without, nothing),
            "with finds": (without, truth),
            **({"with every crop": (every, truth)} if every_crop else {}),
        }
        loaded = {name: get_model(settings) for name, (settings, _) in streets.items()}
        found: dict[str, int] = {}

        def scan(name: str) -> None:
            settings, masks = streets[name]
            record = make_scan_record(describe_model(settings), fps=1)
            with tempfile.TemporaryDirectory() as place:
                tables = Tables.at(place)
                tables.begin(record)
                street = _Street(loaded[name], masks)
                for shard in plan(list_sources(str(root)).sources, [], 5):
                    scan_shard(shard, record, tables, street)
                found[name] = tables.open("instances").count_rows()

        seconds = interleaved({name: (lambda name=name: scan(name)) for name in streets}, repeats, clock)  # type: ignore[misc]
    figures = {
        "frames": len(truth),
        "finds a frame": found["with finds"] / len(truth),
        "scan with finds, times the same without": ratio(seconds["with finds"], seconds["without finds"]),
    }
    if every_crop:
        figures["with every crop, times the same without"] = ratio(seconds["with every crop"], seconds["without finds"])
    return figures


def _truth(root: Path, finds: float | None) -> list[Truth]:
    """The masks of what is planted, of one frame a second of each clip in order, without the objects that are too
    many."""
    pictures = [
        np.asarray(cv2.imread(str(picture), cv2.IMREAD_UNCHANGED))
        for clip in sorted(root.rglob("*.mp4"))
        for picture in sorted((Path(f"{root}.truth") / clip.relative_to(root).with_suffix("")).glob("*_instances.png"))[
            ::10
        ]
    ]
    seen = [_regions(picture) for picture in pictures]
    room = float("inf") if finds is None else finds * len(pictures)
    kept = set()
    for planted, count in sorted(sum(seen, Counter()).items()):
        if count <= room:
            kept.add(planted)
            room -= count
    return [np.isin(picture, [*(kept & frame.keys())]) for picture, frame in zip(pictures, seen, strict=True)]


def _regions(picture: npt.NDArray[np.uint16]) -> Counter[int]:
    """How many regions of each planted object are large enough to be found; other objects may hide parts of it."""
    found: Counter[int] = Counter()
    for planted in np.unique(picture[picture > 0]):
        _, _, regions, _ = cv2.connectedComponentsWithStats((picture == planted).astype(np.uint8))
        large = int((regions[1:, cv2.CC_STAT_AREA] >= _LEAST_AREA * picture.size).sum())
        if large:
            found[int(planted)] = large
    return found
