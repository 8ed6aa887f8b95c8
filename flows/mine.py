"""Mining: choose the finds that a reviewer should see next, among those that the queue does not hold yet, and draw the
map of those that it holds."""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from review.errors import BadInputError
from review.names import check_item
from review.queue import Enqueued, Queue
from schemas.records import ScanRecord
from schemas.review import ReviewItem, State
from tasks.errors import UserError
from tasks.mining.candidates import read_candidates
from tasks.mining.items import Lost, make_items
from tasks.mining.mine import MiningOptions, mine
from tasks.mining.neighbours import place
from tasks.mining.queue_index import index_queue
from tasks.tables import Tables


@dataclass(frozen=True, slots=True)
class MiningSummary:
    """What mining did. ``lost`` items could not be read from the archive; ``reason`` is that of the first.

    ``candidates`` objects are in the tables, ``there`` of them were in the queue and ``judged`` were judged as items of
    an older scan. ``warning`` is about finds that cannot be compared. ``on_map`` items of the queue have a place on the
    map of finds; ``no_map`` is a line that says why it could not be drawn.
    """

    candidates: int
    there: int
    judged: int
    enqueued: Enqueued
    lost: int
    reason: str
    warning: str | None
    on_map: int = 0
    no_map: str | None = None


def run_mine(tables: str, queue_url: str, options: MiningOptions) -> MiningSummary:
    """Mine the tables into the queue, which is created if missing; what ``clipomaly mine`` does.

    Raises:
        UserError: no tables, no embeddings, or no chosen item can be read from the archive.
        ReviewError: a queue that cannot be opened or written.
    """
    candidates = read_candidates(Tables.at(tables))
    newest = candidates.scans[-1]
    lost = Lost()
    with Queue.open(queue_url) as queue:
        queue_index = index_queue(
            queue.walk(tuple(State), with_pictures=False),
            [scan.scan_id for scan in candidates.scans],
            newest.embedding_dimension,
        )
        mined = mine(candidates, queue_index, options)
        queue.set_vocabulary(newest.vocabulary[: newest.known_classes], newest.vocabulary[newest.known_classes :])
        enqueued = queue.enqueue(_checked(make_items(Tables.at(tables), candidates, mined.chosen, lost), lost))
        if lost.count and lost.count == len(mined.chosen):
            raise UserError(
                f"None of the {lost.count} chosen finds can be shown, nothing was handed in. {lost.reason} "
                "Bring the archive back to where it was scanned, then mine again."
            )
        on_map, no_map = 0, None
        try:
            on_map = draw_map(queue, candidates.scans)
        except UserError as error:
            no_map = str(error)
    return MiningSummary(
        mined.candidates,
        mined.there,
        mined.judged,
        enqueued,
        lost.count,
        lost.reason,
        candidates.warning,
        on_map,
        no_map,
    )


def _checked(items: Iterable[ReviewItem], lost: Lost) -> Iterator[ReviewItem]:
    """Those that the queue accepts: a refused item must not affect the others."""
    for item in items:
        try:
            check_item(item)
        except BadInputError as error:
            lost.add(item.item_id, str(error))
        else:
            yield item


def draw_map(queue: Queue, scans: Collection[ScanRecord]) -> int:
    """Draw the map of finds: a place among its look-alikes for each item whose embedding is of the model of ``scans``.

    Returns how many items have a place.

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
