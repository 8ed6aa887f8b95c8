"""The map of finds: where each item lies among its look-alikes."""

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import Connection, delete, func, insert, select

from review.tables import contents, items, places
from schemas.review import UNKNOWN_NAME, State, Verdict

_AT_ONCE = 2_000  # embeddings


@dataclass(frozen=True, slots=True)
class Embedded:
    """The embedding of an item, little-endian float16, and its place on the map of ``weights``, if it has one."""

    item_id: str
    scan_id: str
    embedding: bytes
    weights: str | None
    place: tuple[float, float] | None


@dataclass(frozen=True, slots=True)
class MapPoint:
    """An item on the map. ``name`` is the name that a person gave, or else the suggested one; None if there is none.
    ``verdict`` is None as long as nobody judged it."""

    item_id: str
    x: float
    y: float
    name: str | None
    verdict: Verdict | None


@dataclass(frozen=True, slots=True)
class FindsMap:
    """The items that have a place, highest rank first, and how many have none. Duplicates are left out."""

    points: tuple[MapPoint, ...]
    without_place: int


def embeddings_after(connection: Connection, after: str) -> list[Embedded]:
    """The next embeddings in order of the items' ids; none where these were the last."""
    query = (
        select(items.c.item_id, contents.c.scan_id, contents.c.embedding, places.c.weights, places.c.x, places.c.y)
        .join(contents, contents.c.item_id == items.c.item_id)
        .outerjoin(places, places.c.item_id == items.c.item_id)
        .where(items.c.item_id > after, items.c.state != State.DUPLICATE, contents.c.embedding.is_not(None))
        .order_by(items.c.item_id)
        .limit(_AT_ONCE)
    )
    return [
        Embedded(item_id, scan_id, bytes(embedding), weights, None if weights is None else (x, y))
        for item_id, scan_id, embedding, weights, x, y in connection.execute(query)
    ]


def replace_places(connection: Connection, weights: str, found: Mapping[str, tuple[float, float]]) -> None:
    """Write all places; see ``Queue.set_places``."""
    connection.execute(delete(places))
    there = set(connection.scalars(select(items.c.item_id)))  # some may have been forgotten meanwhile
    rows = [
        {"item_id": item_id, "weights": weights, "x": x, "y": y}
        for item_id, (x, y) in found.items()
        if item_id in there
    ]
    if rows:
        connection.execute(insert(places), rows)


def read_map(connection: Connection) -> FindsMap:
    """The map as it is now; see ``Queue.finds_map``."""
    on_map = items.c.state != State.DUPLICATE
    query = (
        select(items.c.item_id, places.c.x, places.c.y, items.c.name, items.c.verdict, items.c.decided_name)
        .join(places, places.c.item_id == items.c.item_id)
        .where(on_map)
        .order_by(items.c.rank.desc(), items.c.item_id)
    )
    verdicts = {verdict.value: verdict for verdict in Verdict}
    points = tuple(
        MapPoint(
            item_id,
            x,
            y,
            decided or (None if name == UNKNOWN_NAME else name),
            verdicts[verdict] if verdict else None,
        )
        for item_id, x, y, name, verdict, decided in connection.execute(query)
    )
    everything = connection.scalar(select(func.count()).select_from(items).where(on_map)) or 0
    return FindsMap(points, everything - len(points))
