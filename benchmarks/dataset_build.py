"""How long 100,000 judged instances take to become a dataset, and how much memory.

    python benchmarks/dataset_build.py --instances 100000 --format coco

Makes an archive of JPEG pictures (a drive a thousand frames), tables with five instances a frame, and a judged item
for each track of five frames; then builds the dataset of it, as ``clipomaly dataset build`` does behind its queue.
Prints seconds, the peak of resident memory of the build and whether pictures were copied. The pictures are noise with
discs: their size in bytes is that of a dashcam's, their content does not matter to the build.
"""

import argparse
import json
import multiprocessing
import resource
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import cv2
import numpy as np
import pyarrow as pa

sys.path.insert(0, str(Path(__file__).parents[1]))

from schemas.dataset_format import DatasetFormat
from schemas.records import CommitRecord, Outcome, SourceOutcome, Stages
from schemas.review import Box, ItemStatus, NameScore, QueuedItem, ReviewItem, State, TrackFrame, Verdict
from schemas.tables import INSTANCES, Table
from tasks.datasets.build import DatasetOptions, build_dataset
from tasks.masks import encode_mask
from tasks.scanning.scan_record import make_scan_record
from tasks.tables import Tables
from tests.tasks.samples import description

HEIGHT, WIDTH = 720, 1280
A_DRIVE, A_FRAME, A_TRACK = 1000, 5, 5
START = datetime(2026, 11, 22, 6, 0, tzinfo=UTC)


def masks() -> list[tuple[Box, int, bytes]]:
    """Discs of many sizes and places, as COCO run lengths."""
    rng = np.random.default_rng(0)
    made = []
    for _ in range(200):
        mask = np.zeros((HEIGHT, WIDTH), np.uint8)
        centre = (int(rng.integers(120, WIDTH - 120)), int(rng.integers(120, HEIGHT - 120)))
        axes = (int(rng.integers(8, 100)), int(rng.integers(8, 100)))
        cv2.ellipse(mask, centre, axes, float(rng.integers(180)), 0, 360, (1,), -1)
        made.append((Box(*(int(side) for side in cv2.boundingRect(mask))), int(mask.sum()), encode_mask(mask > 0)))
    return made


def prepare(root: Path, instances: int) -> tuple[str, str, list[tuple[Box, int, bytes]]]:
    """Write archive and tables; the scan_id, the tables' place and the masks in turn."""
    rng = np.random.default_rng(1)
    pictures = []
    for _ in range(8):
        small = rng.integers(0, 255, (HEIGHT // 8, WIDTH // 8, 3), dtype=np.uint8)
        pictures.append(cv2.imencode(".jpg", cv2.resize(small, (WIDTH, HEIGHT)), [cv2.IMWRITE_JPEG_QUALITY, 85])[1])
    record = make_scan_record(description(), fps=1.0)
    tables = str(root / "tables")
    Tables.at(tables).begin(record)
    shapes = masks()
    frames = instances // A_FRAME
    for drive in range(0, frames, A_DRIVE):
        folder = root / "archive" / f"drive-{drive:06d}"
        folder.mkdir(parents=True)
        uri = f"file://{folder}/"
        rows = []
        count = min(A_DRIVE, frames - drive)
        for index in range(count):
            (folder / f"{index:05d}.jpg").write_bytes(pictures[index % 8].tobytes())
            for place in range(A_FRAME):
                box, area, rle = shapes[(place * 37 + (drive + index) // A_TRACK) % len(shapes)]
                rows.append(
                    {
                        "instance_id": f"{drive}-{index}-{place}",
                        "source_uri": uri,
                        "drive": folder.name,
                        "frame_index": index,
                        "timestamp": START + timedelta(seconds=index),
                        "timestamp_source": "filename",
                        "track_id": f"{drive}-{index // A_TRACK}-{place}",
                        "name": f"thing {place}",
                        "name_score": 0.5,
                        "names": [],
                        "name_source": "dictionary",
                        "anomaly_score": 0.9,
                        "anomaly_score_max": 0.95,
                        "bbox_x": box.x,
                        "bbox_y": box.y,
                        "bbox_width": box.width,
                        "bbox_height": box.height,
                        "area": area,
                        "frame_height": HEIGHT,
                        "frame_width": WIDTH,
                        "mask_rle": rle,
                    }
                )
        shard = f"{drive:012x}"
        table = pa.Table.from_pylist(rows, schema=INSTANCES)
        files = Tables.at(tables).write(record.scan_id, shard, [(Table.INSTANCES, date(2026, 11, 22), table)])
        outcome = SourceOutcome(uri, "etag", Outcome.OK, None, count, 0, len(rows))
        Tables.at(tables).write_commit(CommitRecord(record.scan_id, shard, START, files, (outcome,), Stages(0, 0, 0)))
    return record.scan_id, tables, shapes


def items(root: Path, scan_id: str, shapes: list[tuple[Box, int, bytes]], instances: int) -> Iterator[QueuedItem]:
    """A judged item for each track."""
    rng = np.random.default_rng(2)
    frames = instances // A_FRAME
    status = ItemStatus(State.DECIDED, verdict=Verdict.ACCEPT, name="x", decided_by="ada", decided_at=START)
    for first in range(0, frames, A_TRACK):
        drive = first // A_DRIVE * A_DRIVE
        folder = root / "archive" / f"drive-{drive:06d}"
        for place in range(A_FRAME):
            box, _, rle = shapes[(place * 37 + first // A_TRACK) % len(shapes)]
            index = first - drive
            track = tuple(TrackFrame(index + step, START, box) for step in range(A_TRACK))
            item = ReviewItem(
                item_id=f"item-{first}-{place}",
                scan_id=scan_id,
                source_uri=f"file://{folder}/",
                drive=folder.name,
                frame_index=index,
                timestamp=START + timedelta(seconds=index),
                frame_height=HEIGHT,
                frame_width=WIDTH,
                box=box,
                mask_rle=rle,
                crop_jpeg=bytes(16_000),
                crop_box=box,
                name=f"thing {place}",
                names=(NameScore("x", 0.5),),
                score=0.9,
                rank=1.0,
                track_id=f"{drive}-{index // A_TRACK}-{place}",
                track=track,
                embedding=rng.normal(size=512).astype("<f2").tobytes(),
            )
            yield QueuedItem(item, replace(status, name=f"thing {place}"))


def measure(root: Path, form: DatasetFormat, instances: int, scan_id: str, tables: str) -> None:
    """Build in a process of its own, so that its peak of memory is the build's."""
    shapes = masks()
    started = time.perf_counter()
    options = DatasetOptions(tables, form)
    built = build_dataset(lambda: items(root, scan_id, shapes, instances), str(root / form.value), options)
    seconds = time.perf_counter() - started
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    counts = built.manifest.counts.splits
    print(
        json.dumps(
            {
                "format": form.value,
                "instances": sum(split.instances for split in counts),
                "frames": sum(split.frames for split in counts),
                "seconds": round(seconds, 1),
                "peak_gib": round(peak, 2),
                "pictures": built.manifest.pictures,
            }
        ),
        flush=True,
    )


def main() -> None:
    """Prepare, build, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--instances", type=int, default=100_000)
    parser.add_argument("--format", default="coco", choices=[form.value for form in DatasetFormat])
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="clipomaly-bench-") as folder:
        root = Path(folder)
        scan_id, tables, _ = prepare(root, arguments.instances)
        form = DatasetFormat(arguments.format)
        context = multiprocessing.get_context("spawn")
        build = context.Process(target=measure, args=(root, form, arguments.instances, scan_id, tables))
        build.start()
        build.join()
        sys.exit(build.exitcode)


if __name__ == "__main__":
    main()
