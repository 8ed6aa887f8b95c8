"""The tables behind the review page: similar finds, finds by words, and finds that become items."""

import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.dataset as ds

from review.errors import BadInputError
from review.finds import Find, FindsGoneError
from review.names import check_item
from review.pictures import FrameGoneError, FrameSource
from schemas.geometry import Box, window
from schemas.images import encode_jpeg, shrink_to_width
from schemas.review import ReviewItem
from tasks.errors import UserError
from tasks.mining.candidates import read_candidates
from tasks.mining.items import Lost, make_items
from tasks.mining.mine import Chosen
from tasks.model import embed_text
from tasks.model_settings import ModelSettings
from tasks.tables import Tables
from tasks.tables.search import Hit, Searchable, SearchFilters, rank, select

_MOST_SEEN = 5_000
_WIDTH = 480
_BOX = ("bbox_x", "bbox_y", "bbox_width", "bbox_height")


@dataclass(frozen=True, slots=True)
class _Place:
    """The place of an instance: source, frame and box."""

    source_uri: str
    frame_index: int
    box: Box


class TableFinds:
    """Searches tables for the review page; ``frames`` reads the pictures.

    ``weights`` is the weights file of the scan, if it used one: it embeds the words of a search.
    """

    def __init__(self, tables: str, frames: FrameSource, weights: str | None = None) -> None:
        self._tables = Tables.at(tables)
        self._frames = frames
        self._weights = weights
        self._seen: OrderedDict[str, _Place] = OrderedDict()
        self._lock = threading.Lock()

    def like(self, item: ReviewItem, count: int) -> list[Find]:
        """The objects that look most like an item. Raises FindsGoneError."""
        if not item.embedding:
            raise FindsGoneError("This item has no embedding, so nothing can be compared with it.")
        vector = np.frombuffer(item.embedding, "<f2").astype(np.float32)
        found = self._ranked(vector / max(float(np.linalg.norm(vector)), 1e-12), count + 1)
        return [find for find in found if find.item_id != item.item_id][:count]

    def search(self, text: str, count: int) -> list[Find]:
        """The objects that fit a text best. Raises FindsGoneError."""
        try:
            searchable = select(self._tables, SearchFilters())
            scan = searchable.scan
            settings = ModelSettings(scan.model, self._weights, None, "auto")
            words = embed_text(settings, scan.weights_sha256, str(scan.options.get("templates", "short")), text)
        except UserError as error:
            raise FindsGoneError(str(error)) from error
        return self._ranked(words, count, searchable)

    def picture(self, instance_id: str) -> bytes:
        """An object in its surroundings: JPEG. Raises FrameGoneError."""
        with self._lock:
            place = self._seen.get(instance_id)
        if place is None:
            raise FrameGoneError("Search again: this result has expired.")
        frame = self._frames.read(place.source_uri, place.frame_index)
        box = (place.box.x, place.box.y, place.box.width, place.box.height)
        left, top, right, bottom = window(box, frame.shape[0], frame.shape[1])
        return encode_jpeg(shrink_to_width(frame[top:bottom, left:right], _WIDTH))

    def items(self, finds: Sequence[Find], cluster: str | None) -> list[ReviewItem]:
        """These finds as items for the queue. Raises FindsGoneError."""
        cosine = {find.item_id: find.cosine for find in finds}
        wanted = pa.array([*cosine], pa.string())
        lost = Lost()
        try:
            condition = ds.field("track_id").isin(wanted) | ds.field("instance_id").isin(wanted)
            candidates = read_candidates(self._tables, condition)
            chosen = [
                Chosen(number, track, max(cosine[track], 0.0), cluster)
                for number, track in enumerate(candidates.track_ids)
                if track in cosine
            ]
            # A rank among these few would say nothing about the fleet.
            made = [
                replace(item, anomaly_percentile=None, anomaly_of=None)
                for item in make_items(self._tables, candidates, chosen, lost)
                if _is_sound(item)
            ]
        except UserError as error:
            raise FindsGoneError(str(error)) from error
        if chosen and not made:
            raise FindsGoneError(f"None of these can be shown. {lost.reason}".strip())
        return made

    def _ranked(self, vector: npt.NDArray[np.float32], count: int, searchable: Searchable | None = None) -> list[Find]:
        try:
            hits = rank(self._tables, searchable or select(self._tables, SearchFilters()), vector, count).hits
            self._remember(hits)
        except UserError as error:
            raise FindsGoneError(str(error)) from error
        return [
            Find(hit.track_id or hit.instance_id, hit.instance_id, hit.name, hit.drive, hit.timestamp, hit.score)
            for hit in hits
        ]

    def _remember(self, hits: Sequence[Hit]) -> None:
        ids = ds.field("instance_id").isin(pa.array([hit.instance_id for hit in hits], pa.string()))
        # These two identify a row group of a file; ids would not.
        days = ds.field("dt").isin(pa.array([*{hit.timestamp.astimezone(UTC).date() for hit in hits}], pa.date32()))
        sources = ds.field("source_uri").isin(pa.array([*{hit.source_uri for hit in hits}], pa.string()))
        rows = self._tables.open("instances").to_table(
            columns=["instance_id", "source_uri", "frame_index", *_BOX], filter=days & sources & ids
        )
        with self._lock:
            for row in rows.to_pylist():
                box = Box(*(row[side] for side in _BOX))
                self._seen[row["instance_id"]] = _Place(row["source_uri"], row["frame_index"], box)
            while len(self._seen) > _MOST_SEEN:
                self._seen.popitem(last=False)


def _is_sound(item: ReviewItem) -> bool:
    """Whether the queue accepts it: a refused item must not affect the others."""
    try:
        check_item(item)
    except BadInputError:
        return False
    return True
