"""An index of the review queue: what mining must know of the items that it holds."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from schemas.geometry import Box, box_iou
from schemas.review import QueuedItem, State
from tasks.mining.candidates import Candidates
from tasks.tables.embeddings import Vectors

_SAME_OBJECT = 0.5  # at this IoU of their boxes on one frame or more, finds of two scans are one object


@dataclass(frozen=True, slots=True)
class Seen:
    """An item that is not a duplicate: the boxes of its object by frame, and whether a person judged it."""

    item_id: str
    scan_id: str
    boxes: Mapping[int, Box]
    judged: bool
    drawn_at_random: bool


@dataclass(frozen=True, slots=True)
class QueueIndex:
    """The items of a queue without their pictures.

    The arrays have a row for each of the P items whose embeddings can be compared: ``vectors`` (P, D) float16 of
    length 1, ``originals`` (the id of the item, or of the item that it duplicates), ``names``, ``places`` (latitude
    and longitude in degrees, NaN where unknown), ``clusters``, and ``objects``, which is False for what a person
    judged to be no object.

    ``unmet`` maps a name to the probability that no object of the queue has it: 0 if a person gave the name. Names that
    are missing here have probability 1.
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


def index_queue(items: Iterable[QueuedItem], scan_ids: Iterable[str], dimension: int) -> QueueIndex:
    """Index the items of a queue, one after the other, so that never more than one item's pictures are in memory.

    Embeddings of scans that are not in ``scan_ids`` come from another model and cannot be compared: they are left out.
    ``dimension`` is the length of the embeddings.
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
        judged = status.state.is_judged
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
    return QueueIndex(
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


def find_older(candidates: Candidates, queue: QueueIndex) -> dict[int, tuple[Seen, ...]]:
    """The items of older scans that show the object of a candidate, by candidate: their boxes overlap on some frame."""
    older: dict[int, tuple[Seen, ...]] = {}
    sources = candidates.rows["source_uri"].take(candidates.best).to_pylist() if queue.by_source else []
    for candidate, source in enumerate(sources):
        if source not in queue.by_source:
            continue
        scan_id = candidates.row(candidate).scan_id
        items = [seen for seen in queue.by_source[source] if seen.scan_id != scan_id]
        if not items:
            continue
        track = candidates.track(candidate)
        same = tuple(
            seen
            for seen in items
            if any(
                frame.frame_index in seen.boxes and box_iou(frame.box, seen.boxes[frame.frame_index]) >= _SAME_OBJECT
                for frame in track
            )
        )
        if same:
            older[candidate] = same
    return older
