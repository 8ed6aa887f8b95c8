"""What a finished dataset says of itself: its manifest, and its frames and labels as Parquet."""

import io
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from schemas.dataset import FRAMES, LABELS, WRITTEN, DatasetFrame, Label, Role, Split
from schemas.review import Box, Verdict
from tasks.datasets.blurring import Detector
from tasks.datasets.format import Losses
from tasks.datasets.judged_items import Wanted
from tasks.datasets.split import Shares

_BATCH = 10_000


@dataclass(frozen=True, slots=True)
class FileHash:
    """A file below the dataset's folder; those of single pictures stand in ``frames.parquet``."""

    path: str
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class ScanOfDataset:
    """The scan that found instances of the dataset."""

    scan_id: str
    model: str
    weights_sha256: str
    vocabulary_sha256: str
    code_version: str


@dataclass(frozen=True, slots=True)
class ClassCount:
    """How many instances of a class are in a split; ``name`` is None for background."""

    name: str | None
    role: Role
    split: Split
    instances: int
    objects: int


@dataclass(frozen=True, slots=True)
class SplitCount:
    """How much there is in a split; ``background`` frames have no instance, ``unlabelled`` ones have an instance
    without a label."""

    split: Split
    drives: int
    frames: int
    background: int
    unlabelled: int
    instances: int


@dataclass(frozen=True, slots=True)
class Counts:
    """The dataset in numbers."""

    splits: tuple[SplitCount, ...]
    classes: tuple[ClassCount, ...]


@dataclass(frozen=True, slots=True)
class Blurring:
    """Which detectors chose what is blurred, and how many places in how many frames are blurred."""

    detectors: tuple[Detector, ...] = ()
    frames: int = 0
    places: int = 0


@dataclass(frozen=True, slots=True)
class Manifest:
    """Written last. ``selection`` is the SHA-256 over everything that was planned; ``limits`` say what the format
    cannot hold and ``losses`` how often that was so; ``missing`` are frames that were left out."""

    clipomaly: str
    format: str
    selection: str
    options: Wanted
    tables: str
    seed: int
    shares: Shares
    near_threshold: float
    objects: tuple[str, ...]
    known: tuple[str, ...]
    scans: tuple[ScanOfDataset, ...]
    counts: Counts
    pictures: str
    limits: tuple[str, ...]
    losses: Losses
    warnings: tuple[str, ...]
    without_rows: int
    left_out: int
    near_duplicates: int
    missing: tuple[str, ...]
    blur: Blurring
    files: tuple[FileHash, ...]

    def with_files(self, files: Iterable[FileHash]) -> "Manifest":
        """The same with the files that are written."""
        return replace(self, files=tuple(files))


def count(frames: Iterable[DatasetFrame]) -> Counts:
    """Count frames, instances and objects by split and class."""
    drives: dict[Split, set[str]] = {split: set() for split in Split}
    numbers: Counter[tuple[Split, str]] = Counter()
    instances: Counter[tuple[Role, str | None, Split]] = Counter()
    objects: dict[tuple[Role, str | None, Split], set[str]] = {}
    for frame in frames:
        split = frame.split
        drives[split].add(frame.drive)
        own = [label for label in frame.labels if label.role is not Role.BACKGROUND]
        numbers[split, "frames"] += 1
        numbers[split, "background"] += not own
        numbers[split, "unlabelled"] += frame.unlabelled > 0
        numbers[split, "instances"] += len(own)
        for label in frame.labels:
            key = (label.role, label.name, split)
            instances[key] += 1
            objects.setdefault(key, set()).add(label.item_id)
    order = {role: place for place, role in enumerate(Role)}
    classes = sorted(instances, key=lambda key: (order[key[0]], key[1] or "", list(Split).index(key[2])))
    return Counts(
        tuple(
            SplitCount(
                split,
                len(drives[split]),
                *(numbers[split, what] for what in ("frames", "background", "unlabelled", "instances")),
            )
            for split in Split
        ),
        tuple(
            ClassCount(name, role, split, instances[role, name, split], len(objects[role, name, split]))
            for role, name, split in classes
        ),
    )


@dataclass(frozen=True, slots=True)
class Placed:
    """Where the picture of a frame is: in the file ``path``, which it may share with others; ``blurred`` counts the
    places that are unrecognisable in it."""

    frame_id: str
    path: str
    sha256: str
    size: int
    copied: bool
    blurred: int


def frame_rows(frames: Sequence[DatasetFrame], placed: Mapping[str, Placed] | None = None) -> bytes:
    """A Parquet file with a row a frame; with where its picture is when that is known."""

    def rows() -> Iterator[dict[str, object]]:
        for frame in frames:
            row: dict[str, object] = {field.name: getattr(frame, field.name) for field in FRAMES}
            if placed is not None:
                one = asdict(placed[frame.frame_id])
                row |= {"path": one["path"], "copied": one["copied"], "blurred": one["blurred"]}
                row |= {"picture_sha256": one["sha256"], "picture_size": one["size"]}
            yield row

    return _parquet(rows(), WRITTEN if placed is not None else FRAMES)


def label_rows(frames: Iterable[DatasetFrame]) -> bytes:
    """A Parquet file with a row a label, in the order of the frames."""
    rows = (_label_row(frame.frame_id, label) for frame in frames for label in frame.labels)
    return _parquet(rows, LABELS)


def read_frames_back(frames: bytes, labels: bytes) -> tuple[DatasetFrame, ...]:
    """The frames of two such files; where their pictures are is left out."""
    by_frame: dict[str, list[Label]] = {}
    for row in _rows(labels):
        by_frame.setdefault(row["frame_id"], []).append(
            Label(
                item_id=row["item_id"],
                role=Role(row["role"]),
                name=row["name"],
                suggested=row["suggested"],
                verdict=Verdict(row["verdict"]),
                reviewer=row["reviewer"],
                decided_at=row["decided_at"],
                agreement=row["agreement"],
                scan_id=row["scan_id"],
                track_id=row["track_id"],
                box=Box(row["bbox_x"], row["bbox_y"], row["bbox_width"], row["bbox_height"]),
                area=row["area"],
                mask_rle=row["mask_rle"],
                score=row["score"],
                mask_origin=row.get("mask_origin") or "scan",
            )
        )
    return tuple(
        DatasetFrame(
            **(row | {"split": Split(row["split"]), "labels": tuple(by_frame.get(row["frame_id"], ()))}),
        )
        for row in _rows(frames, FRAMES.names)
    )


def _label_row(frame_id: str, label: Label) -> dict[str, object]:
    box = label.box
    return {
        "frame_id": frame_id,
        "bbox_x": box.x,
        "bbox_y": box.y,
        "bbox_width": box.width,
        "bbox_height": box.height,
        **{
            field.name: getattr(label, field.name)
            for field in LABELS
            if field.name != "frame_id" and not field.name.startswith("bbox")
        },
    }


def _parquet(rows: Iterable[dict[str, object]], schema: pa.Schema) -> bytes:
    buffer = io.BytesIO()
    plain = [field.name for field in schema if field.name != "mask_rle"]
    with pq.ParquetWriter(buffer, schema, compression="zstd", use_dictionary=plain, write_statistics=plain) as writer:
        batch: list[dict[str, object]] = []
        for row in rows:
            batch.append(row)
            if len(batch) == _BATCH:
                writer.write_table(pa.Table.from_pylist(batch, schema=schema))
                batch = []
        if batch:
            writer.write_table(pa.Table.from_pylist(batch, schema=schema))
    return buffer.getvalue()


def _rows(data: bytes, columns: list[str] | None = None) -> Iterator[dict[str, Any]]:
    for batch in pq.ParquetFile(io.BytesIO(data)).iter_batches(_BATCH, columns=columns):
        yield from batch.to_pylist()
