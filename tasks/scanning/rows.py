"""Make rows of the tables from what the method found."""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date
from itertools import groupby

import numpy as np
import pyarrow as pa

from clipomaly_core.object_tracks import Sighting, link
from clipomaly_core.types import FrameResult
from schemas.records import FrameStatus, Source
from schemas.tables import Table, written_schema
from tasks.footage.frames import Frame
from tasks.footage.positions import Position
from tasks.masks import encode_mask
from tasks.scanning.track_names import Vote, sighting_weight, track_name

Row = dict[str, object]
Key = tuple[str, int, int]  # source, frame and number in it: the order of rows


def instance_id(scan_id: str, source: Source, frame_index: int, ordinal: int) -> str:
    """20 hex digits of a SHA-256: the same instance always has the same id."""
    facts = "\0".join((scan_id, source.uri, source.etag, str(frame_index), str(ordinal)))
    return hashlib.sha256(facts.encode()).hexdigest()[:20]


@dataclass(slots=True)
class ShardRows:
    """Collects the rows of a shard until all are there and can be sorted. ``margin`` is the option of the method, for
    the names of tracks."""

    scan_id: str
    embedding_dimension: int
    margin: float = 0.05
    names: Counter[str] = field(default_factory=Counter)
    _rows: dict[Table, list[tuple[date, Key, Row]]] = field(default_factory=lambda: {table: [] for table in Table})
    _sightings: list[tuple[Key, Sighting, Row, Vote]] = field(default_factory=list)

    def add(self, source: Source, frame: Frame, position: Position | None, result: FrameResult | None) -> int:
        """Take in a frame with the car's position and what was found (None when the frame could not be read):
        number of instances."""
        where: Row = {
            "source_uri": source.uri,
            "drive": source.drive,
            "frame_index": frame.index,
            "timestamp": frame.timestamp,
            "timestamp_source": frame.timestamp_source.value,
            "latitude": position.latitude if position else None,
            "longitude": position.longitude if position else None,
            "camera": frame.camera,
        }
        instances = result.instances if result else ()
        day = frame.timestamp.astimezone(UTC).date()
        self._rows[Table.FRAMES].append((day, (source.uri, frame.index, 0), where | _frame_columns(frame, result)))
        for ordinal, found in enumerate(instances):
            key = (source.uri, frame.index, ordinal)
            identity = instance_id(self.scan_id, source, frame.index, ordinal)
            height, width = found.mask.shape
            x, y, box_width, box_height = found.bbox
            row: Row = where | {
                "instance_id": identity,
                "name": found.name,
                "name_score": found.name_score,
                "names": [{"name": name.name, "score": name.score} for name in found.names],
                "name_source": found.name_source,
                "name_reason": found.name_reason,
                "anomaly_score": found.score,
                "anomaly_score_max": found.score_max,
                "bbox_x": x,
                "bbox_y": y,
                "bbox_width": box_width,
                "bbox_height": box_height,
                "area": found.area,
                "frame_height": height,
                "frame_width": width,
                "mask_rle": encode_mask(found.mask),
            }
            self._rows[Table.INSTANCES].append((day, key, row))
            embedding = found.embedding.astype(np.float16)
            self._rows[Table.EMBEDDINGS].append((day, key, {"instance_id": identity, "embedding": embedding}))
            sighting = Sighting(frame.index, frame.timestamp, found.bbox, (height, width), found.name, embedding)
            weight = 1.0 if frame.image is None else sighting_weight(frame.image, found.bbox, found.area)
            self._sightings.append((key, sighting, row, Vote(found.names, weight, found.name_reason)))
            self.names[found.name] += 1
        return len(instances)

    def tables(self) -> Iterator[tuple[Table, date, pa.Table]]:
        """Each table of each capture day, rows sorted by source, frame and instance, instances linked into tracks.

        Every day that has a frame has all three, so that a glob over any of them finds a file.
        """
        self._link()
        days = sorted({day for day, _, _ in self._rows[Table.FRAMES]})
        for table in Table:
            schema = written_schema(table, self.embedding_dimension)
            by_day: dict[date, list[Row]] = {day: [] for day in days}
            for day, _, row in sorted(self._rows[table], key=lambda item: item[:2]):
                by_day[day].append(row)
            for day, rows in by_day.items():
                yield table, day, pa.Table.from_pylist(rows, schema=schema)

    def _link(self) -> None:
        """Give the instances of one object one ``track_id``, the ``instance_id`` of the first, and one name."""
        self._sightings.sort(key=lambda item: (_camera(item), item[0]))
        for _, group in groupby(self._sightings, key=_camera):
            seen = list(group)
            firsts = link([sighting for _, sighting, _, _ in seen])
            votes: defaultdict[int, list[Vote]] = defaultdict(list)
            for (_, _, _, vote), first in zip(seen, firsts, strict=True):
                votes[first].append(vote)
            names = {first: track_name(own, self.margin) for first, own in votes.items()}
            for (_, _, row, _), first in zip(seen, firsts, strict=True):
                name = names[first]
                row["track_id"] = seen[first][2]["instance_id"]
                row["track_name"] = name and name.name
                row["track_name_score"] = name and name.score


def _camera(sighting: tuple[Key, Sighting, Row, Vote]) -> tuple[str, str]:
    """The source, and the camera in it."""
    key, _, row, _ = sighting
    return key[0], str(row["camera"] or "")


def _frame_columns(frame: Frame, result: FrameResult | None) -> Row:
    if frame.image is None or result is None:
        return {
            "frame_height": None,
            "frame_width": None,
            "status": FrameStatus.FAILED.value,
            "error": frame.error,
            "instance_count": 0,
            "anomaly_fraction": None,
            "anomaly_score_max": None,
        }
    height, width = frame.image.shape[:2]
    return {
        "frame_height": height,
        "frame_width": width,
        "status": FrameStatus.OK.value,
        "error": None,
        "instance_count": len(result.instances),
        # The decision of the method: the pixels that have a name outside of the known classes.
        "anomaly_fraction": float(np.mean(result.labels >= result.known_classes)),
        "anomaly_score_max": float(result.anomaly_score.max()),
    }
