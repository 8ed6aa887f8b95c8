"""Repairing masks: each step alone, what is refused, and what becomes of a repaired mask."""

import numpy as np
import pytest

from review import BadInputError, Queue, UnknownItemError
from review.mask_edits import apply_edits
from review.masks import Edit, EditKind
from schemas.masks import decode_mask, encode_mask
from schemas.review import EventKind, MaskState, ReviewItem
from tests.review.samples import HEIGHT, WIDTH, make_item, make_items, scene
from tests.review.trail import check_trail

ITEM = make_item(1)
VIEW = ITEM.crop_box
TRUTH = scene("mattress", 1).mask


def place(x: int, y: int) -> tuple[float, float]:
    """A pixel of the frame as a place in the crop."""
    return (x - VIEW.x) / (VIEW.width - 1), (y - VIEW.y) / (VIEW.height - 1)


def with_speck() -> tuple[ReviewItem, np.ndarray]:
    """The true mask and a speck in the crop's upper left corner, which the scan took for a part of it."""
    speck = np.zeros_like(TRUTH)
    speck[VIEW.y + 2 : VIEW.y + 8, VIEW.x + 2 : VIEW.x + 8] = True
    return make_item(1, mask_rle=encode_mask(TRUTH | speck)), speck


def repaired(item: ReviewItem, *edits: Edit) -> np.ndarray:
    return apply_edits(item, item.mask_rle, edits)


def test_a_part_is_kept_or_dropped() -> None:
    item, speck = with_speck()
    inside = place(ITEM.box.x + ITEM.box.width // 2, ITEM.box.y + ITEM.box.height // 2)
    corner = place(VIEW.x + 4, VIEW.y + 4)
    assert np.array_equal(repaired(item, Edit(EditKind.KEEP, (inside,))), TRUTH)
    assert np.array_equal(repaired(item, Edit(EditKind.DROP, (corner,))), TRUTH)
    assert np.array_equal(repaired(item, Edit(EditKind.KEEP, (corner,))), speck)


def test_a_lasso_adds_and_an_eraser_takes_away() -> None:
    square = ((0.0, 0.0), (0.1, 0.0), (0.1, 0.1), (0.0, 0.1))
    added = repaired(ITEM, Edit(EditKind.LASSO, square))
    assert added[VIEW.y : VIEW.y + 5, VIEW.x : VIEW.x + 5].all() and (added & TRUTH).sum() == TRUTH.sum()
    assert np.array_equal(repaired(ITEM, Edit(EditKind.LASSO, square), Edit(EditKind.ERASE, square)), TRUTH)


def test_grown_masks_hold_the_old_and_shrunk_ones_lie_within() -> None:
    grown, shrunk = repaired(ITEM, Edit(EditKind.GROW)), repaired(ITEM, Edit(EditKind.SHRINK))
    assert TRUTH[grown].sum() == TRUTH.sum() and grown.sum() > TRUTH.sum()
    assert TRUTH[shrunk].all() and 0 < shrunk.sum() < TRUTH.sum()


@pytest.mark.parametrize("kind", [EditKind.BOX, EditKind.SNAP])
def test_a_box_and_snapping_find_the_objects_edge(kind: EditKind) -> None:
    box = ITEM.box
    if kind is EditKind.BOX:
        start = ITEM
        corners = (place(box.x - 6, box.y - 6), place(box.x + box.width + 6, box.y + box.height + 6))
        found = repaired(start, Edit(kind, corners))
    else:
        rough = make_item(1, mask_rle=encode_mask(repaired(ITEM, Edit(EditKind.GROW), Edit(EditKind.GROW))))
        found = repaired(rough, Edit(kind))
        assert iou(found, TRUTH) > iou(decode_mask(rough.mask_rle, HEIGHT, WIDTH), TRUTH)
    assert iou(found, TRUTH) > 0.8


def iou(one: np.ndarray, other: np.ndarray) -> float:
    return float((one & other).sum() / (one | other).sum())


def test_the_same_steps_give_the_same_mask() -> None:
    assert np.array_equal(repaired(ITEM, Edit(EditKind.SNAP)), repaired(ITEM, Edit(EditKind.SNAP)))


@pytest.mark.parametrize(
    ("edits", "words"),
    [
        ([], "1 to 50 steps"),
        ([Edit(EditKind.GROW)] * 51, "1 to 50 steps"),
        ([Edit(EditKind.KEEP)], "takes 1 to 1 places"),
        ([Edit(EditKind.GROW, ((0.1, 0.1),))], "takes 0 to 0 places"),
        ([Edit(EditKind.LASSO, ((0.1, 0.1), (0.2, 0.2)))], "takes 3 to"),
        ([Edit(EditKind.KEEP, ((1.5, 0.1),))], "outside of the picture"),
        ([Edit(EditKind.KEEP, ((float("nan"), 0.1),))], "outside of the picture"),
        ([Edit(EditKind.BOX, ((0.5, 0.5), (0.501, 0.501)))], "too small"),
        ([Edit(EditKind.ERASE, ((0, 0), (1, 0), (1, 1), (0, 1)))], "Nothing would be left"),
    ],
)
def test_steps_that_cannot_be_done(edits: list[Edit], words: str) -> None:
    with pytest.raises(BadInputError, match=words):
        repaired(ITEM, *edits)


def test_a_repaired_mask_lies_beside_the_scans_and_tells_how_it_was_made(queue: Queue) -> None:
    queue.enqueue(make_items(2))
    queue.flag_mask("ann", "item000001", MaskState.WRONG)
    queued = queue.repair_mask("ann", "item000001", [Edit(EditKind.GROW)])
    queued = queue.repair_mask("bob", "item000001", [Edit(EditKind.GROW)])
    assert queued.mask_state is MaskState.REPAIRED and queued.repaired is not None
    assert (queued.repaired.edits, queued.repaired.reviewer) == (("grow", "grow"), "bob")
    assert queued.item.mask_rle == make_item(1).mask_rle != queued.mask_rle
    notes = [event.note for event in queue.events("item000001") if event.kind is EventKind.MASK]
    assert notes == ["wrong", "repaired: grow", "repaired: grow; grow"]
    check_trail(queue, "item000001")
    queue.flag_mask("ann", "item000001", None)
    assert queue.item("item000001").mask_rle == make_item(1).mask_rle


def test_what_cannot_be_said_of_a_mask(queue: Queue) -> None:
    queue.enqueue(make_items(1))
    with pytest.raises(BadInputError, match="send the steps"):
        queue.flag_mask("ann", "item000000", MaskState.REPAIRED)
    with pytest.raises(UnknownItemError):
        queue.flag_mask("ann", "nothing", MaskState.RIGHT)
    with pytest.raises(UnknownItemError):
        queue.repair_mask("ann", "nothing", [Edit(EditKind.GROW)])
