"""Frames and labels of a dataset as Parquet, and back."""

import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from schemas.dataset import FRAMES, LABELS, WRITTEN, DatasetFrame, Label, Role, Split
from schemas.review import Box, Verdict

_BATCH = 10_000


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
