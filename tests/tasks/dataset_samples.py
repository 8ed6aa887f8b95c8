"""A scanned archive whose finds people judged: what datasets are built of."""

import json
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import cv2
import numpy as np

from clipomaly_core.types import FrameResult
from schemas.review import Box, ItemStatus, NameScore, QueuedItem, ReviewItem, State, TrackFrame, Verdict
from tasks.footage.archive import list_sources
from tasks.scanning.plan import plan
from tasks.scanning.scan_record import make_scan_record
from tasks.scanning.shard import scan_shard
from tasks.tables import Tables, open_table
from tests.tasks.samples import BlobFinder, Rgb, description, image_bytes, write_images, write_tar, write_video

DECIDED = datetime(2026, 11, 24, 7, 0, tzinfo=UTC)

Judge = Callable[[str], tuple[Verdict, str | None]]


class RaggedFinder(BlobFinder):
    """Its masks are as awkward as masks get: red ones have a hole, green ones a second part."""

    def judge(self, frame: Rgb) -> FrameResult:
        result = super().judge(frame)
        instances = []
        for instance in result.instances:
            mask = instance.mask.copy()
            x, y, width, height = instance.bbox
            if instance.name == "red thing":
                mask[y + height // 2, x + width // 2] = False
                mask[y + height // 2 + 1, x + width // 2] = False
            if instance.name == "green thing":
                mask[0, 0] = True
            box = cv2.boundingRect(mask.astype(np.uint8))
            left, top, width, height = map(int, box)
            instances.append(replace(instance, mask=mask, bbox=(left, top, width, height), area=int(mask.sum())))
        return replace(result, instances=tuple(instances))


def judge_by_colour(name: str) -> tuple[Verdict, str | None]:
    """Red is accepted, green renamed, blue known."""
    return {
        "red thing": (Verdict.ACCEPT, "red thing"),
        "green thing": (Verdict.RELABEL, "green ball"),
        "blue thing": (Verdict.KNOWN, "car"),
    }[name]


@dataclass(frozen=True)
class Judged:
    """An archive, its tables, and what people said of every object in them."""

    archive: Path
    tables: str
    items: tuple[QueuedItem, ...]

    def walk(self) -> Iterator[QueuedItem]:
        yield from self.items


def write_fleet(root: Path, drives: int = 6) -> Path:
    """Drives with a video, a folder of JPEG and PNG with one that is turned, and a tar."""
    for number in range(drives):
        drive = root / f"drive-{number}"
        write_video(drive / "20261122_031500.mp4", frames=10 + number)
        write_images(drive / "photos", 2)
        (drive / "photos" / "100.png").write_bytes(image_bytes(20 + number, ".png"))
        (drive / "photos" / "200.jpg").write_bytes(turned(30 + number))
        write_tar(drive / "20261122_041500.tar", {f"{n}.jpg": image_bytes(40 + n + number) for n in range(3)})
        for photo in (drive / "photos").iterdir():
            os.utime(photo, (1_795_350_000, 1_795_350_000))
        (drive / "20261122_031500.json").write_text(json.dumps({"captured": "2026-11-22T03:15:00Z"}))
    return root


def turned(number: int) -> bytes:
    """A JPEG that a camera took on its side and says so in its header."""
    import io

    from PIL import Image

    picture = Image.open(io.BytesIO(image_bytes(number))).rotate(90, expand=True)
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by a quarter, clockwise
    data = io.BytesIO()
    picture.save(data, "JPEG", exif=exif, quality=95)
    return data.getvalue()


def scan_fleet(archive: Path, tables: Path, model: BlobFinder | None = None) -> str:
    """Scan all of it: where the tables are."""
    record = make_scan_record(description(), fps=5.0)
    Tables.at(tables).begin(record)
    for shard in plan(list_sources(str(archive)).sources, (), 5.0):
        scan_shard(shard, record, Tables.at(tables), model or RaggedFinder())
    return str(tables)


def judged_fleet(archive: Path, tables: str, judge: Judge = judge_by_colour) -> Judged:
    """An item for each colour of each source: its instances are the track."""
    rows = open_table(tables, "instances").to_table().to_pandas()
    embeddings = open_table(tables, "embeddings").to_table().to_pandas().set_index("instance_id")["embedding"]
    items = []
    for number, ((source, name), of_track) in enumerate(rows.groupby(["source_uri", "name"])):
        of_track = of_track.sort_values(["frame_index", "bbox_x"]).drop_duplicates("frame_index")
        best = of_track.loc[of_track["anomaly_score"].idxmax()]
        verdict, decided = judge(str(name))
        items.append(
            QueuedItem(
                ReviewItem(
                    item_id=f"item{number:04d}",
                    scan_id=best["scan"],
                    source_uri=str(source),
                    drive=best["drive"],
                    frame_index=int(best["frame_index"]),
                    timestamp=best["timestamp"].to_pydatetime(),
                    frame_height=int(best["frame_height"]),
                    frame_width=int(best["frame_width"]),
                    box=_box(best),
                    mask_rle=best["mask_rle"],
                    crop_jpeg=_crop(),
                    crop_box=Box(0, 0, 32, 32),
                    name=str(name),
                    names=(NameScore(str(name), 0.9),),
                    score=float(best["anomaly_score"]),
                    rank=1.0,
                    track=tuple(
                        TrackFrame(int(row.frame_index), row.timestamp.to_pydatetime(), _box(row._asdict()))
                        for row in of_track.itertuples()
                    ),
                    embedding=np.asarray(embeddings[best["instance_id"]]).astype("<f2").tobytes(),
                    cluster=str(name),
                ),
                ItemStatus(
                    State.DECIDED,
                    verdict=verdict,
                    name=decided,
                    decided_by=("ada", "grace")[number % 2],
                    decided_at=DECIDED + timedelta(minutes=number),
                ),
            )
        )
    return Judged(archive, tables, tuple(items))


def with_status(items: Sequence[QueuedItem], **changes: object) -> tuple[QueuedItem, ...]:
    """The same items, decided otherwise."""
    return tuple(QueuedItem(one.item, replace(one.status, **changes)) for one in items)  # type: ignore[arg-type]


def _box(row: object) -> Box:
    return Box(*(int(row[f"bbox_{side}"]) for side in ("x", "y", "width", "height")))  # type: ignore[index]


def _crop() -> bytes:
    return image_bytes(0)
