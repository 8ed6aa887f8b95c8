"""Every figure of a built-in model on drawn scenes: the tables of docs/models/nano.md and road.md.

    python benchmarks/nano.py --model road --frames 60 --sprites assets --clips dashcam --photos roadanomaly-open

Scenes are of the report's seeds, 10,000,000 and on; options are never chosen on them. ``--sprites`` names a folder of
RGBA pictures named by Unicode code point: ``npm install --ignore-scripts @lobehub/fluent-emoji-3d`` brings one
(MIT licence), as node_modules/@lobehub/fluent-emoji-3d/assets. ``--clips`` are folders of real footage with nothing
unusual in it, ``--photos`` is in RoadAnomaly's format; both are left out where not given. ``--sheet`` draws the
first 24 frames: input, truth, result. ``--weights`` measures another checkpoint than the built-in one.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import torch

sys.path.insert(0, str(Path(__file__).parents[1]))

from clipomaly_core import Clipomaly, FrameResult
from clipomaly_core.metrics import pixel_metrics
from clipomaly_core.names import lemma
from clipomaly_core.vocabulary import Vocabulary
from demo_fleet import HELD_OUT_KINDS, Kind, Scene, sprite_kinds, write_archive
from tasks.drawing import contact_sheet, outline
from tasks.evaluation.data import read_dataset
from tasks.footage.images import read_image
from training.nano.concepts import training_kinds
from training.nano.data import HELD_OUT_SEED, Truth
from training.nano.evaluate import Figures, judge
from training.nano.fleet import fleet_scenes

NEVER_SEEN, SPRITES = 100_000, 200_000  # offsets of their seeds
PEOPLE = frozenset({"surfer", "swimmer", "snowboarder", "skier", "clown", "zombie"})  # V: person
SHEET = 24


def main() -> None:
    """The command."""
    arguments = _arguments()
    torch.set_num_threads(arguments.threads)
    model = Clipomaly.load(arguments.model, weights=arguments.weights, device="cpu")
    print(
        f"{model.name}, weights {model.weights_sha256[:12]}, {len(model.vocabulary.candidates)} names, "
        f"{arguments.frames} frames each"
    )
    _speed(model)
    seen = [kind.name for kind in training_kinds()]
    _report(model, "kinds that training drew", seen, HELD_OUT_SEED, arguments.frames, arguments.sheet)
    _report(model, "15 kinds never drawn", sorted(HELD_OUT_KINDS), HELD_OUT_SEED + NEVER_SEEN, arguments.frames)
    if arguments.sprites:
        kinds = named_sprites(arguments.sprites)
        _report(model, f"{len(kinds)} sprites", kinds, HELD_OUT_SEED + SPRITES, arguments.frames)
    for folder in arguments.clips:
        _clips(model, folder, arguments.every)
    if arguments.photos:
        _photos(model, arguments.photos)


def named_sprites(folder: Path) -> tuple[Kind, ...]:
    """Pictures of things that the dictionary has a name for: no faces, symbols, flags, people or usual traffic."""
    names = {lemma(word) for c in Vocabulary.load().candidates for word in (c.name, *c.synonyms)}
    return sprite_kinds(folder, lambda name: lemma(name) in names and name not in PEOPLE)


def _report(
    model: Clipomaly, title: str, kinds: Sequence[str | Kind], first: int, frames: int, sheet: Path | None = None
) -> None:
    draw = fleet_scenes(kinds)
    scenes = [draw(seed) for seed in range(first, first + frames)]
    results = [model([scene.image])[0] for scene in scenes]
    names = list(draw.rows)
    figures: Figures = judge(scenes, results, names)
    pixels, naming = figures.pixels, figures.naming
    print(f"\n{title}")
    print(f"  anomaly AuPRC / FPR95        {pixels.auprc:.3f} / {pixels.fpr95:.3f}")
    print(f"  objects found                {naming.found:.2f} of {naming.objects}")
    print(f"  named right first / of five  {naming.top1:.2f} / {naming.top5:.2f} of those found")
    print(f"  called unknown, named wrong  {naming.unknown:.2f}, {naming.wrong:.2f} of those found")
    print(f"  false instances a frame      {naming.false_instances:.2f}")
    print(f"  mIoU of the known classes    {figures.miou:.3f}")
    print("  IoU of each                  " + " ".join(f"{value:.2f}" for value in figures.iou), flush=True)
    if sheet:
        cv2.imwrite(str(sheet), cv2.cvtColor(_sheet(scenes, results, names), cv2.COLOR_RGB2BGR))


def _sheet(scenes: Sequence[Truth], results: Sequence[FrameResult], names: Sequence[str]) -> npt.NDArray[np.uint8]:
    tiles = []
    for number, (scene, result) in enumerate(zip(scenes[:SHEET], results[:SHEET], strict=True)):
        truth, found = scene.image, scene.image
        for track, row in scene.kinds.items():
            truth = outline(truth, scene.instances == track, names[row], 1.0)
        for instance in reversed(result.instances):
            found = outline(found, instance.mask, instance.name, instance.score)
        tiles += [(scene.image, f"{number + 1}"), (truth, "truth"), (found, "result")]
    return contact_sheet(tiles, columns=6, width=380)


def _speed(model: Clipomaly) -> None:
    frames = [fleet_scenes(["dog", "sofa"])(HELD_OUT_SEED + 900 + index).image for index in range(8)]
    model(frames[:1])
    took = [_seconds(partial(model, [frame])) for frame in frames]
    scene = Scene(5, objects=["dog", "sofa"], seconds=8.0)
    scene.frame(0.0)
    drawing = [_seconds(partial(scene.frame, t / 10)) for t in range(1, 80)]
    with tempfile.TemporaryDirectory() as folder:
        archive = _seconds(lambda: write_archive(Path(folder) / "archive"))
    print(f"  a 640x360 frame, {torch.get_num_threads()} threads     {np.median(took):.3f} s")
    print(f"  drawing at 640x360           {1 / np.mean(drawing):.0f} frames a second (10 is real time)")
    print(f"  the demo's archive           {archive:.1f} s", flush=True)


def _seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def _clips(model: Clipomaly, folder: Path, every: float) -> None:
    print(f"\n{folder}: pixels called anomalous, nothing unusual in it")
    for path in sorted(path for path in folder.rglob("*") if path.suffix in {".mp4", ".mov", ".mkv", ".avi"}):
        shares = [
            float((model([frame])[0].anomaly_score > model.options.threshold).mean()) for frame in _video(path, every)
        ]
        print(f"  {path.name:28} {np.mean(shares):.4f} of {len(shares)} frames", flush=True)


def _video(path: Path, every: float) -> Iterator[npt.NDArray[np.uint8]]:
    reader = cv2.VideoCapture(str(path))
    step = max(1, round(every * (reader.get(cv2.CAP_PROP_FPS) or 25.0)))
    index = 0
    while reader.grab():
        if index % step == 0:
            yield np.asarray(cv2.cvtColor(reader.retrieve()[1], cv2.COLOR_BGR2RGB), np.uint8)
        index += 1
    reader.release()


def _photos(model: Clipomaly, root: Path) -> None:
    dataset = read_dataset(root, "roadanomaly")
    scores, labels = [], []
    for frame in dataset.frames:
        scores.append(model([read_image(str(frame.image))])[0].anomaly_score)
        labels.append(dataset.anomaly_map(frame))
    metrics = pixel_metrics(scores, labels)
    chance = (np.concatenate([label[label != 255] for label in labels]) == 1).mean()
    print(f"\n{root}: {len(labels)} real photos")
    print(f"  anomaly AuPRC / FPR95        {metrics['auprc']:.3f} / {metrics['fpr95']:.3f}, chance {chance:.3f}")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="nano")
    parser.add_argument("--weights")
    parser.add_argument("--frames", type=int, default=60)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--sheet", type=Path, help="PNG of 24 frames")
    parser.add_argument("--sprites", type=Path)
    parser.add_argument("--clips", type=Path, action="append", default=[])
    parser.add_argument("--every", type=float, default=1.0, help="seconds between frames of real clips")
    parser.add_argument("--photos", type=Path)
    return parser.parse_args()


if __name__ == "__main__":
    main()
