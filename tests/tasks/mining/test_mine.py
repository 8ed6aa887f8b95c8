from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pytest

from schemas.review import Box, ItemStatus, NameScore, QueuedItem, ReviewItem, State, TrackFrame, Verdict
from tasks.mining.candidates import Candidates, Guesses
from tasks.mining.mine import Chosen, Mined, MiningOptions, mine
from tasks.mining.neighbours import learn_distances, nearest
from tasks.mining.queue_index import QueueIndex, index_queue

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
DIMENSION = 32
NOTHING = index_queue([], [], DIMENSION)


def kind(number: int, individual: int = 0, off: float = 0.05) -> np.ndarray:
    """The look of an individual of a kind: a unit vector, float16 (32,)."""
    base = np.random.default_rng(number).normal(size=DIMENSION)
    own = np.random.default_rng((number, individual)).normal(size=DIMENSION)
    vector = base / np.linalg.norm(base) + off * own / np.sqrt(DIMENSION)
    return (vector / np.linalg.norm(vector)).astype(np.float16)


def candidates(
    looks: Sequence[np.ndarray],
    scores: Sequence[float] | None = None,
    names: Sequence[str] | None = None,
    places: Sequence[tuple[float, float]] | None = None,
    scan_id: str = "new",
) -> Candidates:
    """One sight each, all as large, of a source of its own."""
    count = len(looks)
    scores = scores if scores is not None else [0.9] * count
    names = names if names is not None else [f"thing {number}" for number in range(count)]
    ids = [f"{scan_id}{number:04d}" for number in range(count)]
    rows = pa.table(
        {
            "instance_id": ids,
            "track_id": ids,
            "scan": [scan_id] * count,
            "source_uri": [f"file:///clips/{number}.mp4" for number in range(count)],
            "frame_index": [5] * count,
            "timestamp": [NOON] * count,
            "frame_height": [360] * count,
            "frame_width": [640] * count,
            **{f"bbox_{side}": [20] * count for side in ("x", "y", "width", "height")},
            "name": list(names),
            "latitude": [None] * count,
            "longitude": [None] * count,
        }
    )
    places_ = np.array(places if places is not None else [(np.nan, np.nan)] * count, np.float64).reshape(-1, 2)
    at = np.arange(count)
    every = sorted(set(names))
    numbers = np.array([every.index(name) for name in names], np.int64).reshape(-1, 1)
    vectors = np.stack(looks) if looks else np.zeros((0, DIMENSION), np.float16)
    return Candidates(
        (), rows, ids, at, at, np.ones(count, np.int64), np.array(scores, float), np.full(count, 0.1),
        np.array(names, np.object_), Guesses(tuple(every), numbers, np.full((count, 1), 0.9)), places_, vectors, None,
    )  # fmt: skip


def queued(item_id: str, look: np.ndarray, status: ItemStatus, scan_id: str = "old", clip: int = 0) -> QueuedItem:
    box = Box(20, 20, 20, 20)
    item = ReviewItem(
        item_id, scan_id, f"file:///clips/{clip}.mp4", "drive", 5, NOON, 360, 640, box, b"m", b"c", box,
        "thing", (NameScore("thing", 0.5),), 0.9, 1.0, None, (TrackFrame(5, NOON, box),),
        embedding=look.astype("<f2").tobytes(), cluster="flock",
    )  # fmt: skip
    return QueuedItem(item, status)


def decided(name: str | None, verdict: Verdict) -> ItemStatus:
    return ItemStatus(State.DECIDED, None, None, verdict, name, "ann", NOON + timedelta(hours=1))


def by_rank(mined: Mined) -> list[Chosen]:
    return sorted((one for one in mined.chosen if one.duplicate_of is None), key=lambda one: -one.rank)


def options(**changes: float) -> MiningOptions:
    return replace(MiningOptions(random_share=0), **changes)  # type: ignore[arg-type]


def test_different_kinds_come_before_more_of_the_same() -> None:
    common = [kind(1, individual, 0.5) for individual in range(30)]
    found = candidates(
        [*common, *(kind(number) for number in range(2, 8))], [*np.linspace(0.9, 0.99, 30), *[0.955] * 6]
    )
    mined = mine(found, NOTHING, options(count=8))
    picked = [one.candidate for one in by_rank(mined)]
    assert len(picked) == 8
    assert set(range(30, 36)) < set(picked)
    only_score = mine(found, NOTHING, options(count=8, rarity=0, novelty=0, diversity=0, same_look=0))
    assert all(one.candidate < 30 for one in by_rank(only_score))


def test_many_of_one_name_wait_for_other_names_whatever_they_look_like() -> None:
    found = candidates(
        [kind(number) for number in range(12)], np.linspace(0.99, 0.9, 12).tolist(), [*["teddy bear"] * 9, *"abc"]
    )
    weights = options(count=6, rarity=0, size=0, score=1)
    assert {0, 9, 10, 11} < {one.candidate for one in by_rank(mine(found, NOTHING, weights))}
    unsure = replace(found, guesses=replace(found.guesses, probability=np.full((12, 1), 0.05)))
    assert {one.candidate for one in by_rank(mine(unsure, NOTHING, weights))} == {0, 1, 2, 3, 4, 5}
    alike = replace(weights, diversity=0)
    assert mine(found, NOTHING, alike) == mine(unsure, NOTHING, alike)


def test_the_same_object_points_to_the_one_that_is_shown() -> None:
    found = candidates([kind(1, 0), kind(2), kind(1, 1)], [0.95, 0.9, 0.8])
    mined = mine(found, NOTHING, options(count=3))
    [duplicate] = [one for one in mined.chosen if one.duplicate_of]
    assert (duplicate.candidate, duplicate.duplicate_of) == (2, found.track_ids[0])
    assert [one.item_id for one in mined.chosen].index(found.track_ids[0]) < mined.chosen.index(duplicate)


def test_what_is_known_to_be_elsewhere_is_another_object() -> None:
    looks = [kind(1, 0), kind(1, 1), kind(2)]
    near = candidates(looks, places=[(48.1, 11.5), (48.1002, 11.5), (50, 8)])
    far = candidates(looks, places=[(48.1, 11.5), (48.2, 11.5), (50, 8)])
    assert sum(one.duplicate_of is not None for one in mine(near, NOTHING, options()).chosen) == 1
    assert sum(one.duplicate_of is not None for one in mine(far, NOTHING, options()).chosen) == 0


def test_what_the_queue_holds_is_not_new() -> None:
    found = candidates([kind(1, 1), kind(2), kind(3, 1), kind(4)])
    queue_index = index_queue(
        [
            queued("first", kind(1), decided("crate", Verdict.RELABEL), clip=100),
            queued("ghost", kind(3), decided(None, Verdict.NOT_AN_OBJECT), clip=101),
            queued(found.track_ids[3], kind(4), ItemStatus(State.PENDING), "new", 3),
        ],
        ["old", "new"],
        DIMENSION,
    )
    mined = mine(found, queue_index, options(count=10))
    assert mined.there == 1
    duplicates = {one.candidate: one.duplicate_of for one in mined.chosen if one.duplicate_of}
    assert duplicates == {0: "first"}
    # What looks like something judged to be nothing is no duplicate of an object: it comes last.
    assert [one.candidate for one in by_rank(mined)] == [1, 2]
    assert {one.candidate: one.cluster for one in mined.chosen}[2] == "flock"


def test_a_name_that_the_queue_holds_is_less_new_whatever_it_looks_like() -> None:
    found = candidates([kind(1), kind(2), kind(3)], [0.99, 0.98, 0.97], ["tyre", "crate", "cone"])
    queue_index = index_queue(
        [
            queued("a", kind(11), decided("tyre", Verdict.RELABEL), clip=100),
            queued("b", kind(12), decided(None, Verdict.NOT_AN_OBJECT), clip=101),
            queued("c", kind(13), ItemStatus(State.PENDING), clip=102),
            queued("d", kind(14), ItemStatus(State.SNOOZED), clip=103),
        ],
        ["old", "new"],
        DIMENSION,
    )
    assert queue_index.unmet == {"tyre": 0.0, "thing": 0.25}  # half of the guesses of each that nobody judged
    assert [one.candidate for one in by_rank(mine(found, queue_index, options()))] == [1, 2, 0]
    assert by_rank(mine(found, queue_index, options(novelty=0)))[0].candidate == 0


def test_a_newer_scan_takes_the_place_of_open_items_and_leaves_judged_ones() -> None:
    found = candidates([kind(1), kind(2), kind(3)], scan_id="new")
    queue_index = index_queue(
        [
            queued("open", kind(1), ItemStatus(State.PENDING), clip=0),
            queued("done", kind(2), decided("tyre", Verdict.RELABEL), clip=1),
        ],
        ["new"],
        DIMENSION,
    )
    mined = mine(found, queue_index, options(count=1))
    assert mined.judged == 1
    assert {one.candidate: one.supersedes for one in mined.chosen} == {0: ("open",), 2: ()}


def test_the_random_share_is_drawn_from_all_and_always_the_same() -> None:
    looks = [kind(number) for number in range(200)]
    found = candidates(looks, list(np.linspace(0.5, 0.99, 200)))
    first = mine(found, NOTHING, MiningOptions(count=100, random_share=0.5))
    drawn = [one.candidate for one in first.chosen if one.drawn_at_random]
    assert len(drawn) == 50 and len(by_rank(first)) == 100
    assert 60 < np.mean(drawn) < 140  # not the best, which lie above 100
    assert first == mine(found, NOTHING, MiningOptions(count=100, random_share=0.5))
    other = mine(found, NOTHING, MiningOptions(count=100, random_share=0.5, seed=1))
    assert {one.candidate for one in other.chosen if one.drawn_at_random} != set(drawn)
    # Both kinds are met at the same pace.
    half = by_rank(first)[:50]
    assert 20 <= sum(one.drawn_at_random for one in half) <= 30


@pytest.mark.parametrize("count", [0, 1])
def test_few_candidates(count: int) -> None:
    mined = mine(candidates([kind(number) for number in range(count)]), NOTHING, MiningOptions())
    assert len(mined.chosen) == mined.candidates == count


def test_neighbours_by_lists_are_those_by_comparing_all(monkeypatch: pytest.MonkeyPatch) -> None:
    vectors = np.stack([kind(number % 60, number, 0.3) for number in range(3000)])
    exact = nearest(vectors, 5)
    every = vectors.astype(np.float32) @ vectors.astype(np.float32).T
    np.fill_diagonal(every, -1)
    assert np.allclose(exact, -np.sort(-every, axis=1)[:, :5], atol=2e-3)
    monkeypatch.setattr("tasks.mining.neighbours._EXACT", 100)
    assert np.mean(np.abs(nearest(vectors, 5) - exact) < 0.02) > 0.95
    assert nearest(vectors[:3], 5)[0, 2:].tolist() == [-1, -1, -1]


def test_the_usual_distance_is_that_of_strangers() -> None:
    strangers = np.stack([kind(number) for number in range(100)])
    assert learn_distances(strangers).usual == pytest.approx(1.1, abs=0.1)
    shifted = strangers.astype(np.float32) + 0.5
    shifted /= np.linalg.norm(shifted, axis=1, keepdims=True)
    narrow = learn_distances(shifted.astype(np.float16))
    assert narrow.usual < 0.4
    assert narrow.of(np.array([1.0, 1 - narrow.usual, -1.0])).tolist() == pytest.approx([0, 1, 1], abs=1e-5)


def test_embeddings_of_another_model_are_left_aside() -> None:
    queue_index: QueueIndex = index_queue([queued("other", kind(1), ItemStatus(State.PENDING))], ["new"], DIMENSION)
    assert len(queue_index.vectors) == 0 and queue_index.item_ids == {"other"}
