"""Measure a checkpoint on scenes, to choose by: ``benchmarks/nano.py`` is what reports.

    python -m training.nano.evaluate --weights FILE --first-seed 9500000 --set margin=0.1

Everything goes through the method as it runs in a scan, with the built-in vocabulary.
"""

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from clipomaly_core import Clipomaly, FrameResult, Instance
from clipomaly_core.metrics import known_class_iou, pixel_metrics
from clipomaly_core.options import default_options
from clipomaly_core.types import UNKNOWN_NAME
from demo_fleet import HELD_OUT_KINDS, KINDS
from training.nano.concepts import training_kinds
from training.nano.data import CLASSES, HELD_OUT_SEED, UNKNOWN, VOID, Truth
from training.nano.fleet import fleet_scenes

FALSE_POSITIVES = 0.003
_LEAST = 120  # pixels: smaller objects are not counted as missed
_HIT = 0.3  # share of a true object's pixels that an instance must hold to have found it


@dataclass(frozen=True, slots=True)
class Pixels:
    """Anomaly scores over all pixels of the frames that are not void."""

    auprc: float
    fpr95: float
    threshold: float  # that leaves FALSE_POSITIVES of the known pixels


@dataclass(frozen=True, slots=True)
class Naming:
    """Objects at the default options: how many there are, the share that was found, and of those found the
    shares named right first, right among five, called unknown, and named wrong. ``false_instances`` a frame lie
    on known pixels."""

    objects: int
    found: float
    top1: float
    top5: float
    unknown: float
    wrong: float
    false_instances: float


@dataclass(frozen=True, slots=True)
class Figures:
    """One set of scenes."""

    frames: int
    pixels: Pixels
    naming: Naming
    miou: float
    iou: tuple[float, ...]


def measure(model: Clipomaly, scenes: Sequence[Truth], names: Sequence[str]) -> Figures:
    """Figures of a model on scenes; ``names`` gives the rows of their kinds a name."""
    return judge(scenes, [model([scene.image])[0] for scene in scenes], names)


def judge(scenes: Sequence[Truth], results: Sequence[FrameResult], names: Sequence[str]) -> Figures:
    """Figures of results that a model gave for scenes, one each."""
    targets = [np.where(scene.labels < CLASSES, scene.labels, VOID) for scene in scenes]
    known = known_class_iou([result.labels for result in results], targets, CLASSES)
    return Figures(
        len(scenes),
        _pixels([result.anomaly_score for result in results], scenes),
        _naming(scenes, [result.instances for result in results], names),
        known["miou"],
        tuple(round(float(value), 4) for value in known["iou"]),
    )


def _pixels(scores: list[npt.NDArray[np.float32]], scenes: Sequence[Truth]) -> Pixels:
    labels = [np.where(scene.labels == VOID, 255, (scene.labels == UNKNOWN).astype(np.uint8)) for scene in scenes]
    metrics = pixel_metrics(scores, labels)
    normal = np.concatenate([score[label == 0] for score, label in zip(scores, labels, strict=True)])
    return Pixels(metrics["auprc"], metrics["fpr95"], float(np.quantile(normal, 1 - FALSE_POSITIVES)))


def _naming(scenes: Sequence[Truth], found: list[tuple[Instance, ...]], kinds: Sequence[str]) -> Naming:
    words = {name: {name.lower()} for name in kinds}
    words |= {kind.name: {kind.name.lower(), *(s.lower() for s in kind.synonyms)} for kind in KINDS}
    objects, hits, top1, top5, unknown, false = 0, 0, 0, 0, 0, 0
    for scene, instances in zip(scenes, found, strict=True):
        false += sum(scene.instances[i.mask].astype(bool).mean() < 0.1 for i in instances)
        for track, row in scene.kinds.items():
            mask = scene.instances == track
            if mask.sum() < _LEAST:
                continue
            objects += 1
            shares = [float(i.mask[mask].mean()) for i in instances]
            if not shares or max(shares) < _HIT:
                continue
            best, right = instances[int(np.argmax(shares))], words[kinds[row]]
            hits += 1
            unknown += best.name == UNKNOWN_NAME
            top1 += best.name.lower() in right
            top5 += any(name.name.lower() in right for name in best.names)
    each = 1 / max(hits, 1)
    wrong = (hits - top1 - unknown) * each
    return Naming(objects, hits / max(objects, 1), top1 * each, top5 * each, unknown * each, wrong, false / len(scenes))


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--frames", type=int, default=120)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--first-seed", type=int, default=HELD_OUT_SEED, help="choose options below the default")
    parser.add_argument("--set", dest="options", action="append", default=[], metavar="NAME=NUMBER")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    seen = [kind.name for kind in training_kinds()]
    own = {name: float(value) for name, value in (option.split("=") for option in arguments.options)}
    options = replace(default_options("nano"), **own)  # type: ignore[arg-type]
    model = Clipomaly.load("nano", weights=str(arguments.weights), device="cpu", options=options)
    for title, kinds, offset in (("seen", seen, 0), ("held-out", sorted(HELD_OUT_KINDS), 100_000)):
        first = arguments.first_seed + offset
        scenes = [fleet_scenes(kinds)(seed) for seed in range(first, first + arguments.frames)]
        print(title, json.dumps(asdict(measure(model, scenes, kinds)), indent=1), flush=True)


if __name__ == "__main__":
    main()
