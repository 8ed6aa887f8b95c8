"""Items of sources that were forgotten on request leave nothing but their ids."""

from pathlib import Path

import pytest
from sqlalchemy import func, select

from review import Queue, ReviewError, UnknownItemError
from review.masks import Edit, EditKind
from review.tables import contents, events, items, metadata, opinions, pictures, repaired_masks
from schemas.masks import decode_mask
from schemas.review import EventKind, State, Verdict
from tests.review.samples import make_item, make_items
from tests.review.trail import check_trail

GONE = "s3://fleet/car7/gone.mp4"


def count_rows(queue: Queue, item_id: str) -> dict[str, int]:
    def counted(connection):
        return {
            table.name: connection.scalar(select(func.count()).where(table.c.item_id == item_id))
            for table in (items, contents, pictures, repaired_masks, opinions, events)
        }

    return queue.database.read(counted)


def test_everything_of_the_items_goes(queue: Queue) -> None:
    one = make_item(0, source_uri=GONE)
    queue.enqueue([one, *make_items(5)[1:]])
    queue.decide("ann", one.item_id, Verdict.RELABEL, "garden gnome")
    queue.ask_second("ann", one.item_id)
    queue.give_opinion("bob", one.item_id, Verdict.ACCEPT)
    mask = decode_mask(one.mask_rle, one.frame_height, one.frame_width)
    row, column = (int(places[0]) for places in mask.nonzero())
    place = (column / one.frame_width, row / one.frame_height)
    queue.repair_mask("ann", one.item_id, [Edit(EditKind.KEEP, (place,))])
    assert all(count_rows(queue, one.item_id).values())
    assert queue.forget_sources("ann", [GONE, "s3://fleet/never.mp4"]) == 1
    assert not any(count_rows(queue, one.item_id).values())
    with pytest.raises(UnknownItemError):
        queue.item(one.item_id)
    assert [queued.item.item_id for queued in queue.list_items()] == [item.item_id for item in make_items(5)[1:]]
    assert queue.forget_sources("ann", [GONE]) == 0
    assert queue.enqueue([one]).unchanged == 1 and queue.count() == 4


def test_no_byte_of_them_stays_in_a_file(tmp_path: Path) -> None:
    needle = b"a very private picture" * 50  # behind the end of a JPEG, where viewers do not look
    with Queue.open(tmp_path / "queue.db") as queue:
        queue.enqueue([make_item(0, source_uri=GONE, crop_jpeg=make_item(0).crop_jpeg + needle), *make_items(30)[1:]])
        queue.forget_sources("ann", [GONE])
        stored = b"".join(path.read_bytes() for path in tmp_path.iterdir())
        assert queue.count() == 29
    assert needle[:100] not in stored and GONE.encode() not in stored


def test_a_duplicate_elsewhere_waits_to_be_judged(queue: Queue) -> None:
    first, second, third = (
        make_item(0, source_uri=GONE),
        make_item(1, duplicate_of="item000000"),
        make_item(2, source_uri=GONE, duplicate_of="item000000"),
    )
    queue.enqueue([first, second, third])
    queue.decide("ann", "item000000", Verdict.ACCEPT)
    assert queue.forget_sources("ann", [GONE]) == 2
    status = queue.item("item000001").status
    assert (status.state, status.duplicate_of) == (State.PENDING, None)
    assert queue.events("item000001")[-1].kind is EventKind.REOPENED
    check_trail(queue, "item000001")


def test_events_of_other_items_stay_as_they_are(queue: Queue) -> None:
    queue.enqueue([make_item(0, source_uri=GONE), make_item(1)])
    queue.forget_sources("ann", [GONE])
    with pytest.raises(Exception, match="append-only") as refused:
        queue.database.write(lambda connection: connection.execute(events.delete()))
    assert not isinstance(refused.value, UnknownItemError) and len(queue.events("item000001")) == 1


def test_a_name_that_is_no_reviewer_is_refused(queue: Queue) -> None:
    queue.enqueue([make_item(0, source_uri=GONE)])
    with pytest.raises(ReviewError, match="A reviewer's name"):
        queue.forget_sources("<b>", [GONE])
    assert metadata.tables["items"] is items and queue.count() == 1
