"""The points of the map of finds, as the page draws them."""

import gzip
import json
from collections import Counter
from functools import partial

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel

from review.queue import Queue
from review.web.api import ERRORS
from review.web.site import Signed, TheSite
from schemas.review import Verdict

map_api = APIRouter(responses=ERRORS)

_SIDE = 65_535  # the larger side of the map, in the whole numbers that are sent


class MapAnswer(BaseModel):
    """The map of finds: a column for each fact, a row for each item, highest rank first.

    ``x`` and ``y`` are from 0 to 65535. ``name`` and ``verdict`` are places in ``names`` and ``verdicts``. ``names``
    are in order of their frequency; null is the name of what has none, and the verdict of what nobody judged.
    """

    items: list[str]
    x: list[int]
    y: list[int]
    name: list[int]
    names: list[str | None]
    verdict: list[int]
    verdicts: list[Verdict | None]
    without_place: int


@map_api.get("/api/map", response_class=Response, responses={200: {"model": MapAnswer}})
def finds_map(request: Request, site: TheSite, session: Signed) -> Response:
    """Where each item lies among its look-alikes, with its name and verdict."""
    packed = site.finds_map(partial(_packed, site.queue))
    if "gzip" in request.headers.get("accept-encoding", ""):
        return Response(packed, media_type="application/json", headers={"Content-Encoding": "gzip"})
    return Response(gzip.decompress(packed), media_type="application/json")


def _packed(queue: Queue) -> bytes:
    """A ``MapAnswer`` in gzip. Written column by column: one call for 100,000 items would keep all others waiting."""
    found = queue.finds_map()
    points = found.points
    names = [name for name, _ in Counter(point.name for point in points).most_common()]
    verdicts: list[Verdict | None] = [None, *Verdict]
    of_name = {name: place for place, name in enumerate(names)}
    of_verdict = {verdict: place for place, verdict in enumerate(verdicts)}
    left, top = min((point.x for point in points), default=0.0), min((point.y for point in points), default=0.0)
    right, bottom = max((point.x for point in points), default=0.0), max((point.y for point in points), default=0.0)
    scale = _SIDE / max(right - left, bottom - top, 1e-9)
    columns = {
        "items": [point.item_id for point in points],
        "x": [int((point.x - left) * scale) for point in points],
        "y": [int((point.y - top) * scale) for point in points],
        "name": [of_name[point.name] for point in points],
        "names": names,
        "verdict": [of_verdict[point.verdict] for point in points],
        "verdicts": verdicts,
        "without_place": found.without_place,
    }
    parts = [f"{json.dumps(key)}:{json.dumps(column, separators=(',', ':'))}" for key, column in columns.items()]
    return gzip.compress(f"{{{','.join(parts)}}}".encode(), 1)
