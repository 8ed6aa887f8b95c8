"""What the states and verdicts of the queue mean, and boxes."""

import pytest

from schemas.geometry import Box, box_iou
from schemas.review import State, Verdict


def test_a_state_is_open_or_judged_or_a_duplicate() -> None:
    assert {state for state in State if state.is_open} == {State.PENDING, State.LEASED, State.SNOOZED}
    assert {state for state in State if state.is_judged} == {State.DECIDED, State.EXPORTED}


def test_accepted_and_relabelled_objects_are_real() -> None:
    assert {verdict for verdict in Verdict if verdict.is_real} == {Verdict.ACCEPT, Verdict.RELABEL}


@pytest.mark.parametrize(
    ("other", "expected"),
    [(Box(0, 0, 10, 10), 1.0), (Box(5, 0, 10, 10), 1 / 3), (Box(10, 0, 10, 10), 0.0), (Box(2, 2, 5, 5), 0.25)],
)
def test_iou_of_boxes(other: Box, expected: float) -> None:
    assert box_iou(Box(0, 0, 10, 10), other) == box_iou(other, Box(0, 0, 10, 10)) == pytest.approx(expected)


def test_a_box_moved_to_another_stays_inside_the_frame() -> None:
    assert Box(0, 0, 40, 20).centred_on(Box(95, 45, 4, 4), 50, 100) == Box(60, 30, 40, 20)
