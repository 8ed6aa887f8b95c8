"""Make rows of the tables from what the method found; the sightings of an object vote on one name for all of them."""

import hashlib
import math
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date
from itertools import groupby

import cv2
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from clipomaly_core.object_tracks import Sighting, link
from clipomaly_core.types import UNKNOWN_NAME, FrameResult, NameScore
from schemas.records import FrameStatus, Source
from schemas.tables import Table, written_schema
from tasks.footage.frames import Frame, Position
from tasks.masks import encode_mask

_LEFT_OUT = 0.5
"""Probability of a name that is not among the five of a sighting, as a share of the least of them."""
_SHARP = 100.0
"""Variance of the Laplacian at which a sighting counts half as much as a perfectly sharp one."""
_NAMELESS = ("distance", "known")
"""Reasons of sightings that say that no name is right."""


@dataclass(frozen=True, slots=True)
class Vote:
    """One sighting: its best names with their probabilities, how much it counts (above 0), and why it has no clear
    name (``None`` where it has one)."""

    names: tuple[NameScore, ...]
    weight: float
    reason: str | None


@dataclass(frozen=True, slots=True)
class TrackName:
    """The name of a track, "unknown object" if none is clear, and the probability of the best name."""

    name: str
    score: float


def track_name(votes: Sequence[Vote], margin: float) -> TrackName | None:
    """Mean of the log-probabilities of each name over the sightings of a track, by weight.

    Args:
        votes: of all sightings.
        margin: least difference between the probabilities of the best two names.

    Returns:
        ``None`` where no sighting has a name to vote for. "unknown object" where the best two are too close, or where
        sightings with half of the weight are far from every name, or nearer to a known class.
    """
    voting = [vote for vote in votes if vote.names]
    names = sorted({name.name for vote in voting for name in vote.names})
    if not names:
        return None
    weights = np.array([vote.weight for vote in voting])
    logs = np.array([_log_probabilities(vote, names) for vote in voting])
    mean = (weights[:, None] * logs).sum(0) / weights.sum()
    probability = np.exp(mean - mean.max())
    probability /= probability.sum()
    order = np.argsort(-probability, kind="stable")
    best = float(probability[order[0]])
    second = float(probability[order[1]]) if len(order) > 1 else 0.0
    far = sum(vote.weight for vote in voting if vote.reason in _NAMELESS)
    clear = best - second >= margin and far < weights.sum() / 2
    # Names that no sighting had among its five had a share, too: the best name gets no more than it had on average.
    score = min(best, float(np.exp(mean[order[0]])))
    return TrackName(names[order[0]] if clear else UNKNOWN_NAME, score)


def sighting_weight(image: npt.NDArray[np.uint8], bbox: tuple[int, int, int, int], area: int) -> float:
    """How much a sighting counts: the root of its area, less where it is blurred.

    Args:
        image: (H, W, 3) uint8 RGB, the frame.
        bbox: (x, y, width, height) in pixels.
        area: of the mask, in pixels.
    """
    x, y, width, height = bbox
    grey = cv2.cvtColor(image[y : y + height, x : x + width], cv2.COLOR_RGB2GRAY)
    sharpness = float(cv2.Laplacian(grey, cv2.CV_32F).var())
    return math.sqrt(area) * (0.1 + sharpness / (sharpness + _SHARP))


def _log_probabilities(vote: Vote, names: Sequence[str]) -> list[float]:
    given = {name.name: name.score for name in vote.names}
    rest = _LEFT_OUT * min(given.values())
    return [math.log(max(given.get(name, rest), 1e-6)) for name in names]


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
