"""Decisions in the form that promotion needs."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from clipomaly_core.types import UNKNOWN_NAME
from schemas.review import QueuedItem, ReviewItem, Verdict
from tasks.mining.neighbours import Distances, learn_distances
from tasks.tables import Tables
from tasks.tables.embeddings import sample_vectors
from tasks.vocabularies.sightings import Sightings


@dataclass(frozen=True, slots=True)
class Space:
    """Where a scan's embeddings lie: the SHA-256 of the weights that made them, and what is far apart among them."""

    model: str
    distances: Distances


def read_spaces(tables: Tables) -> dict[str, Space]:
    """The space of each scan of the tables, by scan_id; the scans of one model share the newest one's distances."""
    distances: dict[str, Distances] = {}
    spaces = {}
    for scan in reversed(tables.scans()):
        if scan.weights_sha256 not in distances:
            distances[scan.weights_sha256] = learn_distances(sample_vectors(tables, scan))
        spaces[scan.scan_id] = Space(scan.weights_sha256, distances[scan.weights_sha256])
    return spaces


@dataclass(frozen=True, slots=True)
class Judged:
    """What promotion needs of a judged item. ``best`` is what it would have been called, had its name been clear;
    ``duplicate`` says that the verdict is that of the item which stands for it; ``sightings`` are the embeddings of all
    sightings of the object, as far as they are known."""

    verdict: Verdict
    name: str | None
    suggested: str
    best: str
    space: Space | None
    embedding: bytes | None
    item_id: str = ""
    duplicate: bool = False
    sightings: tuple[bytes, ...] = ()


def unit_vector(embedding: bytes) -> npt.NDArray[np.float32]:
    """An embedding, little-endian float16, at length 1: (D,) float32."""
    vector = np.frombuffer(embedding, "<f2").astype(np.float32)
    return np.asarray(vector / max(float(np.linalg.norm(vector)), 1e-12), np.float32)


def read_verdicts(
    items: Iterable[QueuedItem], spaces: Mapping[str, Space], sightings: Sightings
) -> tuple[list[Judged], list[Judged]]:
    """What was judged, and the duplicates of that."""
    verdicts: dict[str, tuple[Verdict, str | None]] = {}
    points: dict[str, str] = {}
    judged: list[Judged] = []
    waiting: list[tuple[str, ReviewItem]] = []
    for queued in items:
        item, status = queued.item, queued.status
        if status.duplicate_of is not None:
            points[item.item_id] = status.duplicate_of
            waiting.append((item.item_id, replace(item, mask_rle=b"", track=())))
        elif status.verdict is not None:
            verdicts[item.item_id] = status.verdict, status.name
            judged.append(_judged(item, status.verdict, status.name, spaces, sightings))
    duplicates = []
    for item_id, item in waiting:
        while item_id in points:
            item_id = points[item_id]
        if item_id in verdicts and verdicts[item_id][0] is not Verdict.UNSURE:
            duplicates.append(replace(_judged(item, *verdicts[item_id], spaces, sightings), duplicate=True))
    return judged, duplicates


def _judged(
    item: ReviewItem, verdict: Verdict, name: str | None, spaces: Mapping[str, Space], sightings: Sightings
) -> Judged:
    own = (item.embedding,) if item.embedding else ()
    return Judged(
        verdict,
        name,
        item.name,
        _best(item),
        spaces.get(item.scan_id),
        item.embedding,
        item.item_id,
        sightings=sightings.get(item.track_id or "", own),
    )


def _best(item: ReviewItem) -> str:
    return item.names[0].name if item.name == UNKNOWN_NAME and item.names else item.name
