"""Batches by number and by pixels."""

from threading import Event

import numpy as np
import pytest

from tasks.scanning.inference import MOST_PIXELS, in_batches, made_ahead


def frame(pixels: int | None) -> np.ndarray | None:
    """An image of so many pixels that takes no memory."""
    return None if pixels is None else np.broadcast_to(np.zeros(3, np.uint8), (1, pixels, 3))


@pytest.mark.parametrize(
    ("pixels", "cut"),
    [
        ([], []),
        ([10] * 5, [4, 1]),
        ([None] * 5, [4, 1]),
        ([MOST_PIXELS, 10, 10], [1, 2]),
        ([10, MOST_PIXELS, 10], [1, 1, 1]),
        ([MOST_PIXELS // 2] * 4, [2, 2]),
        ([MOST_PIXELS * 2, MOST_PIXELS * 2], [1, 1]),
    ],
)
def test_cut(pixels, cut):
    batches = list(in_batches([frame(one) for one in pixels], 4, lambda image: image))
    assert [len(batch) for batch in batches] == cut


def test_nothing_is_read_before_it_is_wanted():
    taken = []

    def items():
        for number in range(20):
            taken.append(number)
            yield frame(10)

    next(in_batches(items(), 4, lambda image: image))
    assert len(taken) == 4


def test_the_next_is_made_while_the_one_before_is_used():
    next_one = Event()

    def work(number):
        if number == 1:
            next_one.set()
        return 10 * number

    for number, made in made_ahead(work, range(4), 2):
        assert made == 10 * number
        assert next_one.wait(20)


def test_nothing_is_made_ahead_at_one_and_errors_come_in_their_place():
    started = []

    def work(number):
        started.append(number)
        if number == 2:
            raise ValueError("third")
        return number

    seen = []
    with pytest.raises(ValueError, match="third"):
        for number, _ in made_ahead(work, range(4), 1):
            seen.append(number)
            assert started == [*range(number + 1)]
    assert seen == [0, 1]
