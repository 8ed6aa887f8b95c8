"""The map of finds: mining gives every item of the queue a place among its look-alikes."""

from collections.abc import Collection

import numpy as np

from review.queue import Queue
from schemas.records import ScanRecord
from tasks.mining.places import place


def draw_map(queue: Queue, scans: Collection[ScanRecord]) -> int:
    """Draw the map of the items whose embeddings are of the model of ``scans``; how many have a place.

    It stays as it is if nothing came. Raises UserError where a package is missing that it needs.
    """
    newest = [*scans][-1]
    comparable = {scan.scan_id for scan in scans}
    ids: list[str] = []
    vectors: list[np.ndarray[tuple[int], np.dtype[np.float16]]] = []
    before: list[tuple[float, float]] = []
    for embedded in queue.embeddings():
        same = embedded.weights == newest.weights_sha256
        if not (same or embedded.scan_id in comparable) or len(embedded.embedding) != 2 * newest.embedding_dimension:
            continue
        vector = np.frombuffer(embedded.embedding, "<f2").astype(np.float32)
        length = float(np.linalg.norm(vector))
        if not 0 < length < np.inf:
            continue  # also where a number is NaN
        ids.append(embedded.item_id)
        vectors.append((vector / length).astype(np.float16))
        before.append(embedded.place if same and embedded.place is not None else (np.nan, np.nan))
    known = np.array(before, np.float64).reshape(-1, 2)
    if ids and not np.isfinite(known).all():
        places = place(np.stack(vectors), known)
        queue.set_places(newest.weights_sha256, dict(zip(ids, map(tuple, places.tolist()), strict=True)))
    return len(ids)
