"""What a model delivers on real photos and clips: finds, masks, names, and false finds on ordinary footage.

    python -m benchmarks.real_photos --clips ../shared/data/dashcam --clips ../shared/data/dashcam-varied

Photos at an odd position in sorted order (the first is 1) are those to choose options on, the others those to report
on; ``--all-report`` reports on all photos of another set. Clips are scanned at one frame a second. Figures go to
``build/benchmarks/real_photos.json``, and ``--sheet FOLDER`` draws every photo with its truth and what was found, those
to choose on and those to report on apart, and every find in a clip.
"""

import argparse
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from benchmarks.results import write_results
from clipomaly_core import Clipomaly, FrameResult
from clipomaly_core.metrics import pixel_metrics
from schemas.records import ScanRecord
from tasks.drawing import contact_sheet, outline
from tasks.evaluation.data import Dataset, read_dataset
from tasks.evaluation.formats import EvaluationFrame
from tasks.evaluation.lexicon import AcceptedNames, read_accepted_names
from tasks.evaluation.open_world import OpenWorld
from tasks.footage.archive import list_sources
from tasks.footage.frames import Rgb, read_frame, read_image
from tasks.masks import decode_mask
from tasks.model import describe_model, get_model
from tasks.model_settings import DEFAULT_MODEL, ModelSettings
from tasks.scanning.plan import plan
from tasks.scanning.scan_record import make_scan_record
from tasks.scanning.shard import scan_shard
from tasks.tables import Tables, open_table

Label = npt.NDArray[np.uint8]

_LEAST_PIXELS = 500
"""Smaller true objects are not counted."""
_COVERED = 0.3
"""Share of an object that instances must cover for it to be found."""
_LARGE = 0.01
"""Share of the frame from which an object is large."""
_TRUTH = (235, 64, 52)


@dataclass(frozen=True, slots=True)
class PhotoFigures:
    """What was delivered on a set of photos; shares in [0, 1].

    ``normal_called_unknown`` is the share of normal pixels in instances, ``anomaly_iou`` that of the label maps.
    ``named_first`` and ``named_among_five`` are shares of ``judged`` instances: those that lie on true objects by half.
    """

    photos: int
    auprc: float
    fpr95: float
    objects: int
    objects_found: int
    large_objects: int
    large_objects_found: int
    normal_called_unknown: float
    anomaly_iou: float
    instances: int
    judged: int
    named_first: float | None
    named_among_five: float | None


@dataclass(frozen=True, slots=True)
class ClipFigures:
    """What was found on a clip in which there is nothing to find."""

    frames: int
    finds_per_frame: float
    pixels_called_unknown: float
    names: tuple[str, ...]


def judge_photos(
    dataset: Dataset, frames: Sequence[EvaluationFrame], accepted: AcceptedNames | None, model: Clipomaly
) -> tuple[PhotoFigures, list[tuple[Rgb, str]]]:
    """The figures of some photos, and a tile of photo, truth and result for each."""
    world = OpenWorld(model.vocabulary, dataset, accepted)
    scores, labels, tiles = [], [], []
    objects: list[tuple[float, float]] = []  # share of the frame, share covered
    wrong = normal = instances = 0
    for frame in frames:
        image, label = read_image(str(frame.image)), dataset.anomaly_map(frame)
        [result] = model([image])
        world.add(frame, label, result)
        scores.append(result.anomaly_score)
        labels.append(label)
        found = _union(result, label.shape)
        objects += _objects(label, found)
        wrong += int(np.count_nonzero(found & (label == 0)))
        normal += int(np.count_nonzero(label == 0))
        instances += len(result.instances)
        tiles += _tiles(frame.name, image, label, result)
    pixels = pixel_metrics(scores, labels)
    large = [covered for size, covered in objects if size >= _LARGE]
    naming = world.naming()
    overall = naming.overall if naming else None
    return PhotoFigures(
        photos=len(frames),
        auprc=pixels["auprc"],
        fpr95=pixels["fpr95"],
        objects=len(objects),
        objects_found=sum(covered >= _COVERED for _, covered in objects),
        large_objects=len(large),
        large_objects_found=sum(covered >= _COVERED for covered in large),
        normal_called_unknown=wrong / normal,
        anomaly_iou=world.unknown()["anomaly_iou"],
        instances=instances,
        judged=overall.judged if overall else 0,
        named_first=overall.hit1 if overall else None,
        named_among_five=overall.hit5 if overall else None,
    ), tiles


def judge_clips(
    folder: Path, record: ScanRecord, model: Clipomaly
) -> tuple[dict[str, ClipFigures], list[tuple[Rgb, str]]]:
    """The figures of each clip below a folder, by its file name, from a scan of all of them; and a tile for each
    find."""
    with tempfile.TemporaryDirectory() as tables:
        opened = Tables.at(tables)
        opened.begin(record)
        for shard in plan(list_sources(str(folder)).sources, [], shard_minutes=5):
            scan_shard(shard, record, opened, model)
        frames, instances = (open_table(tables, name).to_table().to_pylist() for name in ("frames", "instances"))
    figures = {}
    for uri in sorted({str(row["source_uri"]) for row in frames}):
        own = [row for row in frames if row["source_uri"] == uri]
        names = sorted(str(row["name"]) for row in instances if row["source_uri"] == uri)
        unknown = float(np.mean([row["anomaly_fraction"] for row in own]))
        figures[uri.rsplit("/", 1)[-1]] = ClipFigures(len(own), len(names) / len(own), unknown, tuple(names))
    instances.sort(key=lambda row: (row["source_uri"], row["frame_index"]))
    return figures, [_clip_tile(row) for row in instances]


def _clip_tile(row: dict[str, Any]) -> tuple[Rgb, str]:
    image = read_frame(row["source_uri"], row["frame_index"])
    mask = decode_mask(row["mask_rle"], *image.shape[:2])
    place = f"{row['source_uri'].rsplit('/', 1)[-1]}, frame {row['frame_index']}"
    return outline(image, mask, row["name"], row["anomaly_score"]), place


def _union(result: FrameResult, shape: tuple[int, ...]) -> npt.NDArray[np.bool_]:
    union = np.zeros(shape, np.bool_)
    for instance in result.instances:
        union |= instance.mask
    return union


def _objects(label: Label, found: npt.NDArray[np.bool_]) -> Iterator[tuple[float, float]]:
    """The size of each true object as a share of the frame, and the share of it that was found."""
    count, parts, stats, _ = cv2.connectedComponentsWithStats((label == 1).astype(np.uint8), connectivity=8)
    for number in range(1, count):
        area = int(stats[number, cv2.CC_STAT_AREA])
        if area >= _LEAST_PIXELS:
            yield area / label.size, int(np.count_nonzero(found & (parts == number))) / area


def _tiles(name: str, image: Rgb, label: Label, result: FrameResult) -> list[tuple[Rgb, str]]:
    truth = image // 2 + 40
    truth[label == 1] = truth[label == 1] // 3 + np.asarray(_TRUTH, np.uint8) // 3 * 2
    drawn = image
    for instance in reversed(result.instances):
        drawn = outline(drawn, instance.mask, instance.name, instance.score)
    best = "; ".join(f"{instance.names[0].name}?" for instance in result.instances[:4] if instance.names)
    return [(image, name[:48]), (truth, "truth"), (drawn, best or "nothing found")]


def _show(title: str, figures: PhotoFigures | ClipFigures) -> None:
    print(f"\n{title}")
    for name, value in asdict(figures).items():
        shown = f"{value:.4g}" if isinstance(value, float) else value
        print(f"  {name.replace('_', ' '):24}{shown}")
    if isinstance(figures, PhotoFigures):
        found, large = figures.objects_found / max(figures.objects, 1), figures.large_objects_found
        print(f"  found {found:.0%} of objects, {large / max(figures.large_objects, 1):.0%} of large ones", flush=True)


def _write_sheet(folder: Path, name: str, tiles: list[tuple[Rgb, str]], columns: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    picture = contact_sheet(tiles, columns=columns, width=1920 // columns)
    cv2.imwrite(str(folder / f"{name}.jpg"), cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=Path, default=Path("../shared/data/roadanomaly-open"))
    parser.add_argument("--format", default="roadanomaly")
    parser.add_argument("--names", type=Path, default=Path("tests/data/roadanomaly_open_names.yaml"))
    parser.add_argument("--no-names", action="store_true", help="the photos have no file of accepted names")
    parser.add_argument("--all-report", action="store_true", help="report on every photo")
    parser.add_argument("--only", choices=("choose", "report"), help="one half of the photos")
    parser.add_argument(
        "--clips", type=Path, action="append", default=[], help="a folder of ordinary clips; repeatable"
    )
    parser.add_argument("--model", default=DEFAULT_MODEL)
    parser.add_argument("--weights")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="an option of the method")
    parser.add_argument("--sheet", type=Path, help="folder for the contact sheets")
    arguments = parser.parse_args()
    method = tuple(sorted((name, value) for name, _, value in (one.partition("=") for one in arguments.set)))
    settings = ModelSettings(arguments.model, arguments.weights, method=method)
    model, record = get_model(settings), make_scan_record(describe_model(settings), fps=1.0)
    told: dict[str, object] = {"model": model.name, "weights": model.weights_sha256, "options": asdict(model.options)}
    dataset = read_dataset(arguments.photos, arguments.format)
    accepted = None if arguments.no_names else read_accepted_names(arguments.names)
    halves = {"choose": dataset.frames[::2], "report": dataset.frames[1::2]}
    if arguments.all_report:
        halves = {"report": dataset.frames}
    for half, frames in halves.items():
        if arguments.only in (None, half):
            figures, tiles = judge_photos(dataset, frames, accepted, model)
            _show(f"{len(frames)} photos to {half} on", figures)
            told[f"photos_{half}"] = asdict(figures)
            if arguments.sheet:
                _write_sheet(arguments.sheet, half, tiles, columns=6)
    for folder in arguments.clips:
        clips, tiles = judge_clips(folder, record, model)
        for clip, found in clips.items():
            _show(clip, found)
            told[clip] = asdict(found)
        if arguments.sheet and tiles:
            _write_sheet(arguments.sheet, folder.name, tiles, columns=3)
    print(f"\n{write_results('real_photos', told)}")


if __name__ == "__main__":
    main()
