"""What mining must know of the items that are in the queue already."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from schemas.review import Box, QueuedItem, State
from tasks.mining.candidates import Candidates
from tasks.tables.embeddings import Vectors

_SAME_SPOT = 0.5  # IoU of the boxes on one frame from which two scans mean one object


@dataclass(frozen=True, slots=True)
class Seen:
    """An item that stands for itself: where its object was seen, by frame, and whether a person judged it."""

    item_id: str
    scan_id: str
    boxes: Mapping[int, Box]
    judged: bool
    drawn_at_random: bool


@dataclass(frozen=True, slots=True)
class Past:
    """The items of a queue, pictures aside.

    The arrays, of length P, are of those whose embeddings can be compared: ``vectors`` (P, D) float16 of length 1,
    ``originals`` the id of the item that stands for each, ``names``, ``places`` (latitude, longitude; NaN where
    unknown), ``clusters``, and ``objects``, False where a person said that it is nothing.

    ``unmet`` is the probability that no object of the queue has this name: 0 where a person gave it, 1 for any other.
    """

    item_ids: frozenset[str]
    by_source: Mapping[str, list[Seen]]
    vectors: Vectors
    originals: tuple[str, ...]
    names: npt.NDArray[np.object_]
    places: npt.NDArray[np.float64]
    clusters: tuple[str | None, ...]
    objects: npt.NDArray[np.bool_]
    unmet: Mapping[str, float]


def remember(items: Iterable[QueuedItem], scan_ids: Iterable[str], dimension: int) -> Past:
    """Go through the items of a queue one by one, so that their pictures never pile up.

    The embeddings of items of other scans than ``scan_ids``, another model's, are left aside.
    """
    comparable = frozenset(scan_ids)
    item_ids: list[str] = []
    by_source: dict[str, list[Seen]] = defaultdict(list)
    vectors: list[Vectors] = []
    originals: list[str] = []
    names: list[str] = []
    places: list[tuple[float | None, float | None]] = []
    clusters: list[str | None] = []
    objects: list[bool] = []
    unmet: dict[str, float] = {}
    for queued in items:
        item, status = queued.item, queued.status
        item_ids.append(item.item_id)
        judged = status.state in (State.DECIDED, State.EXPORTED)
        if status.name is not None:
            unmet[status.name] = 0.0
        elif not judged:
            for guess in item.names:
                unmet[guess.name] = unmet.get(guess.name, 1.0) * (1 - guess.score)
        if status.state is not State.DUPLICATE:
            boxes = {frame.frame_index: frame.box for frame in item.track} | {item.frame_index: item.box}
            by_source[item.source_uri].append(Seen(item.item_id, item.scan_id, boxes, judged, item.drawn_at_random))
        if item.embedding and item.scan_id in comparable and len(item.embedding) == 2 * dimension:
            vector = np.frombuffer(item.embedding, "<f2").astype(np.float32)
            vectors.append((vector / max(float(np.linalg.norm(vector)), 1e-12)).astype(np.float16))
            originals.append(status.duplicate_of or item.item_id)
            names.append(status.name or item.name)
            places.append((item.latitude, item.longitude))
            clusters.append(item.cluster)
            objects.append(not judged or status.name is not None)
    return Past(
        item_ids=frozenset(item_ids),
        by_source=by_source,
        vectors=np.stack(vectors) if vectors else np.zeros((0, dimension), np.float16),
        originals=tuple(originals),
        names=np.array(names, np.object_),
        places=np.array(places, np.float64).reshape(-1, 2),
        clusters=tuple(clusters),
        objects=np.array(objects, np.bool_),
        unmet=unmet,
    )


def find_older(candidates: Candidates, past: Past) -> dict[int, tuple[Seen, ...]]:
    """By candidate, the items of older scans that show its object: a box of theirs on one of its frames overlaps."""
    older: dict[int, tuple[Seen, ...]] = {}
    sources = candidates.rows["source_uri"].take(candidates.best).to_pylist() if past.by_source else []
    for candidate, source in enumerate(sources):
        if source not in past.by_source:
            continue
        scan_id = candidates.row(candidate).scan_id
        items = [seen for seen in past.by_source[source] if seen.scan_id != scan_id]
        if not items:
            continue
        track = candidates.track(candidate)
        same = tuple(
            seen
            for seen in items
            if any(
                frame.frame_index in seen.boxes and _iou(frame.box, seen.boxes[frame.frame_index]) >= _SAME_SPOT
                for frame in track
            )
        )
        if same:
            older[candidate] = same
    return older


def _iou(one: Box, other: Box) -> float:
    width = min(one.x + one.width, other.x + other.width) - max(one.x, other.x)
    height = min(one.y + one.height, other.y + other.height) - max(one.y, other.y)
    shared = max(width, 0) * max(height, 0)
    return shared / (one.width * one.height + other.width * other.height - shared)
