"""The map of finds in the queue and in the API, on both databases."""

from functools import partial

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import Connection, text

from review import Queue
from review.places import MapPoint
from review.reads import Filters
from review.web.app import create_app
from schemas.review import UNKNOWN_NAME, State, Verdict
from tests.review.samples import make_item, make_items

WEIGHTS = "a" * 64


def test_the_map_has_what_mining_placed_and_counts_the_rest(queue: Queue) -> None:
    queue.enqueue([*make_items(4), make_item(4, name=UNKNOWN_NAME), make_item(5, duplicate_of="item000000")])
    queue.decide("ann", "item000001", Verdict.RELABEL, "sofa")
    queue.decide("ann", "item000002", Verdict.NOT_AN_OBJECT)
    queue.set_places(WEIGHTS, {f"item{number:06d}": (number / 2, -1.5) for number in (4, 1, 2, 5)})
    found = queue.finds_map()
    assert found.points == (
        MapPoint("item000001", 0.5, -1.5, "sofa", Verdict.RELABEL),
        MapPoint("item000002", 1.0, -1.5, "tire", Verdict.NOT_AN_OBJECT),
        MapPoint("item000004", 2.0, -1.5, None, None),
    )
    assert found.without_place == 2
    queue.set_places(WEIGHTS, {"item000000": (0.0, 0.0)})
    assert [point.item_id for point in queue.finds_map().points] == ["item000000"]


def test_mining_reads_embeddings_with_the_places_that_they_had(queue: Queue) -> None:
    queue.enqueue([make_item(0), make_item(1, embedding=None), make_item(2), make_item(3, duplicate_of="item000000")])
    queue.set_places(WEIGHTS, {"item000002": (1.0, 2.0)})
    first, second = queue.embeddings()
    assert (first.item_id, first.embedding, first.place, first.weights) == (
        "item000000", make_item(0).embedding, None, None,
    )  # fmt: skip
    assert (second.item_id, second.place, second.weights) == ("item000002", (1.0, 2.0), WEIGHTS)


def test_only_the_chosen_items_are_leased(queue: Queue) -> None:
    queue.enqueue(make_items(8))
    queue.decide("ann", "item000005", Verdict.UNSURE)
    chosen = Filters(items=("item000006", "item000005", "item000003", "gone"))
    assert [one.item.item_id for one in queue.lease("ann", chosen, 10)] == ["item000003", "item000006"]


def test_forgotten_items_leave_the_map_and_may_leave_while_it_is_drawn(queue: Queue) -> None:
    queue.enqueue(make_items(3))
    places = {f"item{number:06d}": (0.0, 0.0) for number in range(3)}
    queue.set_places(WEIGHTS, places)
    queue.forget_sources("ann", [make_item(1).source_uri])
    assert [point.item_id for point in queue.finds_map().points] == ["item000000", "item000002"]
    queue.set_places(WEIGHTS, places)
    assert [point.item_id for point in queue.finds_map().points] == ["item000000", "item000002"]


def test_a_queue_of_an_older_version_gets_a_map(url: str) -> None:
    item = make_item(0)
    with Queue.open(url) as queue:
        queue.enqueue([item])
        for statement in ("DROP TABLE places", "UPDATE alembic_version SET version_num = '0005'"):
            queue.database.write(partial(Connection.execute, statement=text(statement)))
    with Queue.open(url) as queue:
        assert queue.item(item.item_id).item == item
        assert queue.finds_map().without_place == 1
        queue.set_places(WEIGHTS, {item.item_id: (0.0, 0.0)})
        assert len(queue.finds_map().points) == 1


@pytest.mark.parametrize("packed", [True, False])
def test_the_api_sends_the_map_in_columns(queue: Queue, packed: bool) -> None:
    queue.enqueue(make_items(6))
    queue.decide("ann", "item000004", Verdict.ACCEPT)
    queue.set_places(WEIGHTS, {f"item{number:06d}": (number * 2.0, number * 1.0) for number in range(5)})
    with TestClient(create_app(queue), base_url="http://localhost") as client:
        client.get("/", headers={"Accept": "text/html"})
        answer = client.get("/api/map", headers={"Accept-Encoding": "gzip" if packed else "identity"})
        assert ("content-encoding" in answer.headers) == packed
    found = answer.json()
    assert found["items"] == [f"item{number:06d}" for number in range(5)]
    assert found["x"] == [0, 16383, 32767, 49151, 65535] and found["y"][-1] == 32767
    assert [found["names"][place] for place in found["name"]] == [
        "traffic cone", "mattress", "tire", "cardboard box", "traffic cone",
    ]  # fmt: skip
    assert [found["verdicts"][place] for place in found["verdict"]] == [None] * 4 + ["accept"]
    assert found["without_place"] == 1


def test_an_empty_queue_has_an_empty_map(queue: Queue) -> None:
    with TestClient(create_app(queue), base_url="http://localhost") as client:
        client.get("/", headers={"Accept": "text/html"})
        found = client.get("/api/map").json()
    assert found["items"] == [] and found["without_place"] == 0
    assert queue.count(states=tuple(State)) == 0
